"""The value of a generator that asks nothing and pauses during long work."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from exporter.protocol.command import PAUSE, Command, Reply


def pieces_of(generator: Generator[list[Command], list[Reply], Any]) -> tuple[int, Any]:
    """In how many pieces it comes, and its value."""
    pauses = 0
    try:
        while next(generator) == PAUSE:
            pauses += 1
    except StopIteration as end:
        return pauses + 1, end.value
    pytest.fail("it asks")


def value_of(generator: Generator[list[Command], list[Reply], Any]) -> Any:
    return pieces_of(generator)[1]
