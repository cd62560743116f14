"""An expression of the operator's on a name of a server's has a limit of time."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from exporter.app.garbage import old_objects_left_alone
from exporter.errors import TargetError
from exporter.options.patterns import NAME_MAX, SEARCH_S, NamePattern


@pytest.mark.parametrize(
    ("text", "name", "fits"),
    [
        (".*", "", True),
        ("^idx:", "idx:a", True),
        ("^idx:", "a idx:", False),
        ("b", "abc", True),
        ("(?i)A", "a", True),
        ("^a$", "ä", False),
    ],
)
def test_it_is_found_anywhere_in_a_name(text: str, name: str, fits: bool) -> None:
    assert NamePattern(text).fits(name) is fits


@pytest.mark.parametrize(
    "text", ["(", "[a", "a{3,1}", "(?P<x>a)(?P<x", "\\", "(?:a{99999999999})", "(" * 100_000 + ")" * 100_000]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        NamePattern(text)


def test_one_that_takes_too_long_says_so() -> None:
    with pytest.raises(
        TargetError, match="--check-search-indexes: a name of the server takes longer than 5 ms"
    ):
        NamePattern("(x+x+)+y", "--check-search-indexes").fits("x" * 200)


@pytest.mark.parametrize("text", ["^(a+)+$", "^([a-z]+-?)+$", "(x+x+)+y", "^(a|a?)+$", "^(.*a){20}$"])
def test_none_holds_the_caller(text: str) -> None:
    pattern = NamePattern(text)
    began_s = time.thread_time()
    for name in ("a" * 60 + "!", "x" * 200, "aX" * 300):
        with old_objects_left_alone(), suppress(TargetError):  # those of all tests before
            pattern.fits(name)
    assert time.thread_time() - began_s < 20 * SEARCH_S


def test_a_long_name_is_looked_at_up_to_a_limit() -> None:
    assert not NamePattern("b").fits("a" * NAME_MAX + "b")
