"""Which patterns Lua can read. `tests.collectors.test_key_groups` asks a real server whether it agrees."""

from __future__ import annotations

import pytest

from exporter.options.lua_patterns import fault_of

WELL = [
    "", "a", "^(.*)_[0-9]+$", "[]a]", "[^]]", "[%]]", "%b()", "%f[%w]x", "(%w+):%1", "()a()", "((a)(b))",
    "%%",
    "-",
    "*", "a-$", ")", "a)", "]",
    "(" * 32 + ")" * 32,
]  # fmt: skip
ILL = [
    "%", "a%", "[", "[a", "[]", "[^]", "[%]", "[a%", "%b", "%b(", "(", "(()", ".)", "a.)", "%1", "(%1)",
    "(a)%2",
    "%0",
    "(" * 33 + ")" * 33,
]  # fmt: skip


@pytest.mark.parametrize("pattern", WELL)
def test_a_pattern_that_can_be_read(pattern: str) -> None:
    assert fault_of(pattern) == ""


@pytest.mark.parametrize("pattern", [*ILL, "%f", "%fa"])
def test_a_pattern_that_cannot_be_read(pattern: str) -> None:
    assert fault_of(pattern)
