"""The adopted targets: how many there may be, and when each of them goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from exporter.errors import PageError
from exporter.fleet import adopted as adopted_module
from exporter.fleet.adopted import KEPT_INTERVALS, KEPT_S, VARIANTS_MAX, AdoptedTargets, AdoptionLimits
from exporter.fleet.fleet import Fleet
from exporter.fleet.schedule import Schedule
from exporter.polling.watched_target import WatchedTarget
from tests.fleet.test_fleet import FakeSchedule, FakeWatched, assigned
from tests.store_fixture import until
from tests.watch_harness import others

ONE, OTHER = "redis://one:6379", "redis://other:6379"


class Setup:
    """A fleet of adopted targets only, under limits that a test may change."""

    def __init__(self) -> None:
        self.schedule = FakeSchedule()
        self.fleet = Fleet(cast(Schedule, self.schedule), cast(Any, FakeWatched))
        self.limits = AdoptionLimits()
        self.targets = AdoptedTargets(self.fleet, lambda: self.limits)
        self.verdict = ""

    def add(self, addr: str, **more: Any) -> WatchedTarget:
        changes = {name: more.pop(name) for name in ("variant", "user") if name in more}
        return self.targets.add(assigned(addr, **changes), lambda watched: self.verdict, **more)

    def wait(self, key: str, seconds: float) -> None:
        """Let nobody ask for a target for this time."""
        self.targets._entries[key].asked_at -= seconds

    @property
    def keys(self) -> list[str]:
        return list(self.fleet.adopted_targets)


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    setup = Setup()
    yield setup
    await setup.targets.close()
    assert others() == set()


class TestHowMany:
    async def test_so_many_and_no_more(self, setup: Setup) -> None:
        setup.limits = AdoptionLimits(targets_max=1)
        setup.add(ONE)
        with pytest.raises(PageError, match=r"1 targets .* --scrape\.max-targets"):
            setup.add(OTHER)
        assert (setup.keys, setup.targets.refused) == ([ONE], 1)
        setup.targets.forget(ONE, "a test")
        setup.add(OTHER)

    async def test_no_more_than_there_are_files_for(self, setup: Setup) -> None:
        """Without that, targets that do not answer take the files of those that are configured."""
        setup.limits = AdoptionLimits(files_for=1)
        setup.add(ONE)
        with pytest.raises(PageError, match="ulimit"):
            setup.add(OTHER)

    async def test_one_that_was_configured_in_between_counts_once(self, setup: Setup) -> None:
        setup.add(ONE)
        await setup.fleet.apply([assigned(ONE)])
        await setup.fleet.apply([])
        setup.add(ONE)
        setup.targets.forget(ONE, "a test")
        assert setup.targets._of_address == {}

    async def test_of_one_address_only_a_few_with_other_users_or_keys(self, setup: Setup) -> None:
        for number in range(VARIANTS_MAX):
            setup.add(ONE, variant=str(number))
        with pytest.raises(PageError, match=f"{VARIANTS_MAX} variants of {ONE}"):
            setup.add(ONE, variant="more")
        setup.add(OTHER)

    async def test_one_that_is_down_makes_room_for_the_next(self, setup: Setup) -> None:
        """Twenty wrong passwords do not shut the right one out."""
        made = [cast(Any, setup.add(ONE, variant=str(number))) for number in range(VARIANTS_MAX)]
        made[3].up = made[7].up = False
        setup.wait(made[7].target.key, 1)
        setup.add(ONE, variant="more")
        assert f"{ONE} 7" not in setup.keys
        assert len(setup.keys) == VARIANTS_MAX

    async def test_after_the_end_none_comes(self, setup: Setup) -> None:
        await setup.targets.close()
        with pytest.raises(PageError, match="stopping"):
            setup.add(ONE)


class TestPage:
    async def test_they_are_on_pages_of_their_own_only(self, setup: Setup) -> None:
        setup.add(ONE, may_show=True)
        assert setup.schedule.apart == [ONE]

    async def test_or_on_the_page_of_all_where_the_options_say_so_and_nothing_comes_twice(
        self, setup: Setup
    ) -> None:
        setup.limits = AdoptionLimits(on_page=True)
        setup.add(ONE, may_show=True)
        setup.add(ONE, variant="keys")
        assert setup.schedule.apart == [f"{ONE} keys"]


class TestWhoGoes:
    @pytest.fixture(autouse=True)
    def often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(adopted_module, "CHECK_S", 0.01)

    async def test_one_that_nobody_asks_for(self, setup: Setup) -> None:
        setup.add(ONE)
        setup.add(OTHER)
        setup.wait(ONE, KEPT_S + 1)
        setup.wait(OTHER, KEPT_S + 1)
        setup.targets.ask(OTHER)
        await until(lambda: setup.keys == [OTHER])
        assert setup.schedule.polled == [OTHER]

    async def test_after_ten_of_its_intervals_if_that_is_longer(self, setup: Setup) -> None:
        setup.add(ONE)
        slow = cast(Any, setup.fleet.adopted_targets[ONE])
        slow.timing.interval_s = 60.0
        setup.wait(ONE, KEPT_INTERVALS * 60.0 - 1)
        await setup.targets.check()
        assert setup.keys == [ONE]
        setup.wait(ONE, 2)
        await setup.targets.check()
        assert setup.keys == []

    async def test_or_as_soon_as_the_options_say(self, setup: Setup) -> None:
        setup.limits = AdoptionLimits(forget_after_s=7.0)
        setup.add(ONE)
        setup.wait(ONE, 6)
        await setup.targets.check()
        assert setup.keys == [ONE]
        setup.wait(ONE, 2)
        await setup.targets.check()
        assert setup.keys == []

    async def test_or_as_soon_as_who_adopted_it_says(
        self, setup: Setup, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        setup.add(ONE, kept_s=5.0)
        setup.wait(ONE, 6)
        await setup.targets.check()
        assert setup.keys == []
        setup.add(ONE)
        setup.verdict = "it is no longer wanted"
        await until(lambda: setup.keys == [])
        assert "polls of the target end: it is no longer wanted" in caplog.text

    async def test_one_that_is_configured_now_is_no_longer_adopted(self, setup: Setup) -> None:
        setup.add(ONE)
        await setup.fleet.apply([assigned(ONE)])
        await until(lambda: not setup.targets._entries)
        assert setup.targets.ask(ONE) is None
        assert list(setup.fleet.watched_targets) == [ONE]
        assert not setup.targets._of_address

    async def test_an_error_in_a_check_does_not_end_the_checks(
        self, setup: Setup, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(watched: WatchedTarget) -> str:
            raise ZeroDivisionError

        setup.targets.add(assigned(ONE), fail)
        await until(lambda: "please report" in caplog.text)
        setup.targets.forget(ONE, "a test")
        setup.add(OTHER)
        setup.wait(OTHER, KEPT_S + 1)
        await until(lambda: setup.keys == [])

    async def test_two_that_have_one_key_are_one(self, setup: Setup) -> None:
        setup.add(ONE)
        again = setup.add(ONE)
        assert setup.fleet.adopted_targets == {ONE: again}
        assert setup.schedule.polled == [ONE]


async def test_a_target_follows_its_configuration(setup: Setup) -> None:
    watched = setup.add(ONE)
    setup.targets.change(watched, watched.assignment)
    assert setup.schedule.changed == []
    new = replace(watched.target, password="new")
    setup.targets.change(watched, replace(watched.assignment, target=new))
    assert (setup.schedule.changed, watched.target.password) == ([ONE], "new")
    await asyncio.sleep(0)
