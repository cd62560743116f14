"""Texts that strangers choose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.safetext import safe, valid


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Prometheus/2.42.0", "Prometheus/2.42.0"),
        ("Zürich ✓", "Zürich ✓"),
        (b"\xff\xfe!".decode("utf-8", "surrogateescape"), "\ufffd\ufffd!"),
        ("a\r\nb\x00c\x1b[31md\x7f\x85", "abc[31md"),
        ("\u202eabc\u2066", "abc"),
        ("", ""),
    ],
)
def test_what_is_shown_is_valid_and_without_control_characters(text: str, shown: str) -> None:
    assert safe(text, 100) == shown


@given(st.text(st.characters(codec=None, categories=None), max_size=50), st.integers(0, 20))
def test_whatever_is_given_it_can_be_encoded_and_is_not_longer_than_it_may_be(text: str, length: int) -> None:
    shown = safe(text, length)
    assert len(shown) <= length
    assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in shown)
    shown.encode()
    valid(text).encode()
