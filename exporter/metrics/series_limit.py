"""How many series a target may have: who is in stays in, newcomers are refused and counted.

So no series comes and goes with others that do. Nothing is remembered of a target that keeps within its
limits.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from exporter import engine


@dataclass(slots=True)
class _Admitted:
    """Of one family set: the heads (name and labels) of the series that are in, and how many those are by
    family."""

    heads: set[bytes] = field(default_factory=set)
    families: list[int] = field(default_factory=list)


class SeriesLimit:
    """The limits of one target: on all its series, and on those of one family."""

    def __init__(self, per_target: int, per_family: int) -> None:
        self._per_target = per_target
        self._per_family = per_family
        self._series: dict[str, int] = {}  # of each family set, as it was let through
        self.series = 0  # how many the newest blocks of all sets have left
        self.refused = 0  # how many series those blocks lost
        self._refused: dict[str, int] = {}
        self._admitted: dict[str, _Admitted] = {}  # of the sets that once had too many
        self._relabelled: set[str] = set()  # sets whose newest block has other labels than the next one

    def change(self, per_target: int, per_family: int) -> None:
        """Keep to other limits from the next blocks on. Under lower ones the series that come first are
        in."""
        if per_target < self._per_target or per_family < self._per_family:
            self._admitted = {family_set: _Admitted() for family_set in self._series}
        self._per_target, self._per_family = per_target, per_family

    def forget(self) -> None:
        """The server was restarted: the series that come first are in."""
        self._admitted.clear()
        self._refused.clear()
        self.refused = 0

    def relabel(self, family_sets: Iterable[str]) -> None:
        """Let the series of these family sets in that come first: their labels have changed, so each series
        is another one than before."""
        for name in family_sets:
            self._admitted.pop(name, None)
            self._relabelled.add(name)

    def drop(self, family_set: str) -> None:
        """Count a family set no more."""
        self.series -= self._series.pop(family_set, 0)
        self.refused -= self._refused.pop(family_set, 0)
        self._admitted.pop(family_set, None)

    def takes_whole(self, family_set: str, series: int) -> bool:
        """Count a family set's new block of that many series if there is clearly room for all of them. False:
        `admit` has to look at it."""
        if self._admitted or self._relabelled or series > self._per_family:
            return False
        had = self._series.get(family_set, -1)
        total = self.series + series - max(0, had)
        if total > self._per_target:
            return False
        if series != had:
            self._series[family_set] = series
            self.series = total
        return True

    def admit(self, family_set: str, block: engine.Block, before: engine.Block | None) -> engine.Block:
        """What there is room for of a family set's new block: most often the block itself. `before` is the
        one that it had last."""
        had = self._series.get(family_set, 0)
        room = self._per_target - self.series + had
        admitted = self._admitted.get(family_set) if self._admitted else None
        if admitted is None and (
            block.series > room or (block.series > self._per_family and self._has_large_family(block))
        ):
            had_last = None if family_set in self._relabelled else before
            admitted = self._admitted[family_set] = (
                _Admitted() if had_last is None else _Admitted(*engine.heads_of(had_last))
            )
        if admitted is not None:
            families, series = admitted.families, block.series
            families.extend([0] * (len(block.offsets) // 4 - 1 - len(families)))
            block = engine.sift(block, admitted.heads, families, room, self._per_family)
            refused = series - block.series
            self.refused += refused - self._refused.get(family_set, 0)
            self._refused[family_set] = refused
        if self._relabelled:
            self._relabelled.discard(family_set)
        self._series[family_set] = block.series
        self.series += block.series - had
        return block

    def _has_large_family(self, block: engine.Block) -> bool:
        samples = block.samples
        return any(
            samples.count(b"\n", begin, end) > self._per_family for begin, end in _families(block.offsets)
        )


def _families(offsets: bytes) -> Iterator[tuple[int, int]]:
    return pairwise(struct.unpack(f"={len(offsets) // 4}i", offsets))
