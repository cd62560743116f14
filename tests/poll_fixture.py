"""What a `Poll` needs around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter import engine
from exporter.collectors._contract import Collector
from exporter.collectors._enabled import EnabledCollector, enable
from exporter.metrics.family import Family
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.polling.memory import TargetMemory
from exporter.polling.poll_context import PollContext
from exporter.targets.target import Target


def idle(collector_name: str, collector_lane: Lane, *written: Family) -> EnabledCollector:
    """A collector that is not run, with its families."""

    class Idle(Collector[None]):
        name = collector_name
        lane = collector_lane
        families = written

    return enable(Idle(), "redis")


def poll_context(
    memory: TargetMemory, labels: Mapping[str, engine.Labels], options: Options, *, db: int = 0, **more: Any
) -> PollContext:
    return PollContext(Target("redis://h:6379", "redis", "h", 6379, "", db), memory, labels, options, **more)
