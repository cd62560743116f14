"""A finished page, and the draft it is built from.

A page is one gzip member without its end. The server writes the page and then its tail: the ages of the
page's own snapshots as of this moment, as further deflate blocks of the same member. (curl shows only the
first of several members.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from isal import isal_zlib

from exporter import engine
from exporter.pages.plain_pieces import PlainPieces

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PIECE_BYTES = 256 * 1024
LEVEL = 1

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class PackedText:
    """A text of `length` bytes that stays compressed until it is needed: the ages of 1,000 targets take 300
    kB as plain text."""

    __slots__ = ("_packed", "length")

    def __init__(self, text: bytes) -> None:
        self.length = len(text)
        self._packed = isal_zlib.compress(text, LEVEL)

    @property
    def size(self) -> int:
        """Bytes that it takes in memory."""
        return len(self._packed)

    def unpack(self) -> bytes:
        return isal_zlib.decompress(self._packed)


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
    series: int
    generation: int
    gathered_at: float  # monotonic

    def plain_tail(self, now: float) -> bytes:
        """The age lines as of `now` (monotonic)."""
        return self.age_header + engine.ages(self.heads, self.times, now) if self.heads else b""

    def packed_tail(self, now: float) -> PackedText:
        """The same, for a client that takes what comes before it slowly."""
        return PackedText(self.plain_tail(now))

    def tail(self, now: float) -> bytes:
        """What completes `body`: the age lines, checksum and length."""
        text = self.plain_tail(now)
        deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
        end = struct.pack("<II", isal_zlib.crc32(text, self.crc), (self.length + len(text)) & 0xFFFFFFFF)
        return b"".join((deflate.compress(text), deflate.flush(isal_zlib.Z_FINISH), end))


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Everything that a page is made of, gathered on the event loop. `build` touches nothing else, so a
    thread may run it."""

    headers: Sequence[bytes]
    cells: Sequence[tuple[int, int]]
    blocks: Sequence[Sequence[tuple[bytes, bytes]]]
    extra: bytes
    age_header: bytes
    heads: tuple[bytes, ...]
    times: tuple[float, ...]
    series: int
    generation: int
    gathered_at: float

    def is_larger_than(self, size: int) -> bool:
        """Whether the page will have more than about `size` bytes."""
        for samples, _ in chain.from_iterable(self.blocks):
            size -= len(samples)
            if size < 0:
                return True
        return len(self.extra) > size

    def build(self, before: Page | None = None) -> Page:
        """Build the page. With the page `before`, which had about the same size, it takes no more memory than
        it needs in the end."""
        assembler = engine.Assembler(self.headers, self.cells, self.blocks)
        deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
        body = bytearray(len(before.body) * 33 // 32 if before is not None else 0)
        body[: len(GZIP_HEADER)] = GZIP_HEADER
        end = len(GZIP_HEADER)
        crc = length = 0
        ends = [end]
        for piece in _pieces(assembler, self.extra):
            crc = isal_zlib.crc32(piece, crc)
            length += len(piece)
            end = _put(body, end, deflate.compress(piece))
            # what follows refers to nothing before: so each piece can be inflated by itself
            end = _put(body, end, deflate.flush(isal_zlib.Z_FULL_FLUSH))
            ends.append(end)
        del body[end:]
        return Page(
            body,
            PlainPieces(body, tuple(ends)),
            crc,
            length,
            self.age_header,
            self.heads,
            self.times,
            self.series,
            self.generation,
            self.gathered_at,
        )


def _put(body: bytearray, at: int, text: bytes) -> int:
    """Where it ends."""
    end = at + len(text)
    body[at:end] = text
    return end


def _pieces(assembler: engine.Assembler, extra: bytes) -> Iterator[bytes | memoryview]:
    """Each piece is valid until the next: all but the last are in the same memory. (With memory for each,
    what the compressor writes between two of them would settle in the gap that the first one left.)"""
    room = bytearray(min(PIECE_BYTES, assembler.size or 1))
    seen = memoryview(room)
    while length := assembler.fill(room):
        yield seen[:length]
    for start in range(0, len(extra), PIECE_BYTES):
        yield extra[start : start + PIECE_BYTES]
