"""Deflate as pages need it: texts that are compressed by themselves and put one behind the other in one gzip
member.

Each text ends on a byte, and what follows refers to nothing before it. So a compressed text may be kept and
put into another page, and it may be inflated without the ones before it. A compressor takes half a megabyte
and up to 0.1 ms to make: each thread keeps one.
"""

from __future__ import annotations

import struct
import threading

from isal import isal_zlib

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
#: a last block without content
END = b"\x03\x00"
LEVEL = 1
#: a longer text is compressed: less would cost more time than its bytes are worth
STORED_MAX = 2048

crc32 = isal_zlib.crc32
#: of two texts one behind the other: the checksums of both, and the length of the second
crc32_combine = isal_zlib.crc32_combine


class _Kept(threading.local):
    """The compressor of a thread."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.compressor = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)


_kept = _Kept()


def compress(text: bytes | memoryview) -> bytes:
    """The text, compressed."""
    compressor = _kept.compressor
    try:
        # the flush ends it on a byte, and makes the compressor forget it
        packed: bytes = compressor.compress(text) + compressor.flush(isal_zlib.Z_FULL_FLUSH)
    except BaseException:
        _kept.renew()  # half a text may be in it
        raise
    return packed


def inflate(packed: bytes | memoryview) -> bytes:
    """The text again."""
    text: bytes = isal_zlib.decompressobj(-15).decompress(packed)
    return text


def finish(text: bytes) -> bytes:
    """The last text and the end of all: a short text as it is."""
    length = len(text)
    if length <= STORED_MAX:
        return b"\x01" + struct.pack("<HH", length, length ^ 0xFFFF) + text
    return compress(text) + END
