"""The series about one target. There is no quick way in plain Python: the caller writes sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from exporter.engine.plain.labels import Block, Labels


class TargetSamples:
    def __init__(self, rows: Sequence[tuple[bytes, tuple[bytes, ...]]], numbers: Sequence[int]) -> None:
        if numbers[0] < 0 or not all(one < other < len(rows) for one, other in pairwise(numbers)):
            raise ValueError("the numbers of the families must rise, and be those of all kinds")

    def block(self, series: object, labels: Labels) -> Block | None:
        return None
