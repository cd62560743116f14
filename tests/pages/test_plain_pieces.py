"""The plain text of a page in pieces: inflated once for all who hold one, and kept no longer."""

from __future__ import annotations

import os

import pytest

from exporter.pages.compressed import PIECE_BYTES
from exporter.pages.page import Draft
from exporter.pages.plain_pieces import PlainPieces

TEXT = os.urandom(100).hex().encode() * (3 * PIECE_BYTES // 200 + 1)


@pytest.fixture
def pieces() -> PlainPieces:
    return Draft((), (), (), TEXT, b"", (), (), 0, 0.0).build().plain


def test_they_are_the_whole_text_in_order(pieces: PlainPieces) -> None:
    assert b"".join(pieces) == TEXT
    assert len(pieces) == len(list(pieces)) == -(-len(TEXT) // PIECE_BYTES)


def test_each_is_had_without_the_ones_before(pieces: PlainPieces) -> None:
    assert pieces.hold(2) == TEXT[2 * PIECE_BYTES : 3 * PIECE_BYTES]


def test_all_who_hold_one_share_it(pieces: PlainPieces) -> None:
    first = pieces.hold(1)
    assert all(pieces.hold(1) is first for _ in range(100))
    assert pieces.held_bytes == len(first)


def test_one_that_nobody_holds_is_not_kept(pieces: PlainPieces) -> None:
    pieces.hold(0)
    pieces.hold(0)
    pieces.hold(1)
    pieces.release(0)
    assert pieces.held_bytes == 2 * PIECE_BYTES
    pieces.release(0)
    assert pieces.held_bytes == PIECE_BYTES
    pieces.release(1)
    assert pieces.held_bytes == 0
