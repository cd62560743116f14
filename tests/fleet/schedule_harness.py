"""A schedule under test, and what it reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from itertools import count, pairwise
from selectors import BaseSelector
from typing import Any

import pytest

from exporter.fleet.alignment import Alignment
from exporter.fleet.poll_group import slot_of
from exporter.fleet.schedule import Schedule
from exporter.pages.rhythm import Rhythm
from exporter.pages.selection import WHOLE
from exporter.polling.watched_target import WatchedTarget
from tests.store_fixture import until
from tests.watch_harness import WatchHarness


class ScheduleHarness:
    """A schedule and what it was heard to say."""

    def __init__(self, watch_harness: WatchHarness, alignment: Alignment | None = None) -> None:
        self.watch_harness = watch_harness
        self.lags: list[float] = []
        self.up_changes = 0
        #: those who come to scrape everything
        self.rhythms: list[Rhythm] = []
        whole = Alignment(
            lambda now: {WHOLE: {"p": self.rhythms}} if self.rhythms else {},
            lambda page, addr: True,
            lambda: 0.0,
        )
        self.schedule = Schedule(
            watch_harness.store, self.lags.append, self._note_up_change, alignment or whole
        )

    def _note_up_change(self) -> None:
        self.up_changes += 1

    def add(self, *watched_targets: WatchedTarget) -> None:
        for watched in watched_targets:
            self.schedule.add(watched)

    async def polled(self, watched: WatchedTarget, times: int) -> None:
        """Wait until so many more polls of a target have ended."""
        wanted = len(self.watch_harness.ends(watched)) + times
        await until(lambda: len(self.watch_harness.ends(watched)) >= wanted)


class PollTimes:
    """Notes when targets get their poll_times, and lets nothing be polled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: dict[str, list[float]] = {}
        at = self.at

        def tick(watched: WatchedTarget, now: float, intervals: int = 1) -> None:
            watched.ticked_at = now
            at.setdefault(watched.target.addr, []).append(now)

        monkeypatch.setattr(WatchedTarget, "tick", tick)

    async def taken(self, watched_targets: Sequence[WatchedTarget], times: int) -> None:
        """Wait until each target has had so many."""
        await until(
            lambda: all(len(self.at.get(watched.target.addr, ())) >= times for watched in watched_targets)
        )

    def newest(self) -> list[float]:
        return sorted(times[-1] for times in self.at.values())

    def gaps(self) -> list[float]:
        return [
            gap
            for times in self.at.values()
            for gap in (later - earlier for earlier, later in pairwise(times))
        ]


def move_time_by_timers(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time stand still while this loop of asyncio works, and move on to its next timer when it waits:
    for the loop, both clocks and APScheduler."""
    assert isinstance(loop, asyncio.SelectorEventLoop)
    now = time.monotonic()
    ahead_s = time.time() - now
    selector: BaseSelector = loop._selector  # type: ignore[attr-defined]
    select = selector.select

    def select_and_move(timeout: float | None = None) -> object:
        nonlocal now
        if not timeout:
            return select(timeout)
        found = select(0)
        if not found:
            now += timeout
        return found

    class Virtual(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.fromtimestamp(time.time(), tz)

    monkeypatch.setattr(selector, "select", select_and_move)
    monkeypatch.setattr(loop, "time", lambda: now)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: ahead_s + now)
    for module in ("apscheduler.schedulers.base", "apscheduler.executors.base"):
        monkeypatch.setattr(f"{module}.datetime", Virtual)


def names_in_slot(slot: int) -> Iterator[str]:
    """Addresses of targets that share a time slot."""
    return (name for number in count() if slot_of(name := f"redis://h:{number}") == slot)
