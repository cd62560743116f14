"""A finished page, and the draft it is built from.

A page is one gzip member without its end. The server writes the page and then its tail: the ages of the
page's own snapshots as of this moment, as further deflate blocks of the same member. (curl shows only the
first of several members.)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from exporter import engine
from exporter.pages import deflate
from exporter.pages.compressed import PIECE_BYTES, Compressed
from exporter.pages.plain_pieces import PlainPieces
from exporter.pages.segments import SegmentedText

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class PackedText:
    """A text of `length` bytes that stays compressed until it is needed: the ages of 1,000 targets take 300
    kB as plain text."""

    __slots__ = ("_packed", "length")

    def __init__(self, text: bytes) -> None:
        self.length = len(text)
        self._packed = deflate.compress(text)

    def unpack(self) -> bytes:
        return deflate.inflate(self._packed)


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A finished page. `body` is a gzip member up to the end of its static part. `crc` and `length` are those
    of the plain static part, and `plain` has its text. `heads` and `times` make the age lines of its
    snapshots, which follow `age_header`."""

    body: bytearray
    plain: PlainPieces
    crc: int
    length: int
    age_header: bytes
    heads: tuple[bytes, ...]
    times: tuple[float, ...]
    generation: int
    gathered_at: float  # monotonic
    #: what the next build may keep of it
    text: SegmentedText | None = None

    @property
    def size(self) -> int:
        """About how many bytes it and what the next build may keep take in memory."""
        return len(self.body) + (0 if self.text is None else self.text.size)

    def plain_tail(self, now: float) -> bytes:
        """The age lines as of `now` (monotonic)."""
        return self.age_header + engine.ages(self.heads, self.times, now) if self.heads else b""

    def plain_text(self, now: float) -> bytes:
        """The whole page as of `now`."""
        return b"".join([*self.plain, self.plain_tail(now)])

    def packed_tail(self, now: float) -> PackedText:
        """The age lines, for a client that takes what comes before it slowly."""
        return PackedText(self.plain_tail(now))

    def tail(self, now: float) -> bytes:
        """What completes `body`: the age lines, checksum and length."""
        text = self.plain_tail(now)
        crc, length = deflate.crc32(text, self.crc), (self.length + len(text)) & 0xFFFFFFFF
        return deflate.finish(text) + struct.pack("<II", crc, length)


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Everything that a page is made of, gathered on the event loop. `build` touches nothing else, so a
    thread may run it."""

    headers: Sequence[bytes]
    cells: Sequence[tuple[int, int]]
    blocks: Sequence[list[engine.Block | None]]
    extra: bytes
    age_header: bytes
    heads: tuple[bytes, ...]
    times: tuple[float, ...]
    generation: int
    gathered_at: float
    #: where the groups of targets end in `blocks`
    group_ends: Sequence[int] = ()

    def is_larger_than(self, size: int) -> bool:
        """Whether the page will have more than about `size` bytes."""
        for block in chain.from_iterable(self.blocks):
            if block is not None:
                size -= block.size
                if size < 0:
                    return True
        return len(self.extra) > size

    def build(self, before: Page | None = None) -> Page:
        """Build the page. If it is built again and again, of what has not changed since the page `before` no
        byte is compressed again."""
        if before is None or not self.group_ends:
            return self._page(self._compressed(), None)
        text = before.text or SegmentedText()
        built = text.build(self.headers, self.cells, self.blocks, self.group_ends)
        built.add_text(self.extra)
        return self._page(built, text)

    def _page(self, built: Compressed, text: SegmentedText | None) -> Page:
        built.finish()
        return Page(
            built.body,
            PlainPieces(built.body, tuple(built.ends)),
            built.crc,
            built.length,
            self.age_header,
            self.heads,
            self.times,
            self.generation,
            self.gathered_at,
            text,
        )

    def _compressed(self) -> Compressed:
        """All of it, compressed now."""
        built = Compressed()
        assembler = engine.Assembler(self.headers, self.cells, self.blocks)
        room = bytearray(min(PIECE_BYTES, assembler.size or 1))
        with memoryview(room) as seen:
            while length := assembler.fill(room):
                built.add(seen[:length])
        built.add_text(self.extra)
        return built
