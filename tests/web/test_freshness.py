"""Who shares the polls that requests ask for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import pytest

from exporter.metrics.lane import Lane
from exporter.pages.selection import WHOLE, Selection
from exporter.web.freshness import HANDFUL, SWEEPS_MAX, Freshener
from tests.store_fixture import until

LONG_S = 20.0
BLUE = Selection(group="blue")
FAST, ALL = (Lane.FAST,), (Lane.FAST, Lane.STANDARD, Lane.SLOW)


class Hung:
    """A target whose poll does not end before the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.lanes: list[frozenset[Lane]] = []
        self.ended: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()

    def refresh(self, max_age_s: float, lanes: Iterable[Lane]) -> asyncio.Future[None] | None:
        self.lanes.append(frozenset(lanes))
        self.asked.append(max_age_s)
        return self.ended


class Bench:
    """A freshener over hung targets, of which every second one is blue."""

    def __init__(self, count: int = 2, floor_s: float = LONG_S) -> None:
        self.targets = {f"{'blue' if number % 2 else 'green'}-{number}": Hung() for number in range(count)}
        self.generation = 7
        self.floor_s = floor_s
        self.freshener = Freshener(
            lambda: self.targets, self._shows, lambda: self.generation, lambda: self.floor_s
        )

    def _shows(self, selection: Selection, addr: str) -> bool:
        return selection.group is None or addr.startswith(selection.group)

    def ask(
        self,
        selection: Selection = WHOLE,
        max_age_s: float = 0.0,
        wait_s: float = LONG_S,
        lanes: Iterable[Lane] = FAST,
    ) -> asyncio.Task[int]:
        deadline = time.monotonic() + wait_s
        return asyncio.ensure_future(self.freshener.freshen(selection, max_age_s, deadline, lanes))

    def end(self) -> None:
        for target in self.targets.values():
            if target.ended is not None and not target.ended.done():
                target.ended.set_result(None)

    async def close(self, *asking: asyncio.Task[Any]) -> None:
        self.end()
        await asyncio.gather(*asking)
        await until(lambda: self.freshener.sweeps == 0)


class TestSharing:
    async def test_a_thousand_requests_are_one_sweep_and_ask_for_one_page(self) -> None:
        bench = Bench()
        asking = [bench.ask() for _ in range(1000)]
        await asyncio.sleep(0.01)
        assert bench.freshener.sweeps == 1
        bench.generation = 8
        await bench.close(*asking)
        assert [target.asked for target in bench.targets.values()] == [[0.0], [0.0]]
        assert {request.result() for request in asking} == {8}

    async def test_whoever_wants_older_values_joins_too_and_whoever_wants_newer_ones_causes_one_more(
        self,
    ) -> None:
        bench = Bench()
        asking = [bench.ask(max_age_s=100.0 - number) for number in range(70)]
        await asyncio.sleep(0.01)
        assert bench.freshener.sweeps == 2
        await bench.close(*asking)

    async def test_after_the_floor_there_is_another_one(self) -> None:
        bench = Bench(floor_s=0.01)
        first = bench.ask()
        await asyncio.sleep(0.03)
        second = bench.ask()
        await asyncio.sleep(0.01)
        assert bench.freshener.sweeps == 2
        await bench.close(first, second)

    async def test_the_floor_may_change(self) -> None:
        bench = Bench()
        first = bench.ask()
        await asyncio.sleep(0.03)
        bench.floor_s = 0.01
        second = bench.ask()
        await asyncio.sleep(0.01)
        assert bench.freshener.sweeps == 2
        await bench.close(first, second)

    async def test_a_request_that_leaves_takes_nothing_from_the_others(self) -> None:
        bench = Bench()
        first, second = bench.ask(), bench.ask()
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert bench.freshener.sweeps == 1
        await bench.close(second)


class TestLanes:
    async def test_are_those_of_the_request(self) -> None:
        bench = Bench(1)
        asking = bench.ask(lanes=(Lane.SLOW, Lane.FAST))
        await asyncio.sleep(0.01)
        assert bench.targets["green-0"].lanes == [{Lane.FAST, Lane.SLOW}]
        await bench.close(asking)

    async def test_whoever_wants_some_of_the_lanes_joins_a_sweep_of_more(self) -> None:
        bench = Bench()
        asking = [bench.ask(lanes=ALL), bench.ask(), bench.ask(lanes=(Lane.SLOW,))]
        await asyncio.sleep(0.01)
        assert bench.freshener.sweeps == 1
        await bench.close(*asking)

    async def test_a_lane_that_no_sweep_has_causes_one_more_of_what_was_asked_for(self) -> None:
        bench = Bench(1)
        asking = [bench.ask(), bench.ask(max_age_s=40.0, lanes=ALL)]
        await asyncio.sleep(0.01)
        assert bench.targets["green-0"].lanes == [{*FAST}, {*ALL}]
        assert bench.targets["green-0"].asked == [0.0, 40.0]
        await bench.close(*asking)

    async def test_any_mixture_of_requests_is_a_bounded_number_of_sweeps(self) -> None:
        bench = Bench()
        chosen = [lanes for count in (1, 2, 3) for lanes in combinations(ALL, count)]
        asking = [bench.ask(max_age_s=100.0 - age, lanes=lanes) for age in range(70) for lanes in chosen]
        await asyncio.sleep(0.01)
        assert bench.freshener.sweeps <= 2 * len(chosen)
        await bench.close(*asking)


class TestBounds:
    async def test_a_request_goes_on_at_its_deadline_with_what_there_is(self) -> None:
        bench = Bench()
        assert await bench.ask(wait_s=0.01) == 7
        assert bench.freshener.sweeps == 1
        await bench.close()

    async def test_odd_pages_have_a_bounded_number_of_sweeps_and_the_whole_always_has_one(self) -> None:
        bench = Bench()
        asking = [
            bench.ask(Selection(group="blue", slice=(0, number + 1))) for number in range(SWEEPS_MAX + 50)
        ]
        await asyncio.sleep(0.01)
        assert bench.freshener.sweeps == SWEEPS_MAX
        assert sum(request.done() for request in asking) == 50
        asking.append(bench.ask())
        await asyncio.sleep(0.01)
        assert bench.freshener.sweeps == SWEEPS_MAX + 1
        await bench.close(*asking)

    async def test_only_targets_on_the_page_are_polled(self) -> None:
        bench = Bench()
        asking = bench.ask(BLUE)
        await asyncio.sleep(0.01)
        assert [bool(target.asked) for target in bench.targets.values()] == [False, True]
        await bench.close(asking)

    async def test_the_walk_over_all_targets_lets_the_loop_go_round(self) -> None:
        bench = Bench(10 * HANDFUL)
        asking = bench.ask()
        counts = []
        while not all(target.asked for target in bench.targets.values()):
            await asyncio.sleep(0)
            counts.append(sum(bool(target.asked) for target in bench.targets.values()))
        assert max(later - before for before, later in zip([0, *counts], counts, strict=False)) <= HANDFUL
        await bench.close(asking)

    @pytest.mark.parametrize("selection", [WHOLE, BLUE])
    async def test_where_nothing_needs_a_poll_nobody_waits(self, selection: Selection) -> None:
        bench = Bench()
        for target in bench.targets.values():
            target.ended = None
        assert await asyncio.wait_for(bench.ask(selection), LONG_S / 2) == 7
        await bench.close()
