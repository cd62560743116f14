"""Who must go when the places are taken, and who may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from exporter.web import guard as guards
from exporter.web.guard import IDLE, INCOMPLETE, SLOW, WAITING, YOUNG, Guard
from exporter.web.incidents import Incidents
from exporter.web.limits import HttpLimits
from tests.store_fixture import until


class Guest:
    def __init__(self, guard: Guard, rank: int | None, since: float = 0.0) -> None:
        self._guard = guard
        self._rank = rank
        self.since = since
        self.reason = ""
        self.late = ""

    def rank(self, now: float) -> tuple[int, float] | None:
        return None if self._rank is None else (self._rank, self.since)

    def overdue(self, now: float) -> str:
        return self.late

    def end(self, reason: str) -> None:
        self.reason = reason
        self._guard.leave(self)


@pytest_asyncio.fixture
async def guard() -> AsyncIterator[Guard]:
    guard = Guard(HttpLimits(places=6, places_per_address=4), Incidents())
    yield guard
    guard.close()


def fill(guard: Guard, *ranks: int | None, address: str = "a") -> list[Guest]:
    guests = [Guest(guard, rank, since) for since, rank in enumerate(ranks)]
    for guest in guests:
        assert guard.enter(guest, address)
        if guest.rank(0) is None or guest.rank(0)[0] not in (INCOMPLETE, YOUNG):  # type: ignore[index]
            guard.settle(guest)
    return guests


@pytest.mark.parametrize(
    ("ranks", "gone"),
    [
        ((IDLE, INCOMPLETE, INCOMPLETE, SLOW), 1),
        ((IDLE, IDLE, SLOW, YOUNG), 0),
        ((WAITING, SLOW, SLOW, YOUNG), 1),
        ((None, WAITING, YOUNG, None), 2),
        ((None, None, None, WAITING), 3),
    ],
)
async def test_the_least_useful_one_makes_room_the_oldest_of_its_kind_first(
    guard: Guard, ranks: tuple[int | None, ...], gone: int
) -> None:
    guests = fill(guard, *ranks)
    assert guard.enter(Guest(guard, YOUNG), "a")
    assert [number for number, guest in enumerate(guests) if guest.reason == "evicted"] == [gone]
    assert len(guard) == 4


async def test_nobody_goes_who_is_being_answered(guard: Guard) -> None:
    guests = fill(guard, None, None, None, None)
    assert not guard.enter(Guest(guard, YOUNG), "a")
    assert guard.incidents.counts["refused"] == 1
    assert all(not guest.reason for guest in guests)


async def test_an_address_makes_room_among_its_own(guard: Guard) -> None:
    others = fill(guard, INCOMPLETE, INCOMPLETE, address="b")
    crowd = fill(guard, INCOMPLETE, INCOMPLETE, INCOMPLETE, INCOMPLETE)
    for _ in range(20):
        assert guard.enter(Guest(guard, INCOMPLETE), "a")
    assert all(not guest.reason for guest in others)
    assert all(guest.reason for guest in crowd)
    assert len(guard) == 6


async def test_all_together_have_a_bound_of_their_own(guard: Guard) -> None:
    for number in range(50):
        assert guard.enter(Guest(guard, INCOMPLETE), f"address {number}")
    assert len(guard) == 6


async def test_the_log_names_the_client_that_finds_no_room(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    fill(guard, None, None, None, None, address="192.0.2.7")
    assert not guard.enter(Guest(guard, None), "192.0.2.7")
    assert [record.__dict__["client"] for record in caplog.records] == ["192.0.2.7"]


async def test_who_is_overdue_is_ended(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "SWEEP_S", 0.01)
    first, second = fill(guard, IDLE, IDLE)
    first.late = "idle"
    await until(lambda: first.reason)
    assert (first.reason, second.reason, len(guard)) == ("idle", "", 1)


async def test_time_limits_are_checked_often_only_while_somebody_is_not_idle(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "SWEEP_S", 0.01)
    looks: list[str] = []

    class Watched(Guest):
        def overdue(self, now: float) -> str:
            looks.append("look")
            return self.late

    guest = Watched(guard, WAITING)
    assert guard.enter(guest, "a")
    await until(lambda: len(looks) >= 3)
    guest._rank = IDLE
    await until(lambda: guard._is_calm)
    assert guard._timer is not None
    loop = asyncio.get_running_loop()
    assert guard._timer.when() - loop.time() > guards.CALM_SWEEP_S / 2
    guest._rank = WAITING
    guard.stir()  # as its connection does when bytes come
    assert guard._timer.when() - loop.time() <= guards.SWEEP_S + 0.001
    guest.late = "request_timeout"
    await until(lambda: guest.reason == "request_timeout")


async def test_a_place_is_handed_on(guard: Guard) -> None:
    before, *_ = fill(guard, INCOMPLETE, None, None, None)
    after = Guest(guard, None)
    assert guard.replace(before, after)
    assert list(guard)[-1] is after
    assert len(guard) == 4
    assert not guard.replace(before, Guest(guard, None))


class TestAddressesWithFewConnections:
    """20 places, 10 for one address, 4 kept for addresses with fewer than 4 connections."""

    @pytest_asyncio.fixture
    async def guard(self) -> AsyncIterator[Guard]:
        guard = Guard(HttpLimits(places=20, places_per_address=10), Incidents())
        yield guard
        guard.close()

    async def test_two_addresses_that_hold_all_they_can_leave_a_third_its_places(self, guard: Guard) -> None:
        fill(guard, *[None] * 10, address="a")
        fill(guard, *[None] * 6, address="b")
        assert not guard.enter(Guest(guard, YOUNG), "b")
        fill(guard, None, None, None, None, address="c")
        assert len(guard) == 20

    async def test_its_idle_connection_outlasts_whatever_the_others_do(self, guard: Guard) -> None:
        (scraper,) = fill(guard, IDLE, address="c")
        fill(guard, *[None] * 10, address="a")
        fill(guard, *[None] * 5, address="b")
        for _ in range(20):
            assert not guard.enter(Guest(guard, YOUNG), "b")
        for number in range(20):
            assert guard.enter(Guest(guard, YOUNG), f"address {number}")
        assert scraper.reason == ""

    async def test_its_request_on_the_way_is_not_closed_for_a_crowd(self, guard: Guard) -> None:
        (scraper,) = fill(guard, YOUNG, address="c")
        fill(guard, *[None] * 10, address="a")
        fill(guard, *[None] * 5, address="b")
        assert not guard.enter(Guest(guard, YOUNG), "b")
        assert scraper.reason == ""

    async def test_the_address_with_the_most_closes_its_own_first(self, guard: Guard) -> None:
        others = fill(guard, IDLE, IDLE, IDLE, IDLE, IDLE, IDLE, address="b")
        crowd = fill(guard, None, SLOW, WAITING, YOUNG, None, None, None, None, None, address="a")
        (_,) = fill(guard, None, address="c")
        assert guard.enter(Guest(guard, None), "a")
        assert [guest for guest in crowd if guest.reason] == [crowd[1]]
        assert not any(guest.reason for guest in others)

    async def test_idle_connections_of_few_make_room_when_there_is_nothing_else(self, guard: Guard) -> None:
        guests = [fill(guard, IDLE, address=f"address {number}")[0] for number in range(20)]
        assert guard.enter(Guest(guard, YOUNG), "one more")
        assert sum(guest.reason == "evicted" for guest in guests) == 1

    async def test_a_handshake_that_ends_needs_no_room(self, guard: Guard) -> None:
        before, *_ = fill(guard, YOUNG, *[None] * 9, address="a")
        fill(guard, *[None] * 6, address="b")
        for address in "cdef":
            fill(guard, None, address=address)
        assert guard.replace(before, Guest(guard, None))
        assert len(guard) == 20
