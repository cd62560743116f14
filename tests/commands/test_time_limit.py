"""`within`: a limit for the whole time that something takes."""

from __future__ import annotations

import threading

import pytest

from exporter.commands.time_limit import within
from tests.store_fixture import PATIENCE_S


def test_gives_what_the_function_gives() -> None:
    assert within(PATIENCE_S, lambda: 5) == 5


def test_its_error_is_the_callers() -> None:
    def fail() -> None:
        raise KeyError("a")

    with pytest.raises(KeyError, match="a"):
        within(PATIENCE_S, fail)


def test_ends_though_the_function_does_not() -> None:
    hold = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            within(0.05, hold.wait)
    finally:
        hold.set()
