"""Work that is done once at a time, however many ask for it."""

from __future__ import annotations

import asyncio

import pytest

from exporter.single_flight import SingleFlight


class Work:
    """Counts how often it is begun, and how many are under way at once."""

    def __init__(self) -> None:
        self.begun = self.inside = self.most = 0
        self.may_end = asyncio.Event()

    async def do(self) -> int:
        self.begun += 1
        number = self.begun
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.may_end.wait()
        finally:
            self.inside -= 1
        return number


async def test_those_who_ask_while_it_runs_share_the_next_turn() -> None:
    work = Work()
    turns = SingleFlight(work.do)
    first = asyncio.ensure_future(turns.run())
    await asyncio.sleep(0.01)
    others = [asyncio.ensure_future(turns.run()) for _ in range(20)]
    await asyncio.sleep(0.01)
    work.may_end.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2] * 20
    assert (work.begun, work.most) == (2, 1)
    assert await turns.run() == 3


async def test_who_leaves_ends_nothing() -> None:
    work = Work()
    turns = SingleFlight(work.do)
    first = asyncio.ensure_future(turns.run())
    await asyncio.sleep(0.01)
    second = asyncio.ensure_future(turns.run())
    await asyncio.sleep(0.01)
    first.cancel()
    second.cancel()
    work.may_end.set()
    assert await turns.run() == 2


async def test_a_failure_is_that_of_its_turn() -> None:
    outcomes = iter([ValueError("no"), None])

    async def work() -> str:
        await asyncio.sleep(0.01)
        error = next(outcomes)
        if error is not None:
            raise error
        return "well"

    turns = SingleFlight(work)
    failing = [asyncio.ensure_future(turns.run()) for _ in range(2)]
    await asyncio.sleep(0)
    for each in failing:
        with pytest.raises(ValueError, match="no"):
            await each
    assert await turns.run() == "well"
