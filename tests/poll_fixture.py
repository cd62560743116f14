"""What a `Poll` needs around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter import engine
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import PollContext
from exporter.targets.target import Target


def poll_context(
    memory: TargetMemory, labels: Mapping[str, engine.Labels], options: Any, *, db: int = 0, **more: Any
) -> PollContext:
    return PollContext(Target("redis://h:6379", "redis", "h", 6379, "", db), memory, labels, options, **more)
