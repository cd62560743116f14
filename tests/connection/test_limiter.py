"""The limiter: a bound, an order by rank, shares of the lower ranks, and those that are counted no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from exporter.connection import limiter as limiters
from exporter.connection.limiter import PASSED_MAX, Admission, Limiter, Rank, wait_at
from tests.store_fixture import until


def enter(limiter: Limiter, name: str, started: list[str], rank: Rank = Rank.UP) -> Admission:
    entry = Admission(limiter, lambda: started.append(name), rank)
    entry.enter()
    return entry


class TestOrder:
    def test_lets_so_many_in_and_the_others_in_their_order_as_room_comes(self) -> None:
        limiter = Limiter(2)
        started: list[str] = []
        entries = [enter(limiter, name, started) for name in "abcd"]
        assert (started, limiter.inside) == (["a", "b"], 2)
        for entry in entries:
            entry.leave()
            entry.leave()  # as good as once
        assert (started, limiter.inside, limiter.under_way) == (["a", "b", "c", "d"], 0, 0)

    def test_targets_that_are_up_come_first_then_new_ones_then_those_that_are_down(self) -> None:
        limiter = Limiter(1)
        started: list[str] = []
        first = enter(limiter, "first", started)
        entries = [enter(limiter, rank.name, started, rank) for rank in (Rank.DOWN, Rank.NEW, Rank.UP)]
        first.leave()
        for entry in reversed(entries):
            entry.leave()
        assert started == ["first", "UP", "NEW", "DOWN"]

    def test_the_lower_ranks_have_a_share_of_the_places_only(self) -> None:
        limiter = Limiter(8)
        started: list[str] = []
        for rank in (Rank.DOWN, Rank.NEW, Rank.UP):
            for _ in range(10):
                enter(limiter, rank.name, started, rank)
        assert [started.count(rank.name) for rank in (Rank.DOWN, Rank.NEW, Rank.UP)] == [4, 2, 2]
        assert limiter.inside == 8

    def test_each_rank_has_a_place_however_few_there_are(self) -> None:
        limiter = Limiter(1)
        started: list[str] = []
        enter(limiter, "down", started, Rank.DOWN)
        assert started == ["down"]

    def test_the_lowest_rank_is_let_in_now_and_then_while_higher_ones_wait(self) -> None:
        limiter = Limiter(1)
        started: list[str] = []
        current = enter(limiter, "first", started)
        enter(limiter, "down", started, Rank.DOWN)
        entries = [enter(limiter, "up", started) for _ in range(3 * PASSED_MAX)]
        current.leave()
        for entry in entries:
            if "down" in started:
                break
            entry.leave()
        assert started.index("down") == PASSED_MAX + 1

    def test_each_rank_is_let_in_now_and_then_while_all_wait(self) -> None:
        limiter = Limiter(1)
        started: list[str] = []
        waiting = [enter(limiter, "first", started)]
        for rank in Rank:
            waiting += [enter(limiter, rank.name, started, rank) for _ in range(200)]
        for _ in range(150):
            next(entry for entry in waiting if not entry.waiting and not entry.left).leave()
        counts = [started.count(rank.name) for rank in Rank]
        assert counts[Rank.UP] > 120
        assert min(counts) >= 150 // (PASSED_MAX + 2)

    def test_whoever_leaves_as_soon_as_he_is_started_makes_room_for_the_next_without_a_deep_stack(
        self,
    ) -> None:
        limiter = Limiter(1)
        first = Admission(limiter, lambda: None)
        first.enter()
        passed: list[int] = []
        entries: list[Admission] = []

        def pass_through(number: int) -> Callable[[], None]:
            def start() -> None:
                passed.append(number)
                entries[number].leave()

            return start

        for number in range(10_000):
            entries.append(Admission(limiter, pass_through(number)))
            entries[-1].enter()
        first.leave()
        assert passed == list(range(10_000))
        assert limiter.inside == 0

    def test_whoever_leaves_while_he_waits_is_never_started(self) -> None:
        limiter = Limiter(1)
        started: list[str] = []
        first, second, third = (enter(limiter, name, started) for name in "abc")
        second.leave()
        first.leave()
        assert (started, limiter.inside) == (["a", "c"], 1)
        third.leave()
        assert limiter.inside == 0


class TestPatience:
    @pytest.mark.asyncio
    async def test_those_inside_for_long_make_room_while_others_wait(self) -> None:
        limiter = Limiter(2, patience_s=0.05)
        started: list[str] = []
        entries = [enter(limiter, name, started) for name in "abcde"]
        assert started == ["a", "b"]
        await until(lambda: len(started) == 5)
        assert limiter.under_way == 5
        assert limiter.inside <= 2
        for entry in entries:
            entry.leave()
        assert (limiter.inside, limiter.under_way) == (0, 0)

    @pytest.mark.asyncio
    async def test_nobody_is_passed_over_while_no_other_waits(self) -> None:
        limiter = Limiter(2, patience_s=0.2)
        started: list[str] = []
        entries = [enter(limiter, name, started) for name in "abc"]
        assert not limiter.quiet
        entries.pop().leave()  # it was the only one that waited
        await until(lambda: limiter.quiet)
        await asyncio.sleep(0.1)
        assert limiter.inside == 2
        for entry in entries:
            entry.leave()

    @pytest.mark.asyncio
    async def test_a_thousand_that_never_answer_hold_up_nobody_for_long(self) -> None:
        limiter = Limiter(100, patience_s=0.02)
        started: list[str] = []
        for _ in range(1000):
            enter(limiter, "silent", started, Rank.NEW)
        enter(limiter, "healthy", started, Rank.UP)
        assert started.index("healthy") == 75  # at once: the last quarter is for those that are up
        enter(limiter, "new", started, Rank.NEW)
        await until(lambda: "new" in started)

    @pytest.mark.asyncio
    async def test_scans_that_are_slow_hold_up_another_for_moments_only(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limiters, "SCAN_PATIENCE_S", 0.05)
        limiter = limiters.scan_limiter(100)
        started: list[str] = []
        for _ in range(limiters.SCANS_MAX):
            enter(limiter, "slow", started)
        enter(limiter, "other", started)
        assert "other" not in started
        await until(lambda: "other" in started)


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    limiter = Limiter(1)
    entry = await wait_at(limiter)
    waiting = asyncio.create_task(wait_at(limiter))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    entry.leave()
    assert limiter.inside == 0
    (await wait_at(limiter)).leave()
