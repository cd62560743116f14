"""The plain Python engine, which specifies the compiled one. Written to be read.

`_fastparse.pyi` states the types of both; the modules have the names of their compiled twins.
"""

from __future__ import annotations

from exporter.engine.plain.clients import client_rows, tally_clients
from exporter.engine.plain.exchange import EPOLL, Channel, Exchanger, Received, Traffic
from exporter.engine.plain.frames import BROKEN, DONE, HOPELESS, MORE, SKIPPED, TOO_LARGE, Frames
from exporter.engine.plain.histograms import histogram_rows
from exporter.engine.plain.labels import Block, Labels, LineOrder, escape
from exporter.engine.plain.pages import Assembler, add_timestamps, ages, heads_of, sift, strip_labels
from exporter.engine.plain.plan import EVERY_SUB_FIELD, FIELD, RECORD, CompiledPlan
from exporter.engine.plain.render import render
from exporter.engine.plain.samples import Writer
from exporter.engine.plain.scan import Reading
from exporter.engine.plain.segments import Segments, follow
from exporter.engine.plain.target_samples import TargetSamples

__all__ = [
    "BROKEN",
    "DONE",
    "ENGINE",
    "EPOLL",
    "EVERY_SUB_FIELD",
    "FIELD",
    "HOPELESS",
    "MORE",
    "RECORD",
    "SKIPPED",
    "TOO_LARGE",
    "Assembler",
    "Block",
    "Channel",
    "Exchanger",
    "Frames",
    "Labels",
    "LineOrder",
    "Plan",
    "Received",
    "Segments",
    "TargetSamples",
    "Traffic",
    "Writer",
    "add_timestamps",
    "ages",
    "client_rows",
    "escape",
    "follow",
    "heads_of",
    "histogram_rows",
    "sift",
    "strip_labels",
    "tally_clients",
]


ENGINE = "python"


class Plan(CompiledPlan):
    def read(
        self, text: bytes, labels: Labels, order: LineOrder | None = None, now: float = 0.0, fill: int = 0
    ) -> Block:
        return render(self, Reading(self, text), labels, now, fill)
