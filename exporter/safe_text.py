"""Texts that any output can hold: valid UTF-8, on one line, of a bounded length.

What the program reads (arguments, variables, file names) may hold bytes that are not UTF-8. Python keeps them
as lone surrogates, and every encoder raises on those.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
#: characters that could begin a line that nobody wrote, drive a terminal, or turn the order of what is shown
UNPRINTED = (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_ESCAPES = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in UNPRINTED} | {
    ord("\n"): "\\n"
}

_LEFT_OUT = dict.fromkeys(UNPRINTED)


def valid(text: str) -> str:
    """`text` with U+FFFD for each byte that was not UTF-8."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def plain(text: str, length_max: int) -> str:
    """A valid text of at most `length_max` characters, without control characters: a name that a stranger
    chose, as a label's value."""
    return valid(text[: 2 * length_max]).translate(_LEFT_OUT)[:length_max]


def one_line(text: str, length_max: int = 4096) -> str:
    """A valid text of at most `length_max` characters (before escaping), with control characters written as
    escapes."""
    return valid(shorten(text, length_max)).translate(_ESCAPES)


def shorten(text: str, length_max: int) -> str:
    """At most `length_max` characters; the last one says where a longer text was cut."""
    return text if len(text) <= length_max else f"{text[: length_max - 1]}…"


def given_bytes(text: str) -> bytes:
    """The bytes of a value as they were given, UTF-8 or not."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte: JSON and YAML can write one
        return text.encode("utf-8", "surrogatepass")
