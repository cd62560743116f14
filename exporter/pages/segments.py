"""The text of a page that is built again and again: what has not changed is not compressed again.

A segment is one family of one group of targets (`engine.Segments`). Segments that stand one behind the other
are compressed together, in pieces: those that change from page to page, and those that do not. A piece whose
segments are as they were is copied from the body of the page before. Other pieces are divided where changed
segments border on others, and made again. So after some pages the pieces are as the values of the fleet move.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from exporter import engine
from exporter.pages import deflate
from exporter.pages.compressed import Compressed

#: plain text that is compressed together, at most, unless one segment is larger
PIECE_BYTES = 64 * 1024
#: room behind a piece: the engine writes in strides, and slower where it may not
ROOM_MORE = 64
#: what the engine keeps of each target and family set to see what has changed
SEEN_BYTES = 16
#: less that has not changed is compressed again together with what has changed beside it
KEPT_MIN_BYTES = 4 * 1024


def _count_own() -> int:
    """References to a body that only a local variable has, as CPython counts them: from 3.14 on the call that
    counts has none of its own."""
    body = bytearray()
    return sys.getrefcount(body)


HELD_HERE = _count_own()


class Piece(NamedTuple):
    """The segments from `first`, without `end`, and where their compressed text is in the body."""

    first: int
    end: int
    begins_at: int
    ends_at: int
    length: int
    crc: int


class Run(NamedTuple):
    """Segments that are compressed now. All have changed, or none has; small ones beside them do not
    count."""

    first: int
    end: int
    size: int
    has_changed: bool


class SegmentedText:
    """See the module. Not for two builds at once."""

    __slots__ = ("_body", "_old", "_pieces", "_seen_n", "_segments", "_shape")

    def __init__(self) -> None:
        self._shape: object = None
        self._segments = engine.Segments((), 0, 1)
        self._pieces: list[Piece] = []
        self._body = bytearray()
        self._old = bytearray()  # the body before
        self._seen_n = 0

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory beside the newest body."""
        return len(self._old) + SEEN_BYTES * self._seen_n

    def build(
        self,
        headers: Sequence[bytes],
        cells: Sequence[tuple[int, int]],
        blocks: Sequence[list[engine.Block | None]],
        group_ends: Sequence[int],
    ) -> Compressed:
        """The compressed text of a draft, to which more may be added."""
        shape = (cells, len(blocks), len(group_ends))
        if shape == self._shape:
            segments = self._segments
        else:
            segments = self._segments = engine.Segments(*shape)
            self._pieces = []
        self._shape = None  # after an error the next build begins from nothing
        built = Compressed(self._free_body())
        try:
            changed = segments.take(headers, blocks, group_ends)
            steps = self._steps(changed) if self._pieces else self._cut(0, segments.count, False)
            self._pieces = list(self._write(steps, built))
        finally:
            segments.release()
        self._old, self._body, self._shape = self._body, built.body, shape
        self._seen_n = sum(map(len, blocks))
        return built

    def _free_body(self) -> bytearray | None:
        """The memory of the page before the newest one, if nobody reads it any longer: who does holds the
        page, the body or a view of it, and a transport holds what it has not sent."""
        body, self._old = self._old, bytearray()
        return body if body and sys.getrefcount(body) <= HELD_HERE else None

    def _steps(self, changed: bytes) -> Iterator[Piece | Run]:
        """What is kept, and what is made again, as it stands on the page."""
        for piece in self._pieces:
            at = changed.find(1, piece.first, piece.end)
            if at < 0:
                yield piece
            else:
                yield from self._divide(piece, changed, at)

    def _divide(self, piece: Piece, changed: bytes, at: int) -> Iterator[Run]:
        """The runs of a piece that has changed from segment `at` on."""
        size = self._segments.size
        begin = piece.first
        while at >= 0:
            if size(begin, at) >= KEPT_MIN_BYTES:
                yield from self._cut(begin, at, False)
                begin = at
            end = at
            while at >= 0:
                end = changed.find(0, at, piece.end)
                if end < 0:
                    end, at = piece.end, -1
                    break
                at = changed.find(1, end, piece.end)
                if size(end, at if at >= 0 else piece.end) >= KEPT_MIN_BYTES:
                    break
                end = at if at >= 0 else piece.end
            yield from self._cut(begin, end, True)
            begin = end
        if begin < piece.end:
            yield from self._cut(begin, piece.end, False)

    def _cut(self, first: int, end: int, has_changed: bool) -> Iterator[Run]:
        """Runs of no more than a piece."""
        size = self._segments.size(first, end)
        if size > PIECE_BYTES:
            begin, size = first, 0
            for segment in range(first, end):
                more = self._segments.size(segment, segment + 1)
                if size and size + more > PIECE_BYTES:
                    yield Run(begin, segment, size, has_changed)
                    begin, size = segment, 0
                size += more
            first = begin
        if end > first:
            yield Run(first, end, size, has_changed)

    def _write(self, steps: Iterable[Piece | Run], built: Compressed) -> Iterator[Piece]:
        """Write the page, and return its pieces."""
        room = memoryview(_own_room())  # not released: a profiler in another thread may hold what fills it
        with memoryview(self._body) as before:
            for step in _joined(steps):
                begins_at = built.end
                if isinstance(step, Piece):
                    packed = before[step.begins_at : step.ends_at]
                    built.add_packed(packed, step.crc, step.length)
                    yield step._replace(begins_at=begins_at, ends_at=built.end)
                else:
                    yield self._compress(step, room, built)

    def _compress(self, run: Run, room: memoryview, built: Compressed) -> Piece:
        begins_at, crc, segments = built.end, 0, self._segments
        segments.start(run.first, run.end)
        filled = room if run.size <= PIECE_BYTES else room[:PIECE_BYTES]
        while length := segments.fill(filled):
            text = room[:length]
            own = deflate.crc32(text)
            crc = deflate.crc32_combine(crc, own, length)
            built.add_packed(deflate.compress(text), own, length)
        return Piece(run.first, run.end, begins_at, built.end, run.size, crc)


_rooms = threading.local()


def _own_room() -> bytearray:
    """Where a thread writes text before it compresses it."""
    room: bytearray | None = getattr(_rooms, "room", None)
    if room is None or len(room) < PIECE_BYTES + ROOM_MORE:
        room = _rooms.room = bytearray(PIECE_BYTES + ROOM_MORE)
    return room


def _joined(steps: Iterable[Piece | Run]) -> Iterator[Piece | Run]:
    """Neighbours that have changed become one run, as long as they are no more than a piece."""
    waiting: Run | None = None
    for step in steps:
        if waiting is not None:
            if isinstance(step, Run) and step.has_changed and waiting.size + step.size <= PIECE_BYTES:
                waiting = Run(waiting.first, step.end, waiting.size + step.size, True)
                continue
            yield waiting
            waiting = None
        if isinstance(step, Run) and step.has_changed:
            waiting = step
        else:
            yield step
    if waiting is not None:
        yield waiting
