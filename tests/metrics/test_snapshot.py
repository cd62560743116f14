"""What one poll made of one part of one target."""

from __future__ import annotations

import math

from exporter import engine
from exporter.metrics.lane import Lane
from exporter.metrics.store import LaneTimes, Snapshot


def test_a_snapshot_is_itself_alone() -> None:
    block, times = engine.Block(b"", bytes(4), 0, 0, ()), LaneTimes(0.0, math.inf)
    one, other = (Snapshot("redis://h:1", "info", Lane.FAST, block, times) for _ in range(2))
    assert one != other
