"""What the tests of the fleet share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from exporter.fleet import schedule as schedule_module
from tests.fleet.schedule_harness import PollTimes, ScheduleHarness
from tests.watch_harness import WatchHarness, others, take_none_for_slow


@pytest.fixture
async def watch_harness(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WatchHarness]:
    take_none_for_slow(monkeypatch)
    watch_harness = WatchHarness()
    yield watch_harness
    await watch_harness.close()
    assert others() == set()


@pytest.fixture
async def harness(
    watch_harness: WatchHarness, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ScheduleHarness]:
    """Its beat is faster than the real one."""
    monkeypatch.setattr(schedule_module, "BEAT_S", 0.02)
    monkeypatch.setattr(schedule_module, "SLOW_BEAT_S", 0.02)
    harness = ScheduleHarness(watch_harness)
    yield harness
    await harness.schedule.stop()


@pytest.fixture
def poll_times(monkeypatch: pytest.MonkeyPatch) -> PollTimes:
    return PollTimes(monkeypatch)
