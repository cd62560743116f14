"""The plain Python engine, which specifies the compiled one. Written to be read.

`_fastparse.pyi` states the types of both; the modules have the names of their compiled twins.
"""

from __future__ import annotations

from exporter.engine.plain.clients import client_rows, tally_clients
from exporter.engine.plain.frames import BROKEN, DONE, HOPELESS, MORE, SKIPPED, TOO_LARGE, Frames
from exporter.engine.plain.histograms import histogram_rows
from exporter.engine.plain.info import EVERY_SUB_FIELD, FIELD, RECORD, Plan
from exporter.engine.plain.labels import Block, Labels, LineOrder, escape
from exporter.engine.plain.pages import Assembler, add_timestamps, ages, heads_of, sift, strip_labels
from exporter.engine.plain.samples import RepeatedSamples, Writer

__all__ = [
    "BROKEN",
    "DONE",
    "ENGINE",
    "EVERY_SUB_FIELD",
    "FIELD",
    "HOPELESS",
    "MORE",
    "RECORD",
    "SKIPPED",
    "TOO_LARGE",
    "Assembler",
    "Block",
    "Frames",
    "Labels",
    "LineOrder",
    "Plan",
    "RepeatedSamples",
    "Writer",
    "add_timestamps",
    "ages",
    "client_rows",
    "escape",
    "heads_of",
    "histogram_rows",
    "sift",
    "strip_labels",
    "tally_clients",
]


ENGINE = "python"
