"""Writing samples into a block."""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Sequence
from typing import Any

from exporter.engine.plain.histograms import raw_histogram_rows, sums_of
from exporter.engine.plain.labels import Block, Labels, escape
from exporter.engine.plain.numbers import format_value


class BlockWriter:
    """Collects the samples of one block, family by family; the same labels twice in one family are written
    once."""

    def __init__(self, labels: Labels, families: int) -> None:
        self.labels = labels
        self.parts: list[list[bytes]] = [[] for _ in range(families)]
        self.invalid = 0
        self.series = 0
        self._seen: set[tuple[int, bytes]] = set()

    def begin(self, family: int, name: bytes) -> None:
        self.family = family
        self.name = name

    def add(self, value: bytes | None, own: Sequence[bytes], suffix: bytes = b"") -> None:
        if value is None:
            self.invalid += 1
        elif value:
            target = self.labels.special.get(self.family, self.labels.text)
            inner = b",".join([target, *own] if target else own)
            head = self.name + suffix + (b"{%s} " % inner if inner else b" ")
            if (self.family, head) not in self._seen:
                self._seen.add((self.family, head))
                self.parts[self.family].append(head + value + b"\n")
                self.series += 1

    def block(self, fields: tuple[bytes | None, ...]) -> Block:
        texts = [b"".join(part) for part in self.parts]
        offsets = [0]
        for text in texts:
            offsets.append(offsets[-1] + len(text))
        return Block(
            b"".join(texts), struct.pack(f"={len(offsets)}i", *offsets), self.series, self.invalid, fields
        )


class Writer:
    def __init__(
        self, families: Sequence[tuple[bytes, tuple[bytes, ...]]], labels: Labels, label_max: int = 1024
    ) -> None:
        self._families = families
        self._label_max = label_max
        self._page = BlockWriter(labels, len(families))
        self._invalid = 0

    def add(
        self,
        family: int,
        value: float | int | bytes,
        values: Sequence[str | bytes] = (),
        suffix: bytes = b"",
        extra: tuple[bytes, str | bytes] | None = None,
    ) -> None:
        name, labels = self._families[family]
        if len(values) != len(labels):
            raise ValueError(f"{name.decode()} has {len(labels)} labels, not {len(values)}")
        pairs = list(zip(labels, values, strict=True)) + ([extra] if extra else [])
        self._page.begin(family, name)
        own = [
            b'%s="%s"'
            % (label, escape(v if isinstance(v, bytes) else v.encode("utf-8", "replace"), self._label_max))
            for label, v in pairs
        ]
        self._page.add(format_value(value), own, suffix)

    def add_histogram(
        self,
        family: int,
        bounds: Sequence[int | float],
        below: Sequence[int],
        count: int,
        total: float | int,
        values: Sequence[str | bytes] = (),
    ) -> None:
        if len(bounds) != len(below):
            raise ValueError("a histogram has as many counts as bounds")
        if not all(one < other for one, other in itertools.pairwise(bounds)):
            raise ValueError("the bounds of a histogram must rise")
        for bound, number in (*zip(map(format_value, bounds), below, strict=True), (b"+Inf", count)):
            self.add(family, number, values, b"_bucket", (b"le", bound))
        self.add(family, total, values, b"_sum")
        self.add(family, count, values, b"_count")

    def read_histograms(self, family: int, reply: bytes, statistics: bytes, bounds: Any) -> bool:
        if self._page.series or self._invalid:
            return False
        rows = raw_histogram_rows(reply, bounds.bounds_max, self._label_max)
        sums = None if rows is None else sums_of([name for name, *_ in rows], statistics)
        if rows is None or sums is None:
            return False
        for name, calls, seen, counts in rows:
            if name in sums:
                command = sys.intern(name.decode())
                known, below = bounds.widened(command, seen, counts)
                self.add_histogram(family, known, below, calls, sums[name], (command,))
        return True

    def merge(self, block: Block) -> None:
        if len(block.offsets) != 4 * (len(self._families) + 1):
            raise ValueError("the block is of another family set")
        offsets = struct.unpack(f"={len(self._families) + 1}i", block.offsets)
        for family, part in enumerate(self._page.parts):
            part.insert(0, block.samples[offsets[family] : offsets[family + 1]])
        self._page.series += block.series
        self._invalid += block.invalid

    def block(self) -> Block:
        block = self._page.block(())
        block.invalid += self._invalid
        return block
