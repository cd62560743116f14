"""The two engines, and what their cases share."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from typing import Any

from exporter import engine
from exporter.engine import plain

PLAIN: Any = plain
#: the plain one again where no other is built
COMPILED: Any = importlib.import_module("exporter._fastparse") if engine.ENGINE == "compiled" else plain
BOTH: tuple[Any, Any] = (COMPILED, PLAIN)

#: as Prometheus' lexer reads a sample of text format 0.0.4
_VALUE = rb'"(?:[^"\\\n]|\\["\\n])*"'
_LABEL = rb"[a-zA-Z_][a-zA-Z0-9_]*=" + _VALUE
_SAMPLE = re.compile(
    rb"([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{%b(?:,%b)*\})?) "
    rb"[+-]?(?:[0-9.]+(?:e[+-]?[0-9]+)?|Inf|NaN)(?: [0-9]+)?" % (_LABEL, _LABEL)
)
_HEADER = re.compile(
    rb"# (?:HELP [a-zA-Z_:][a-zA-Z0-9_:]* [^\n]+"
    rb"|TYPE [a-zA-Z_:][a-zA-Z0-9_:]* (?:gauge|counter|summary|histogram|untyped))"
)
#: lines that were valid once: most lines of most pages come again
_KNOWN_MAX = 200_000
_known: dict[bytes, bytes] = {}


def assert_exposition(page: bytes) -> None:
    """Prometheus takes the page: each line is valid, each series comes once, and all of it is UTF-8."""
    page.decode()
    assert not page or page.endswith(b"\n")
    heads = [_known.get(line) or _head_of(line) for line in page.split(b"\n")[:-1]]
    assert len(set(heads)) == len(heads), f"twice: {_first_twice(heads)!r}"


def _head_of(line: bytes) -> bytes:
    """The series of a sample; a header is its own head."""
    match = _SAMPLE.fullmatch(line)
    assert match or _HEADER.fullmatch(line), f"not valid: {line[:300]!r}"
    head = match[1] if match else line
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    _known[line] = head
    return head


def _first_twice(heads: Iterable[bytes]) -> bytes:
    seen: set[bytes] = set()
    return next(head for head in heads if head in seen or seen.add(head))  # type: ignore[func-returns-value]
