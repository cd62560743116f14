"""What callers hold: the labels of a target, a block of samples, the order of a target's lines."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Mapping

_BROKEN = re.compile("[\udc80-\udcff]")


class Labels:
    __slots__ = ("special", "text")

    def __init__(self, text: bytes, special: Mapping[int, bytes] | None = None) -> None:
        self.text = text
        self.special = dict(special or {})


class Block:
    __slots__ = ("fields", "invalid", "offsets", "samples", "series")

    def __init__(
        self, samples: bytes, offsets: bytes, series: int, invalid: int, fields: tuple[bytes | None, ...]
    ) -> None:
        check_offsets(samples, offsets)
        self.samples = samples
        self.offsets = offsets
        self.series = series
        self.invalid = invalid
        self.fields = fields

    @property
    def size(self) -> int:
        return len(self.samples)


def check_offsets(samples: bytes, offsets: bytes) -> None:
    """ValueError for wrong ones: they would show one target's bytes as another's."""
    if len(offsets) % 4 or not offsets:
        raise ValueError("offsets are 4 bytes each, and one at least")
    numbers = struct.unpack(f"={len(offsets) // 4}i", offsets)
    if numbers[0] != 0 or numbers[-1] != len(samples) or any(a > b for a, b in itertools.pairwise(numbers)):
        raise ValueError("offsets do not fit their samples")


class LineOrder:
    __slots__ = ()


def escape(value: bytes, limit: int = 1024) -> bytes:
    """Cut first, never inside a character, then escape: the limit is for the text of the server."""
    if len(value) > limit:
        end = limit
        while end > 0 and limit - end < 3 and value[end] & 0xC0 == 0x80:
            end -= 1
        value = value[:end]
    text = _BROKEN.sub("\ufffd", value.decode("utf-8", "surrogateescape"))
    return text.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
