"""Targets that are not polled for a while: what of them is shown, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

import pytest

from exporter.errors import ConfigError
from exporter.fleet.fleet import Fleet
from exporter.fleet.pauses import Pauses
from exporter.metrics.store import Store
from exporter.polling.assignment import Assignment, Services
from exporter.polling.watched_target import WatchedTarget
from tests.fleet.schedule_harness import ScheduleHarness
from tests.servers import RedisServer
from tests.store_fixture import until
from tests.watch_harness import RedisFactory, connections

UNTIL = "redis_exporter_target_paused_until_timestamp_seconds"
LONG_S = 3600.0


class Setup:
    """A fleet that polls two names of one server."""

    def __init__(self, harness: ScheduleHarness, server: RedisServer) -> None:
        self.harness = harness.watch_harness
        self.server = server
        made = [
            self.harness.watched(server.port, name=f"redis://h{number}:6379", alias=f"h{number}")
            for number in range(2)
        ]
        self.assignments = [watched.assignment for watched in made]
        self.addrs = [watched.target.addr for watched in made]
        self.changes = 0
        self.fleet = Fleet(
            harness.schedule,
            self._watch,
            on_change=self._count,
            is_held=lambda watched: self.pauses.keep(watched),
        )
        self.pauses = Pauses(self.fleet)
        self.schedule = harness.schedule

    def _count(self) -> None:
        self.changes += 1

    def _watch(self, assignment: Assignment) -> WatchedTarget:
        harness = self.harness
        services = Services(harness.dialer, harness.store, harness.limiter, harness.limiter)
        return WatchedTarget(assignment, services, self.fleet.note)

    @property
    def store(self) -> Store:
        return self.harness.store

    def watched(self, number: int) -> WatchedTarget:
        return self.fleet.watched_targets[self.addrs[number]]

    def names(self, number: int) -> set[str]:
        """The names of all series of a target."""
        return {name for name, _ in self.harness.series(self.watched(number))}

    async def start(self) -> None:
        self.schedule.start()
        await self.fleet.apply(self.assignments)
        await until(lambda: self.watched(0).up and self.watched(1).up)


@pytest.fixture
async def setup(harness: ScheduleHarness, redis_server: RedisFactory) -> Setup:
    setup = Setup(harness, redis_server())
    await setup.start()
    return setup


class TestPause:
    async def test_nothing_is_left_but_until_when(self, setup: Setup) -> None:
        before = time.time()
        until_s = setup.pauses.begin(setup.addrs[0], LONG_S)
        assert before + LONG_S <= until_s <= time.time() + LONG_S
        assert setup.names(0) == {UNTIL}
        assert setup.harness.number(setup.watched(0), UNTIL, "h0") == pytest.approx(until_s, abs=0.01)
        assert setup.pauses.until(setup.addrs[0]) == until_s
        assert "redis_up" in setup.names(1)
        assert setup.changes
        setup.pauses.close()

    async def test_it_has_no_connection_and_is_not_polled(self, setup: Setup) -> None:
        assert connections(setup.server) == 2
        setup.pauses.begin(setup.addrs[0], LONG_S)
        await until(lambda: connections(setup.server) == 1)
        watched, polls = setup.watched(0), setup.watched(1).state.series.lanes
        await until(lambda: next(iter(polls.values())).polls > 3)
        assert watched.refresh(0.0) is None
        await watched.fresh(None, time.monotonic() + LONG_S)
        assert setup.names(0) == {UNTIL}
        assert connections(setup.server) == 1
        setup.pauses.close()

    async def test_it_counts_neither_as_down_nor_as_unknown(self, setup: Setup) -> None:
        assert setup.fleet.states() == {"up": 2, "down": 0, "unknown": 0}
        setup.pauses.begin(setup.addrs[0], LONG_S)
        assert setup.fleet.states() == {"up": 1, "down": 0, "unknown": 0, "paused": 1}
        assert setup.watched(0).up is None
        setup.pauses.close()

    async def test_its_variants_go(self, setup: Setup) -> None:
        assignment = setup.assignments[0]
        for number in range(2):
            target = replace(setup.assignments[number].target, variant="other keys")
            setup.fleet.adopt(replace(assignment, target=target))
        await until(lambda: connections(setup.server) == 4)
        setup.pauses.begin(setup.addrs[0], LONG_S)
        assert list(setup.fleet.adopted_targets) == [f"{setup.addrs[1]} other keys"]
        await until(lambda: connections(setup.server) == 2)
        setup.pauses.close()

    async def test_nobody_waits_for_its_first_poll(self, setup: Setup) -> None:
        setup.server.pause()
        try:
            setup.fleet.renew(setup.addrs[0])
            assert not setup.fleet.first_round.polls_done
            setup.pauses.begin(setup.addrs[0], LONG_S)
            assert setup.fleet.first_round.polls_done
        finally:
            setup.server.resume()
        setup.pauses.close()

    async def test_the_server_is_still_known_to_lists(self, setup: Setup) -> None:
        setup.pauses.begin(setup.addrs[0], LONG_S)
        facts = setup.watched(0).facts
        assert facts is not None
        assert facts.role == "master"
        setup.pauses.close()


class TestEnd:
    async def test_it_ends_by_itself_and_all_series_are_back(
        self, setup: Setup, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "exporter.fleet.pauses"):
            setup.pauses.begin(setup.addrs[0], 0.2)
            await until(lambda: setup.watched(0).up)
        assert UNTIL not in setup.names(0)
        assert {"redis_up", "redis_commands_total"} <= setup.names(0)
        assert setup.pauses.until(setup.addrs[0]) is None
        assert [record.message for record in caplog.records if record.name == "exporter.fleet.pauses"] == [
            "polls pause for 0.2 s: a request asked for that",
            "polls go on: its time is over",
        ]

    async def test_a_request_ends_it(self, setup: Setup) -> None:
        setup.pauses.begin(setup.addrs[0], LONG_S)
        setup.pauses.end(setup.addrs[0])
        assert UNTIL not in setup.names(0)
        await until(lambda: setup.watched(0).up)
        setup.pauses.end(setup.addrs[0])  # there is none: nothing happens

    async def test_another_pause_takes_the_place_of_the_first(self, setup: Setup) -> None:
        setup.pauses.begin(setup.addrs[0], 0.3)
        until_s = setup.pauses.begin(setup.addrs[0], LONG_S)
        await asyncio.sleep(0.5)  # the first one would have ended
        assert setup.pauses.until(setup.addrs[0]) == until_s
        assert setup.names(0) == {UNTIL}
        setup.pauses.close()


class TestChanges:
    async def test_it_survives_a_change_of_the_target(self, setup: Setup) -> None:
        setup.pauses.begin(setup.addrs[0], LONG_S)
        first, second = setup.assignments
        changed = replace(first, target=replace(first.target, alias="other"))
        await setup.fleet.apply([changed, second])
        assert setup.watched(0).target.alias == "other"
        assert setup.names(0) == {UNTIL}
        await asyncio.sleep(3 * first.timing.interval_s)
        assert connections(setup.server) == 1
        setup.pauses.close()

    async def test_it_survives_that_the_target_goes_and_comes_back(self, setup: Setup) -> None:
        setup.pauses.begin(setup.addrs[0], LONG_S)
        await setup.fleet.apply(setup.assignments[1:])
        assert setup.store.get(setup.addrs[0], "target") is None
        await setup.fleet.apply(setup.assignments)
        assert setup.names(0) == {UNTIL}
        assert setup.fleet.first_round.polls_done
        setup.pauses.close()

    async def test_it_survives_that_the_target_is_adopted_before_it_comes_back(self, setup: Setup) -> None:
        setup.pauses.begin(setup.addrs[0], LONG_S)
        await setup.fleet.apply(setup.assignments[1:])
        setup.fleet.adopt(setup.assignments[0])
        await setup.fleet.apply(setup.assignments)
        assert setup.names(0) == {UNTIL}
        assert setup.fleet.adopted_targets == {}
        await until(lambda: connections(setup.server) == 1)
        setup.pauses.close()

    async def test_what_is_on_no_page_but_its_own_stays_so(self, setup: Setup) -> None:
        first, second = setup.assignments
        elsewhere = replace(first, target=replace(first.target, elsewhere=True))
        await setup.fleet.apply([elsewhere, second])
        setup.pauses.begin(setup.addrs[0], LONG_S)
        assert list(setup.store.addrs()) == [setup.addrs[1]]
        await setup.fleet.apply([second])
        await setup.fleet.apply([elsewhere, second])
        assert list(setup.store.addrs()) == [setup.addrs[1]]
        await setup.fleet.apply([first, second])
        assert set(setup.store.addrs()) == set(setup.addrs)
        assert setup.names(0) == {UNTIL}
        setup.pauses.close()

    async def test_one_that_is_gone_at_the_end_stays_gone(self, setup: Setup) -> None:
        setup.pauses.begin(setup.addrs[0], LONG_S)
        await setup.fleet.apply(setup.assignments[1:])
        setup.pauses.end(setup.addrs[0])
        assert list(setup.fleet.watched_targets) == setup.addrs[1:]


class TestFind:
    async def test_by_alias_and_by_address(self, setup: Setup) -> None:
        assert setup.pauses.find("h0") == setup.addrs[0]
        assert setup.pauses.find("REDIS://h0") == setup.addrs[0]
        assert setup.pauses.find("redis://h9:6379") is None
        with pytest.raises(ConfigError):
            setup.pauses.find("redis://h:port")
