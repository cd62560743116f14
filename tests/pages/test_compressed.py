"""A page's text while it is compressed."""

from __future__ import annotations

import os
import zlib

import pytest

from exporter.pages import deflate
from exporter.pages.compressed import PIECE_BYTES, Compressed
from exporter.pages.plain_pieces import PlainPieces
from tests.store_fixture import gunzip_one


@pytest.mark.parametrize("room", [None, 0, 5, 1000, 300_000, 2_000_000])
@pytest.mark.parametrize("sizes", [(), (0,), (1, 2, 3), (PIECE_BYTES, 1), (1, 3 * PIECE_BYTES + 5, 7)])
def test_any_texts_come_back_whole_both_ways(sizes: tuple[int, ...], room: int | None) -> None:
    texts = [os.urandom(size) for size in sizes]
    built = Compressed(None if room is None else bytearray(b"old" * room))
    for text in texts:
        built.add_text(text)
    built.finish()
    whole = b"".join(texts)
    assert (built.crc, built.length) == (zlib.crc32(whole), len(whole))
    end = built.crc.to_bytes(4, "little") + built.length.to_bytes(4, "little")
    assert gunzip_one(built.body + deflate.END + end) == whole
    assert b"".join(PlainPieces(built.body, tuple(built.ends))) == whole


def test_small_texts_share_a_piece_and_no_piece_is_large() -> None:
    built = Compressed()
    for _ in range(100):
        built.add_text(b"a" * 10_000)
    pieces = list(PlainPieces(built.body, tuple(built.ends)))
    assert len(pieces) == 4
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_a_text_that_was_kept_is_taken_as_it_is() -> None:
    one, other = Compressed(), Compressed()
    one.add(b"kept" * 100)
    packed = bytes(one.body[one.ends[0] : one.ends[1]])
    other.add(b"new")
    other.add_packed(packed, one.crc, one.length)
    assert b"".join(PlainPieces(other.body, tuple(other.ends))) == b"new" + b"kept" * 100
    assert other.crc == zlib.crc32(b"new" + b"kept" * 100)
