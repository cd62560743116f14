"""Fixtures of all tests of polls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.watch_harness import WatchHarness, WatchHarnessFactory, others, take_none_for_slow


@pytest.fixture
async def make_watch_harness(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WatchHarnessFactory]:
    """Makes harnesses, and closes their watched targets when the test is over. Nothing may be left of any."""
    take_none_for_slow(monkeypatch)
    made: list[WatchHarness] = []

    def make(*args: Any, **kwargs: Any) -> WatchHarness:
        made.append(WatchHarness(*args, **kwargs))
        return made[-1]

    yield make
    for watch_harness in made:
        await watch_harness.close()
        assert watch_harness.limiter.inside == 0
    assert others() == set()


@pytest.fixture
def watch_harness(make_watch_harness: WatchHarnessFactory) -> WatchHarness:
    return make_watch_harness()
