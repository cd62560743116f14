"""The reading of all polls together takes a bounded time in one turn of the event loop."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from exporter.connection import backlog
from exporter.connection.backlog import Backlog, running_backlog
from tests.servers import PATIENCE_S


class Clock:
    """Stands for the processor's time: it goes on as the steps say."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(backlog, "perf_counter", clock)
    return clock


async def turns_of(steps: list[str], waiting: Backlog) -> list[list[str]]:
    """What was done in each turn of the loop."""
    turns, seen = [], 0
    while len(waiting):
        await asyncio.sleep(0)
        turns.append(steps[seen:])
        seen = len(steps)
    return [turn for turn in turns if turn]


async def test_steps_are_shared_out_to_turns_in_the_order_in_which_they_came(clock: Clock) -> None:
    waiting, done = Backlog(asyncio.get_running_loop(), turn_s=0.005), []

    def work(name: str) -> None:
        clock.now += 0.002
        done.append(name)

    for name in "abcdefgh":
        waiting.add(partial(work, name))
    assert done == []
    assert await turns_of(done, waiting) == [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]]


async def test_one_that_goes_on_waits_behind_the_others(clock: Clock) -> None:
    waiting, done = Backlog(asyncio.get_running_loop()), []

    def work(name: str, more: int) -> None:
        clock.now += 0.003
        done.append(name)
        if more:
            waiting.add(lambda: work(name, more - 1))

    waiting.add(lambda: work("a", 2))
    waiting.add(lambda: work("b", 0))
    waiting.add(lambda: work("c", 1))
    assert await turns_of(done, waiting) == [["a", "b"], ["c", "a"], ["c", "a"]]


async def test_a_step_that_raises_holds_no_other_up(caplog: pytest.LogCaptureFixture) -> None:
    waiting, done = Backlog(asyncio.get_running_loop(), turn_s=PATIENCE_S), []
    waiting.add(lambda: done.append(1 // 0))
    waiting.add(lambda: done.append(2))
    await asyncio.sleep(0)
    assert done == [2]
    assert "ZeroDivisionError" in caplog.text
    waiting.add(lambda: done.append(3))
    await asyncio.sleep(0)
    assert done == [2, 3]


async def test_all_polls_of_a_loop_have_the_same_one() -> None:
    assert running_backlog() is running_backlog()


def test_each_loop_has_its_own() -> None:
    async def mine() -> Backlog:
        return running_backlog()

    assert asyncio.run(mine()) is not asyncio.run(mine())
