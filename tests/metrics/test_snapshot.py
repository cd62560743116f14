"""What one poll made of one part of one target."""

from __future__ import annotations

import math

from exporter.metrics.lane import Lane
from exporter.metrics.store import Snapshot


def test_a_snapshot_is_itself_alone() -> None:
    one, other = (Snapshot("redis://h:1", "info", Lane.FAST, b"", b"", 0, 0.0, math.inf) for _ in range(2))
    assert one != other
