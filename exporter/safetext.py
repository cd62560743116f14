"""Texts that strangers choose, made fit for a label, a log line or a page. Pure."""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd"

#: halves of UTF-16 pairs: no text of UTF-8 holds one; bytes that are not UTF-8 come as such
_LONE = re.compile("[\ud800-\udfff]")
#: control characters, and those that change the direction of the text around them
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def valid(text: str) -> str:
    """The text as UTF-8 can hold it: U+FFFD stands for what it cannot."""
    return text if text.isascii() else _LONE.sub(REPLACEMENT, text)


def safe(text: str, length: int) -> str:
    """At most `length` characters of the text, valid and without control characters."""
    return _CONTROL.sub("", valid(text[: 2 * length]))[:length]
