"""Texts that any output can hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.safe_text import one_line, plain, shorten, valid

ANY = st.text(st.characters(exclude_categories=())) | st.binary().map(
    lambda data: data.decode("utf-8", "surrogateescape")
)


@given(ANY)
def test_a_valid_text_can_be_encoded(text: str) -> None:
    assert len(valid(text).encode().decode()) == len(text)


@given(ANY)
def test_one_line_has_one_line_that_can_be_encoded(text: str) -> None:
    one_line(text).encode()
    assert len(one_line(text).splitlines()) <= 1


@pytest.mark.parametrize("text", ["", "plain", "été", "日本", "\U0001f600"])
def test_what_is_valid_stays(text: str) -> None:
    assert valid(text) == one_line(text) == text


def test_a_long_text_is_cut_where_it_shows() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
    assert len(one_line("x" * 10_000, 100)) == 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Prometheus/2.42.0", "Prometheus/2.42.0"),
        (b"\xff\xfe!".decode("utf-8", "surrogateescape"), "\ufffd\ufffd!"),
        ("a\r\nb\x00c\x1b[31md\x7f\x85", "abc[31md"),
        ("\u202eabc\u2066", "abc"),
    ],
)
def test_a_stranger_s_name_loses_what_is_no_sign(text: str, shown: str) -> None:
    assert plain(text, 100) == shown


@given(ANY, st.integers(0, 20))
def test_it_can_be_encoded_and_is_not_longer_than_it_may_be(text: str, length: int) -> None:
    plain(text, length).encode()
    assert len(plain(text, length)) <= length
    assert one_line(plain(text, length)) == plain(text, length)
