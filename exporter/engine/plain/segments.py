"""Which parts of a page have changed since it was built before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from exporter.engine.plain.labels import Block
from exporter.engine.plain.pages import offsets_of


def follow(block: Block, before: Block | None) -> None:
    """Nothing: texts are compared here."""


class Segments:
    def __init__(self, cells: Sequence[tuple[int, int]], parts: int, groups: int) -> None:
        if parts < 0 or groups < 1:
            raise ValueError("a page has one group of targets at least")
        for cell, (part, family) in enumerate(cells):
            if not 0 <= part < parts or family < 0:
                raise ValueError(f"cell {cell} names part {part}, family {family}")
        self.count = len(cells) * groups
        self.left = 0
        self._cells = tuple(cells)
        self._parts = parts
        self._groups = groups
        self._texts: list[bytes] | None = None
        self._digests = [_digest(b"")] * self.count
        self._piece = b""

    def take(
        self, headers: Sequence[bytes], blocks: Sequence[Sequence[Block | None]], ends: Sequence[int]
    ) -> bytes:
        if len(headers) != len(self._cells) or len(blocks) != self._parts or len(ends) != self._groups:
            raise ValueError("a page keeps its cells, its parts and the number of its groups")
        ranges = list(zip([0, *ends[:-1]], ends, strict=True))
        if any(begin > end for begin, end in ranges) or any(
            each and len(each) != ends[-1] for each in blocks
        ):
            raise ValueError("the groups do not fit the blocks")
        numbers = [[None if block is None else offsets_of(block) for block in part] for part in blocks]
        texts: list[bytes] = []
        heading, headed = 0, False
        for cell, (part, family) in enumerate(self._cells):
            if headers[cell]:
                heading, headed = cell, False
            for begin, end in ranges:
                found = list(zip(blocks[part][begin:end], numbers[part][begin:end], strict=True))
                texts.append(b"".join(_text(block, ends, family) for block, ends in found))
            if not headed and any(texts[cell * self._groups :]):
                texts[heading * self._groups] = headers[heading] + texts[heading * self._groups]
                headed = True
        digests = [_digest(text) for text in texts]
        changed = bytes(one != other for one, other in zip(digests, self._digests, strict=True))
        self._texts, self._digests = texts, digests
        return changed

    def size(self, first: int, end: int) -> int:
        if first < 0 or end > self.count:
            raise ValueError("there are no such segments")
        return sum(map(len, self._known()[first:end]))

    def start(self, first: int, end: int) -> None:
        self.left = self.size(first, end)
        self._piece = b"".join(self._known()[first:end])

    def _known(self) -> Sequence[bytes]:
        if self._texts is None:
            raise ValueError("the page has let go of its blocks")
        return self._texts

    def fill(self, room: bytearray | memoryview) -> int:
        if not room:
            raise ValueError("a piece needs room for at least one byte")
        at = len(self._piece) - self.left
        piece = self._piece[at : at + len(room)]
        room[: len(piece)] = piece
        self.left -= len(piece)
        return len(piece)

    def release(self) -> None:
        self._texts, self._piece, self.left = None, b"", 0


def _text(block: Block | None, ends: Sequence[int] | None, family: int) -> bytes:
    if block is None or ends is None:
        return b""
    if family + 1 >= len(ends):
        raise ValueError(f"a block has no family {family}")
    return block.samples[ends[family] : ends[family + 1]]


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest() if text else b""
