"""The first round: the first polls and scans of all targets."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, cast

import pytest

from exporter.fleet.first_round import FirstRound
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address
from tests.store_fixture import PATIENCE_S

SOON_S = 0.01


class FakeWatched:
    """A target in a state that a test chooses; `scan_by` is when its first scan has ended at the latest."""

    def __init__(self, name: str, up: bool | None = None) -> None:
        self.target = parse_address(name)
        self.up = up
        self.whole = up is False
        self.scanner = self
        self.first_by = math.inf

    def polled(self, up: bool = True, *, scan_s: float = PATIENCE_S) -> WatchedTarget:
        self.up, self.whole = up, not up
        self.first_by = time.monotonic() + scan_s
        return self.as_watched

    def scanned(self) -> WatchedTarget:
        self.whole = True
        return self.as_watched

    @property
    def as_watched(self) -> WatchedTarget:
        return cast(WatchedTarget, self)


@pytest.fixture
async def first_round() -> FirstRound:
    return FirstRound()


def add(first_round: FirstRound, *names: str) -> list[FakeWatched]:
    found = [FakeWatched(name) for name in names]
    for each in found:
        first_round.add(each.target.addr)
    return found


async def has_ended(waiting: asyncio.Task[Any]) -> bool:
    await asyncio.sleep(0)
    return waiting.done()


class TestPolls:
    async def test_without_targets_there_is_nothing_to_wait_for(self, first_round: FirstRound) -> None:
        assert first_round.polls_done
        assert first_round.done
        await first_round.wait_polls(PATIENCE_S)
        await first_round.wait(PATIENCE_S)

    async def test_they_are_done_when_every_target_was_attempted_well_or_not(
        self, first_round: FirstRound
    ) -> None:
        one, other = add(first_round, "one", "other")
        waiting = asyncio.create_task(first_round.wait_polls(PATIENCE_S))
        first_round.note(one.polled())
        first_round.note(one.polled())
        assert not first_round.polls_done
        first_round.note(other.polled(up=False))
        assert first_round.polls_done
        await waiting

    async def test_ends_matter_until_nobody_is_waited_for(self, first_round: FirstRound) -> None:
        assert not first_round.waits
        [one] = add(first_round, "one")
        assert first_round.waits
        first_round.note(one.polled())
        assert first_round.waits  # for its scan
        first_round.note(one.scanned())
        assert not first_round.waits

    async def test_a_target_that_is_removed_is_not_waited_for(self, first_round: FirstRound) -> None:
        [one] = add(first_round, "one")
        first_round.remove(one.target.addr)
        assert first_round.polls_done
        assert first_round.done

    async def test_a_target_that_comes_later_has_one_too(self, first_round: FirstRound) -> None:
        [one] = add(first_round, "one")
        first_round.note(one.polled())
        [late] = add(first_round, "late")
        assert not first_round.polls_done
        first_round.note(late.polled())
        assert first_round.polls_done

    async def test_nobody_waits_longer_than_said(self, first_round: FirstRound) -> None:
        add(first_round, "one")
        await first_round.wait_polls(SOON_S)
        await first_round.wait(SOON_S)
        assert not first_round.polls_done


class TestScans:
    async def test_it_is_done_when_every_target_that_is_up_was_scanned(self, first_round: FirstRound) -> None:
        one, other, down = add(first_round, "one", "other", "down")
        waiting = asyncio.create_task(first_round.wait(PATIENCE_S))
        for each in (one, other):
            first_round.note(each.polled())
        first_round.note(down.polled(up=False))
        assert first_round.polls_done
        first_round.note(one.scanned())
        assert not await has_ended(waiting)
        assert not first_round.done
        first_round.note(other.scanned())
        assert first_round.done
        await waiting

    async def test_a_poll_that_was_cancelled_changes_nothing(self, first_round: FirstRound) -> None:
        one, other = add(first_round, "one", "other")
        first_round.note(one.as_watched)
        first_round.note(other.polled(scan_s=SOON_S))
        await first_round.wait(PATIENCE_S)
        assert first_round.done

    async def test_scans_that_take_longer_than_they_may_are_not_waited_for(
        self, first_round: FirstRound
    ) -> None:
        slow, slower = add(first_round, "slow", "slower")
        began_at = time.monotonic()
        first_round.note(slow.polled(scan_s=SOON_S))
        first_round.note(slower.polled(scan_s=3 * SOON_S))
        await first_round.wait(PATIENCE_S)
        assert first_round.done
        assert 2 * SOON_S < time.monotonic() - began_at < PATIENCE_S / 2

    async def test_nobody_waits_longer_than_said(self, first_round: FirstRound) -> None:
        [one] = add(first_round, "one")
        first_round.note(one.polled())
        await first_round.wait(SOON_S)
        assert not first_round.done

    async def test_of_targets_that_come_later_delay_nobody(self, first_round: FirstRound) -> None:
        [one] = add(first_round, "one")
        first_round.note(one.polled())
        first_round.note(one.scanned())
        [late] = add(first_round, "late")
        first_round.note(late.polled())
        assert first_round.done
        await first_round.wait(PATIENCE_S)
