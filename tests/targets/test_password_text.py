"""A password as a file or a command holds it."""

from __future__ import annotations

import pytest

from exporter.options.lengths import CREDENTIAL_MAX
from exporter.targets.password_text import fault


@pytest.mark.parametrize(
    "text", ["s3cret", " with blanks ", "é\t", "{x", "{}x", "\udcff", "p" * CREDENTIAL_MAX]
)
def test_one_line_of_text_is_a_password(text: str) -> None:
    assert fault(text) == ""


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("one\ntwo", "it has several lines"),
        ("one\rtwo", "it has several lines"),
        ('{"redis://h": "p"}', "it is a JSON object"),
        ("\x00", "it has control characters"),
        ("\x7f", "it has control characters"),
        ("p" * (CREDENTIAL_MAX + 1), "65,537 characters are too many"),
    ],
)
def test_what_cannot_be_a_password(text: str, wrong: str) -> None:
    assert fault(text).startswith(wrong)
