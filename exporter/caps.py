"""How many series a target may have: who is in stays in, newcomers are refused and counted.

So no series comes and goes with others that do. Nothing is remembered of a target that keeps within its limits.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

#: samples, offsets and number of series, as of a block
Rendered = tuple[bytes, bytes, int]


@dataclass(slots=True)
class _Admitted:
    """Of one part: the heads (name and labels) of the series that are in, and how many those are by family."""

    heads: set[bytes] = field(default_factory=set)
    families: Counter[int] = field(default_factory=Counter)


class Caps:
    """The limits of one target: on all its series, and on those of one family."""

    def __init__(self, per_target: int, per_family: int) -> None:
        self._per_target = per_target
        self._per_family = per_family
        self._series: dict[str, int] = {}  # of each part, as it was let through
        self.series = 0  # how many the newest blocks of all parts have left
        self._refused: dict[str, int] = {}
        self._admitted: dict[str, _Admitted] = {}  # of the parts that once had too many

    @property
    def refused(self) -> int:
        """How many series the newest blocks of all parts lost."""
        return sum(self._refused.values())

    def forget(self) -> None:
        """The server was started anew: whoever comes first is in."""
        self._admitted.clear()
        self._refused.clear()

    def admit(self, part: str, block: Rendered, before: tuple[bytes, bytes] | None) -> Rendered:
        """What there is room for of a part's new block. `before` are the samples and offsets it had last."""
        samples, offsets, series = block
        had = self._series.get(part, 0)
        room = self._per_target - self.series + had
        admitted = self._admitted.get(part)
        if admitted is None and (series > room or (series > self._per_family and self._has_large_family(samples, offsets))):
            admitted = self._admitted[part] = _admitted_of(before)
        if admitted is not None:
            block = self._sift(admitted, samples, offsets, room)
            self._refused[part] = series - block[2]
        self._series[part] = block[2]
        self.series += block[2] - had
        return block

    def _has_large_family(self, samples: bytes, offsets: bytes) -> bool:
        return any(samples.count(b"\n", begin, end) > self._per_family for begin, end in _families(offsets))

    def _sift(self, admitted: _Admitted, samples: bytes, offsets: bytes, room: int) -> Rendered:
        texts = []
        series = 0
        for number, (begin, end) in enumerate(_families(offsets)):
            kept = []
            for line in samples[begin:end].splitlines(keepends=True):
                head = head_of(line)
                if head not in admitted.heads:
                    if len(admitted.heads) >= room or admitted.families[number] >= self._per_family:
                        continue
                    admitted.heads.add(head)
                    admitted.families[number] += 1
                kept.append(line)
            series += len(kept)
            texts.append(b"".join(kept))
        ends = [0]
        for text in texts:
            ends.append(ends[-1] + len(text))
        return b"".join(texts), struct.pack(f"={len(ends)}i", *ends), series


def head_of(line: bytes) -> bytes:
    """Name and labels of a sample: a brace and a blank stand before its value, or the first blank."""
    brace = line.rfind(b"} ")
    return line[: brace + 1] if brace >= 0 else line.partition(b" ")[0]


def _admitted_of(before: tuple[bytes, bytes] | None) -> _Admitted:
    admitted = _Admitted()
    if before is not None:
        samples, offsets = before
        for number, (begin, end) in enumerate(_families(offsets)):
            heads = [head_of(line) for line in samples[begin:end].splitlines()]
            admitted.heads.update(heads)
            admitted.families[number] = len(heads)
    return admitted


def _families(offsets: bytes) -> Iterator[tuple[int, int]]:
    return pairwise(struct.unpack(f"={len(offsets) // 4}i", offsets))
