"""Choices that an input makes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.case import CUTS_MAX, Script


def test_the_beginning_of_an_input_chooses_and_the_rest_is_left() -> None:
    script = Script(b"\x05\x01\x00\x02abcdef")
    assert (script.below(4), script.below(1000), script.piece(10), script.rest()) == (1, 256, b"ab", b"cdef")
    assert script.is_over


def test_after_the_end_each_choice_is_the_first_one() -> None:
    script = Script(b"")
    assert (script.below(9), script.one_of("abc"), script.piece(5), script.rest()) == (0, "a", b"", b"")
    assert script.is_over


@given(st.binary(max_size=60))
def test_pieces_make_the_whole_again(data: bytes) -> None:
    script, again = Script(data), Script(data)
    again._take(1 + 2 * (data[0] % (CUTS_MAX + 1)) if data else 0)
    pieces = script.pieces()
    assert b"".join(pieces) == again.rest()
    assert all(pieces)
