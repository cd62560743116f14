"""A page's text while it is compressed, piece by piece."""

from __future__ import annotations

from exporter.pages import deflate

#: Plain text that a reader inflates at once. A piece may be longer if it was kept from a page before.
PIECE_BYTES = 256 * 1024


class Compressed:
    """`body` is a gzip member so far, `crc` and `length` are those of the plain text. `ends` are the places
    in `body` where pieces end that can be inflated by themselves, after the place where the first one
    starts. `finish` comes last.

    `room` is the body of another page, which nobody reads any longer: its memory is used again, because fresh
    memory costs as much as a tenth of the build.
    """

    __slots__ = ("_open", "_room", "body", "crc", "end", "ends", "length")

    def __init__(self, room: bytearray | None = None) -> None:
        self.body = bytearray() if room is None else room
        self._room = memoryview(self.body) if room else None
        self.crc = self.length = 0
        self.end = 0  # of what has been written
        self._write(deflate.GZIP_HEADER)
        self.ends = [self.end]
        self._open = 0  # plain bytes behind the last but one of `ends`

    def add(self, text: bytes | memoryview) -> None:
        """Compress a text. It is a piece for itself, unless it and the one before are small."""
        self.add_packed(deflate.compress(text), deflate.crc32(text), len(text))

    def add_text(self, text: bytes) -> None:
        """The same in pieces, however long the text is."""
        for start in range(0, len(text), PIECE_BYTES):
            self.add(text[start : start + PIECE_BYTES])

    def add_packed(self, packed: bytes | memoryview, crc: int, length: int) -> None:
        """A text of `length` bytes that is compressed already."""
        self._write(packed)
        self.crc = deflate.crc32_combine(self.crc, crc, length)
        self.length += length
        if self._open and self._open + length <= PIECE_BYTES:
            self._open += length
            self.ends[-1] = self.end
        else:
            self._open = length
            self.ends.append(self.end)

    def finish(self) -> None:
        """Nothing more comes."""
        self._leave_room()

    def _leave_room(self) -> None:
        """Keep of the memory of the other page what is written, and go on behind it."""
        if self._room is not None:
            self._room.release()
            self._room = None
            del self.body[self.end :]

    def _write(self, packed: bytes | memoryview) -> None:
        end = self.end + len(packed)
        if self._room is not None and end > len(self._room):
            self._leave_room()
        if self._room is not None:
            self._room[self.end : end] = packed
        else:
            self.body += packed
        self.end = end
