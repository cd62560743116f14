"""What a case is: a reader, inputs to begin with, and what must hold of every other input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")

#: stands between the texts of one input
CUT = b"\x1e"
#: places at which a stream is cut into pieces
CUTS_MAX = 6


class Case:
    """`check` raises an error for an input that shows a fault, and nothing for any other. It depends on the
    input alone, so that a fault can be shown again."""

    #: bytes of the longest input
    length_max = 1024
    #: what inputs are made of, beside bytes
    words: Sequence[bytes] = ()

    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with."""
        raise NotImplementedError

    def check(self, data: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what is open."""


class Script:
    """Choices that the beginning of an input makes, so that a fuzzer changes these too. After the end of the
    input each choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._data)

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1. It takes one byte, or two for more than 256."""
        return int.from_bytes(self._take(1 if count <= 256 else 2), "big") % count

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def piece(self, length_max: int) -> bytes:
        return self._take(self.below(length_max + 1))

    def rest(self) -> bytes:
        return self._take(len(self._data))

    def pieces(self) -> list[bytes]:
        """The rest of the input, cut at some places."""
        places = [self.below(65536) for _ in range(self.below(CUTS_MAX + 1))]
        data = self.rest()
        edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
        return [data[begin:end] for begin, end in pairwise(edges)]

    def _take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        self._at += length
        return taken
