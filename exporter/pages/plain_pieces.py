"""The plain text of a compressed page, in pieces.

Each piece is compressed by itself, so it can be inflated without the pieces before it. All clients that read
one page share a piece while any of them holds it: so a piece is in memory once, however many read and
wherever they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.pages import deflate


class PlainPieces:
    """`ends` are the places in `body` where the compressed pieces end, after the place where the first one
    starts."""

    __slots__ = ("_body", "_ends", "_held")

    def __init__(self, body: bytearray, ends: tuple[int, ...]) -> None:
        self._body = body
        self._ends = ends
        self._held: dict[int, tuple[bytes, int]] = {}  # by number: the text, and how many hold it

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[bytes]:
        """All pieces; none of them stays in memory."""
        return (self._inflate(number) for number in range(len(self)))

    @property
    def held_bytes(self) -> int:
        """The memory of the pieces that are held."""
        return sum(len(text) for text, _ in self._held.values())

    def hold(self, number: int) -> bytes:
        """The text of one piece. Each `hold` needs a `release`."""
        known = self._held.get(number)
        text, holders = known if known is not None else (self._inflate(number), 0)
        self._held[number] = (text, holders + 1)
        return text

    def release(self, number: int) -> None:
        text, holders = self._held[number]
        if holders > 1:
            self._held[number] = (text, holders - 1)
        else:
            del self._held[number]

    def _inflate(self, number: int) -> bytes:
        with (
            memoryview(self._body) as whole,
            whole[self._ends[number] : self._ends[number + 1]] as compressed,
        ):
            return deflate.inflate(compressed)
