"""All watched targets: found by name, counted by state, and told of as they come and go."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exporter.connection.handshake import Notice
from exporter.errors import AuthError, CancelledPollError, ConfigError, DnsError, RefusedError, TargetError
from exporter.fleet.fleet import BATCH, Fleet
from exporter.fleet.schedule import Schedule
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.polling.assignment import Assignment, FamilySets
from exporter.polling.identity import Identity
from exporter.polling.outcome import PollOutcome
from exporter.polling.timing import PollTiming
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.cluster import ClusterView
from exporter.protocol.facts import Facts
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from exporter.telemetry.target_series import TargetSeries, target_family_set

OPTIONS = parse([], {})
TIMING = PollTiming.of(
    {Lane.FAST: 5.0},
    timeout_s=1.0,
    scan_budget_s=1.0,
    max_backoff_s=30.0,
    connection_max_age_s=0.0,
    max_age_s=0.0,
)
NO_FAMILY_SETS = FamilySets((), target_family_set("redis"))
#: stands for the tasks that a change has cancelled
CANCELLED: list[Any] = [object()]


class FakeSchedule:
    """Notes whom it polls, and who is apart."""

    def __init__(self) -> None:
        self.polled: list[str] = []
        self.apart: list[str] = []
        self.changed: list[str] = []

    def add(self, watched: WatchedTarget, *, apart: bool = False) -> None:
        self.polled.append(watched.target.key)
        if apart:
            self.apart.append(watched.target.key)

    def place(self, watched: WatchedTarget, *, apart: bool = False) -> None:
        raise AssertionError("no target is held here")

    def change(self, watched: WatchedTarget, cancelled: list[Any]) -> None:
        assert cancelled == CANCELLED
        self.changed.append(watched.target.key)

    def remove(self, addr: str) -> None:
        self.polled.remove(addr)


class FakeWatched:
    """A target in a state that a test chooses."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.identity = Identity()
        self.up: bool | None = None
        self.restored = False
        self.state = SimpleNamespace(series=TargetSeries())
        self.whole = True
        self.notices: tuple[Notice, ...] = ()
        self.facts: Facts | None = None
        self.cluster: ClusterView | None = None
        self.timing = SimpleNamespace(interval_s=5.0)
        self.health = SimpleNamespace(reason="")
        self.named = False

    @property
    def target(self) -> Target:
        return self.assignment.target

    def reassign(self, assignment: Assignment) -> list[Any]:
        self.assignment = assignment
        return CANCELLED


def bare_assignment(target: Target) -> Assignment:
    """Of its parts only the target counts in these tests."""
    return Assignment(target, NO_FAMILY_SETS, TIMING, OPTIONS)


def assigned(addr: str, alias: str = "", **changes: Any) -> Assignment:
    return bare_assignment(replace(parse_address(addr), alias=alias, **changes))


def watched(addr: str, alias: str = "") -> Any:
    return FakeWatched(assigned(addr, alias))


@pytest.fixture
def schedule() -> FakeSchedule:
    return FakeSchedule()


@pytest.fixture
async def fleet(schedule: FakeSchedule) -> Fleet:
    return Fleet(cast(Schedule, schedule), cast(Any, FakeWatched))


class Changes:
    """What a fleet reports of its changes."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.counted = 0

    def count(self) -> None:
        self.counted += 1


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "exporter.fleet")
    return caplog


def ended(error: TargetError | None = None, *, up_changed: bool = True) -> PollOutcome:
    return PollOutcome(None, error, 0.0, 0.0, 0.0123, up_changed=up_changed)


class TestWho:
    async def test_what_is_added_is_polled_until_it_is_removed(
        self, fleet: Fleet, schedule: FakeSchedule
    ) -> None:
        one, other = watched("one"), watched("other")
        fleet.add(one)
        fleet.add(other)
        assert schedule.polled == ["redis://one:6379", "redis://other:6379"]
        assert list(fleet.watched_targets.values()) == [one, other]
        fleet.remove("redis://one:6379")
        assert schedule.polled == ["redis://other:6379"]
        assert list(fleet.watched_targets.values()) == [other]

    async def test_an_adopted_one_that_is_configured_keeps_what_it_has(
        self, fleet: Fleet, schedule: FakeSchedule
    ) -> None:
        adopted = fleet.adopt(assigned("one", source="adopted"))
        cast(Any, adopted).up = True
        assert schedule.apart == ["redis://one:6379"]
        await fleet.apply([assigned("one", "first")])
        assert fleet.find("first") is adopted
        assert adopted.target.source == "file"
        assert fleet.adopted_targets == {}
        assert schedule.polled == schedule.changed == ["redis://one:6379"]
        assert fleet.first_round.polls_done
        await fleet.apply([])
        assert schedule.polled == []
        assert fleet.find("redis://one:6379") is None

    async def test_a_variant_is_beside_the_configured_one(self, fleet: Fleet, schedule: FakeSchedule) -> None:
        await fleet.apply([assigned("one")])
        variant = fleet.adopt(assigned("one", variant="keys"))
        await fleet.apply([assigned("one", password="new")])
        assert schedule.polled == ["redis://one:6379", "redis://one:6379 keys"]
        assert fleet.find("one") is not variant
        fleet.forget(variant.target.key)
        assert schedule.polled == ["redis://one:6379"]

    async def test_nobody_is_removed_who_is_not_there(self, fleet: Fleet) -> None:
        with pytest.raises(KeyError):
            fleet.remove("redis://one:6379")


class TestApply:
    async def test_new_ones_come_and_others_go(self, fleet: Fleet, schedule: FakeSchedule) -> None:
        await fleet.apply([assigned("one"), assigned("other")])
        assert list(fleet.watched_targets) == schedule.polled == ["redis://one:6379", "redis://other:6379"]
        await fleet.apply([assigned("third"), assigned("other")])
        assert list(fleet.watched_targets) == schedule.polled == ["redis://other:6379", "redis://third:6379"]
        await fleet.apply([])
        assert schedule.polled == []
        assert fleet.first_round.polls_done

    async def test_an_unchanged_one_is_left_alone_however_it_is_written(
        self, fleet: Fleet, schedule: FakeSchedule
    ) -> None:
        await fleet.apply([assigned("one", "cache")])
        [one] = fleet.watched_targets.values()
        assignment = one.assignment
        await fleet.apply([assigned("REDIS://ONE:6379", "cache")])
        assert list(fleet.watched_targets.values()) == [one]
        assert one.assignment is assignment
        assert schedule.changed == []

    async def test_a_changed_one_goes_on_with_its_new_assignment(
        self, schedule: FakeSchedule, changes: Changes
    ) -> None:
        fleet = Fleet(cast(Schedule, schedule), cast(Any, FakeWatched), changes.pages.append, changes.count)
        await fleet.apply([assigned("one", "old"), assigned("other")])
        one = fleet.find("one")
        changed = assigned("one", "new", labels=(("env", "x"),))
        await fleet.apply([changed, assigned("other")])
        assert fleet.find("new") is fleet.find("one") is one
        assert one is not None
        assert one.assignment is changed
        assert fleet.find("old") is None
        assert schedule.changed == changes.pages == [one.target.addr]
        assert schedule.polled == [one.target.addr, "redis://other:6379"]

    async def test_counts_what_changes(self, fleet: Fleet) -> None:
        assert await fleet.apply([assigned("one"), assigned("other")]) == (2, 0, 0, 0)
        changed = assigned("other", labels=(("env", "x"),))
        changes = await fleet.apply([assigned("third"), changed, assigned("fourth")])
        assert str(changes) == "2 added, 1 removed, 1 changed, 0 unchanged"
        assert await fleet.apply([assigned("third"), changed, assigned("fourth")]) == (0, 0, 0, 3)

    async def test_a_target_of_another_user_begins_again(
        self, fleet: Fleet, schedule: FakeSchedule, changes: Changes
    ) -> None:
        await fleet.apply([assigned("one", "cache")])
        one = fleet.find("cache")
        assert await fleet.apply([assigned("one", "cache", user="reader")]) == (0, 0, 1, 0)
        assert fleet.find("cache") is not one
        assert schedule.polled == ["redis://one:6379"]
        assert schedule.changed == []
        assert not fleet.first_round.polls_done  # so a scrape waits for it
        await fleet.apply([assigned("one", "cache", user="reader", password="new")])
        assert schedule.changed == ["redis://one:6379"]

    async def test_an_alias_can_move_to_another_target(self, fleet: Fleet) -> None:
        await fleet.apply([assigned("one", "cache"), assigned("other")])
        await fleet.apply([assigned("one"), assigned("other", "cache")])
        found = fleet.find("cache")
        assert found is not None
        assert found.target.host == "other"
        await fleet.apply([assigned("one", "cache"), assigned("other", "spare")])
        found = fleet.find("cache")
        assert found is not None
        assert found.target.host == "one"

    async def test_a_new_alias_names_the_target_and_no_adopted_variant_of_it(self, fleet: Fleet) -> None:
        await fleet.apply([assigned("one", "cache")])
        variant = fleet.adopt(assigned("one", "cache", variant="other keys"))
        for alias in ("store", ""):
            await fleet.apply([assigned("one", alias)])
            fleet.change(variant, assigned("one", alias, variant="other keys"))
            assert fleet.find(alias or "one") is fleet.watched_targets["redis://one:6379"]

    async def test_of_two_with_one_address_the_first_counts(
        self, fleet: Fleet, log: pytest.LogCaptureFixture
    ) -> None:
        await fleet.apply([assigned("one", "first"), assigned("one:6379", "second")])
        [one] = fleet.watched_targets.values()
        assert one.target.alias == "first"
        [record] = log.records
        assert (record.levelname, vars(record)["addr"]) == ("WARNING", "redis://one:6379")

    async def test_whoever_counts_the_targets_hears_of_each_change(
        self, schedule: FakeSchedule, changes: Changes
    ) -> None:
        fleet = Fleet(cast(Schedule, schedule), cast(Any, FakeWatched), changes.pages.append, changes.count)
        await fleet.apply([assigned("one"), assigned("other")])
        assert changes.counted == 2
        await fleet.apply([assigned("one")])
        assert changes.counted == 3
        assert changes.pages == ["redis://other:6379"]

    async def test_the_loop_goes_on_while_many_come(self, fleet: Fleet) -> None:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        await fleet.apply([assigned(f"h{number}") for number in range(10 * BATCH)])
        beating.cancel()
        assert beats >= 10


class TestFind:
    @pytest.mark.parametrize(
        "text", ["redis://h:6379", "h", "h:6379", "REDIS://H", "redis://user:pw@h", " h "]
    )
    async def test_by_address_in_any_spelling(self, fleet: Fleet, text: str) -> None:
        one = watched("redis://h:6379")
        fleet.add(one)
        assert fleet.find(text) is one

    @pytest.mark.parametrize("text", ["h:6380", "rediss://h", "h/1", "other"])
    async def test_another_one_is_not_there(self, fleet: Fleet, text: str) -> None:
        fleet.add(watched("redis://h:6379"))
        assert fleet.find(text) is None

    async def test_what_is_ignored_of_an_address_is_told_once(
        self, fleet: Fleet, log: pytest.LogCaptureFixture
    ) -> None:
        one = watched("one/1")
        fleet.add(one)
        for _ in range(2):
            assert fleet.find("redis://one/0?db=1&timeout=5") is one
        assert fleet.find("redis://nobody?timeout=5") is None
        [line] = log.messages
        assert "parameters of the address are ignored (timeout)" in line

    async def test_by_its_exact_alias(self, fleet: Fleet) -> None:
        one = watched("redis://h:6379", "Cache of Kiwi")
        fleet.add(one)
        assert fleet.find("Cache of Kiwi") is one
        assert fleet.find("cache") is None

    async def test_an_alias_counts_before_an_address(self, fleet: Fleet) -> None:
        address, alias = watched("redis://h:6379"), watched("redis://elsewhere:6379", "redis://h:6379")
        fleet.add(address)
        fleet.add(alias)
        assert fleet.find("redis://h:6379") is alias
        assert fleet.find("h") is address

    async def test_an_alias_that_two_share_leads_to_the_other_when_one_goes(self, fleet: Fleet) -> None:
        first, second = watched("redis://h:6379", "cache"), watched("redis://g:6379", "cache")
        fleet.add(first)
        fleet.add(second)
        assert fleet.find("cache") == second
        fleet.remove("redis://g:6379")
        assert fleet.find("cache") == first
        fleet.add(second)
        fleet.remove("redis://h:6379")
        assert fleet.find("cache") is second

    async def test_a_target_that_goes_costs_no_look_at_the_others(self, fleet: Fleet) -> None:
        looks = 0

        class Counting(FakeWatched):
            @property
            def target(self) -> Target:
                nonlocal looks
                looks += 1
                return super().target

        for number in range(100):
            fleet.add(cast(Any, Counting(assigned(f"h{number}", f"a{number}"))))
        looks = 0
        for addr in list(fleet.watched_targets):
            fleet.remove(addr)
        assert looks <= 200
        assert fleet._aliases._watched == {}

    async def test_an_alias_goes_with_its_target(self, fleet: Fleet) -> None:
        fleet.add(watched("redis://h:6379", "cache"))
        fleet.remove("redis://h:6379")
        assert fleet.find("cache") is None

    @pytest.mark.parametrize("text", ["", "gopher://h", "redis://h:x"])
    async def test_what_is_no_address_is_a_mistake_to_be_told(self, fleet: Fleet, text: str) -> None:
        fleet.add(watched("redis://h:6379"))
        with pytest.raises(ConfigError):
            fleet.find(text)


class TestFirstRound:
    async def test_a_target_that_is_removed_is_not_waited_for(self, fleet: Fleet) -> None:
        fleet.add(watched("one"))
        assert not fleet.first_round.polls_done
        fleet.remove("redis://one:6379")
        assert fleet.first_round.done

    async def test_a_first_poll_may_end_at_once(
        self, fleet: Fleet, schedule: FakeSchedule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule, "add", lambda each: fleet.note(each, ended()))
        fleet.add(watched("one"))
        assert fleet.first_round.polls_done


async def test_targets_are_counted_by_state(fleet: Fleet) -> None:
    assert fleet.states() == {"up": 0, "down": 0, "unknown": 0}
    for number, up in enumerate((True, True, False, None)):
        each = watched(f"h{number}")
        each.up = up
        fleet.add(each)
    assert fleet.states() == {"up": 2, "down": 1, "unknown": 1}


class TestLog:
    async def test_up_once_with_what_the_greeting_met(
        self, fleet: Fleet, log: pytest.LogCaptureFixture
    ) -> None:
        one = watched("one")
        fleet.add(one)
        one.up, one.notices = True, (Notice.PASSWORD_UNUSED,)
        fleet.note(one, ended())
        fleet.note(one, ended(up_changed=False))
        assert [(record.levelname, record.getMessage()) for record in log.records] == [
            ("INFO", "the target is up"),
            ("WARNING", Notice.PASSWORD_UNUSED.value),
        ]
        assert {vars(record)["addr"] for record in log.records} == {"redis://one:6379"}
        assert vars(log.records[0])["duration_ms"] == 12.3

    async def test_down_once_with_its_reason(self, fleet: Fleet, log: pytest.LogCaptureFixture) -> None:
        one = watched("one")
        fleet.add(one)
        one.up = False
        fleet.note(one, ended(DnsError("redis://one:6379: no such name")))
        fleet.note(one, ended(DnsError("redis://one:6379: no such name"), up_changed=False))
        [record] = log.records
        assert (record.levelname, record.getMessage()) == ("WARNING", "the target is down")
        assert vars(record)["err"] == "redis://one:6379: no such name"
        assert (vars(record)["addr"], vars(record)["reason"]) == ("redis://one:6379", "dns")

    async def test_a_refused_login_names_what_gave_it(
        self, fleet: Fleet, log: pytest.LogCaptureFixture
    ) -> None:
        target = replace(
            parse_address("redis://one"), user="u", user_rule="A", password="p", password_rule="B"
        )
        one = watched("one")
        one.assignment = replace(one.assignment, target=target)
        fleet.add(one)
        one.up = False
        fleet.note(one, ended(AuthError("redis://one:6379: the server refuses the user or password")))
        [record] = log.records
        assert vars(record)["login"] == "user: A, password: B"

    async def test_down_for_another_reason_is_told(self, fleet: Fleet, log: pytest.LogCaptureFixture) -> None:
        one = watched("one")
        fleet.add(one)
        one.up = False
        fleet.note(one, ended(DnsError("no such name")))
        fleet.note(one, ended(RefusedError("nobody listens"), up_changed=False))
        fleet.note(one, ended(RefusedError("nobody listens"), up_changed=False))
        one.up = True
        fleet.note(one, ended())
        one.up = False
        fleet.note(one, ended(RefusedError("nobody listens")))
        assert [vars(record).get("err") for record in log.records] == [
            "no such name",
            "nobody listens",
            None,
            "nobody listens",
        ]
        assert {vars(record)["topic"] for record in log.records} == {"state"}

    async def test_a_target_that_goes_says_nothing(self, fleet: Fleet, log: pytest.LogCaptureFixture) -> None:
        one = watched("one")
        fleet.add(one)
        fleet.remove("redis://one:6379")
        fleet.note(one, ended(CancelledPollError("given up"), up_changed=False))
        assert not log.records

    async def test_a_poll_that_is_given_up_says_nothing_of_a_target_that_is_down(
        self, fleet: Fleet, log: pytest.LogCaptureFixture
    ) -> None:
        one = watched("one")
        one.up = False
        fleet.add(one)
        fleet.note(one, ended(DnsError("no such name")))
        fleet.note(one, ended(CancelledPollError("given up"), up_changed=False))
        fleet.note(one, ended(DnsError("no such name"), up_changed=False))
        assert [vars(record)["err"] for record in log.records] == ["no such name"]
