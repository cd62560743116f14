"""What requests ask for that nobody configured: which target each request gets, and what becomes of it."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exporter.errors import NotAllowedError, PageError, RequestError
from exporter.fleet.adopted import LOOK_UP_S, AdoptedTargets, AdoptionLimits
from exporter.fleet.fleet import Fleet
from exporter.fleet.requested_targets import RequestedTargets
from exporter.fleet.schedule import Schedule
from exporter.options.overrides import overrides_of
from exporter.options.values import parse_allowance, parse_keys
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address
from exporter.targets.asked import Asked
from exporter.targets.scrape_access import NamedLogin, ScrapeAccess
from exporter.targets.target import Target
from tests.fleet.test_fleet import FakeSchedule, FakeWatched, assigned, bare_assignment
from tests.store_fixture import until

ONE = "redis://one:6379"
KEYS = overrides_of([("check-keys", parse_keys("a*"))])
ALLOWED = ScrapeAccess(parse_allowance("*"))


class Setup:
    """Targets that are adopted under an access that a test may change."""

    def __init__(self) -> None:
        self.schedule = FakeSchedule()
        self.fleet = Fleet(cast(Schedule, self.schedule), cast(Any, FakeWatched))
        self.limits = AdoptionLimits()
        self.targets = AdoptedTargets(self.fleet, lambda: self.limits)
        self.access = ALLOWED
        self.checked: list[tuple[str, float]] = []
        self.refusal: Exception | None = None
        self.answers = asyncio.Event()  # whether the resolver does
        self.answers.set()
        self.requested = RequestedTargets(
            self.fleet, self.targets, lambda: self.access, bare_assignment, self._check
        )

    async def _check(self, target: Target, timeout_s: float) -> None:
        self.checked.append((target.addr, timeout_s))
        await asyncio.sleep(0)
        await self.answers.wait()
        if self.refusal is not None:
            raise self.refusal

    async def find(self, text: str, within_s: float = 100.0, **more: Any) -> Any:
        found = await self.requested.find(Asked("", **more), parse_address(text), time.monotonic() + within_s)
        assert found is not None
        return found

    async def variant(self, **more: Any) -> Any:
        [base] = self.fleet.watched_targets.values()
        return self.requested.variant_of(base, Asked("", **more))

    @property
    def adopted(self) -> list[WatchedTarget]:
        return list(self.fleet.adopted_targets.values())


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    setup = Setup()
    yield setup
    await setup.targets.close()


class TestWhatIsOneTarget:
    async def test_its_address_in_any_spelling(self, setup: Setup) -> None:
        first = await setup.find("one")
        assert await setup.find("redis://ONE:6379/0") is first
        assert first.target.key == first.target.addr == ONE
        assert first.target.source == "adopted"
        assert await setup.find("one/1") is not first

    async def test_its_user_and_the_keys_to_look_at(self, setup: Setup) -> None:
        plain, user, keys = (
            await setup.find("one"),
            await setup.find("redis://me:word@one"),
            await setup.find("one", overrides=KEYS),
        )
        assert len({id(each) for each in (plain, user, keys)}) == 3
        assert await setup.find("redis://me:word@one") is user
        assert await setup.find("one", overrides=KEYS) is keys
        assert keys.target.overrides == KEYS
        assert {each.target.addr for each in (plain, user, keys)} == {ONE}

    async def test_no_user_or_password_is_part_of_a_key(self, setup: Setup) -> None:
        await setup.find("redis://nobody:s3cret@one")
        await setup.find("redis://nobody:0ther@one")
        for key in setup.fleet.adopted_targets:
            assert not any(word in key for word in ("nobody", "s3cret", "0ther"))
        assert "s3cret" not in repr(setup.adopted[0].target)

    async def test_many_requests_at_once_make_one(self, setup: Setup) -> None:
        setup.answers.clear()
        asking = [asyncio.ensure_future(setup.find("one")) for _ in range(10)]
        await until(lambda: len(setup.checked) == 10)
        setup.answers.set()
        assert len({id(each) for each in await asyncio.gather(*asking)}) == 1

    async def test_one_that_was_configured_during_the_look_up_is_that_one(self, setup: Setup) -> None:
        setup.answers.clear()
        asking = asyncio.ensure_future(setup.find("one"))
        await until(lambda: setup.checked)
        await setup.fleet.apply([assigned("one")])
        setup.answers.set()
        assert await asking is setup.fleet.watched_targets[ONE]
        assert setup.adopted == []


class TestPasswords:
    """Whoever asks with another password gets to see what that password shows."""

    async def test_a_wrong_one_shows_nothing_of_what_the_right_one_found(self, setup: Setup) -> None:
        right = await setup.find("redis://:right@one")
        right.up = True
        wrong = await setup.find("redis://:wrong@one")
        assert wrong is not right
        wrong.up = False
        assert await setup.find("redis://:wrong@one") is wrong
        assert await setup.find("redis://:right@one") is right
        assert await setup.find("one") not in (right, wrong)
        assert right.target.password == "right"

    @pytest.mark.parametrize("user", ["", "me"])
    async def test_a_new_one_that_works_takes_the_place_of_the_old_one(self, setup: Setup, user: str) -> None:
        old, new = f"redis://{user}:old@one", f"redis://{user}:new@one"
        target = await setup.find(old)
        target.up = True
        trial = await setup.find(new)
        assert trial is not target
        target.up, trial.up = False, True  # the server has the new one now
        assert await setup.find(new) is trial
        assert target.target.password == "new"
        assert setup.schedule.changed == [target.target.key]
        assert await setup.find(new) is trial  # until the target is up with it
        target.up = True
        assert await setup.find(new) is target
        assert setup.adopted == [target]

    async def test_that_one_asked_before_with_a_wrong_one_changes_nothing(self, setup: Setup) -> None:
        first = await setup.find("redis://:wrong@one")
        first.up = False
        trial = await setup.find("redis://:right@one")
        trial.up = True
        assert await setup.find("redis://:right@one") is trial
        first.up = True
        assert await setup.find("redis://:right@one") is first
        assert first.target.password == "right"


class TestWhoIsRefused:
    async def test_everybody_where_requests_may_name_nothing(self, setup: Setup) -> None:
        setup.access = ScrapeAccess()
        place = parse_address("one")
        assert await setup.requested.find(Asked("one"), place, time.monotonic() + 1) is None

    @pytest.mark.parametrize("error", [NotAllowedError("no"), RequestError("no")])
    async def test_an_address_that_is_not_allowed(self, setup: Setup, error: Exception) -> None:
        setup.refusal = error
        with pytest.raises(type(error)):
            await setup.find("one")
        assert setup.adopted == []

    async def test_one_too_many_before_its_name_is_looked_up(self, setup: Setup) -> None:
        setup.limits = AdoptionLimits(targets_max=1)
        await setup.find("one")
        setup.checked.clear()
        with pytest.raises(PageError, match="max-targets"):
            await setup.find("other")
        assert setup.checked == []
        await setup.find("one")

    async def test_one_that_was_forbidden_during_the_look_up(self, setup: Setup) -> None:
        setup.answers.clear()
        asking = asyncio.ensure_future(setup.find("one"))
        await until(lambda: setup.checked)
        setup.access = ScrapeAccess()
        setup.answers.set()
        with pytest.raises(PageError, match="changed"):
            await asking
        assert setup.adopted == []

    async def test_a_look_up_has_a_share_of_the_time_of_the_request(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now)
        await setup.find("one", within_s=2.0)
        await setup.find("other", within_s=100.0)
        [(_, short_s), (_, long_s)] = setup.checked
        assert short_s == pytest.approx(1.0)
        assert long_s == LOOK_UP_S

    async def test_a_name_that_leads_elsewhere_now(self, setup: Setup) -> None:
        target = await setup.find("one")
        target.up, target.named, target.health.reason = False, True, "refused"
        setup.refusal = NotAllowedError("it leads outside")
        with pytest.raises(NotAllowedError):
            await setup.find("one")
        target.health.reason = "timeout"
        assert await setup.find("one") is target


class TestEnd:
    async def test_nothing_is_left_of_one_that_goes(self, setup: Setup) -> None:
        for number in range(3):
            found = await setup.find(f"redis://me:s3cret@host{number}")
            found.up, found.health = False, SimpleNamespace(reason="auth")
            await setup.targets.check()
            setup.targets.forget(found.target.key, "its time is over")
        del found
        gc.collect()
        assert [*setup.requested._requests, *setup.requested._warned] == []


class TestVariantsOfTargets:
    async def test_other_keys_of_a_configured_target_are_polled_beside_it(self, setup: Setup) -> None:
        own = overrides_of([("poll.interval", 10.0)])
        more = {"source": "flags", "overrides": own, "labels": (("a", "b"),)}
        await setup.fleet.apply([assigned("one", "first", password="word", **more)])
        variant = await setup.variant(overrides=KEYS)
        assert await setup.variant(overrides=KEYS) is variant
        assert dict(variant.target.overrides) == {**dict(own), **dict(KEYS)}
        assert (variant.target.source, variant.target.password) == ("flags", "word")
        assert variant.target.labels == (("a", "b"),)
        assert setup.fleet.find("first") is setup.fleet.watched_targets[ONE]

    async def test_they_follow_it_and_go_with_it(self, setup: Setup) -> None:
        await setup.fleet.apply([assigned("one")])
        variant = await setup.variant(overrides=KEYS)
        await setup.fleet.apply([assigned("one", password="new")])
        await setup.requested.follow()
        assert variant.target.password == "new"
        assert variant.target.overrides == KEYS
        await setup.fleet.apply([])
        await setup.requested.follow()
        assert setup.adopted == []

    async def test_they_count(self, setup: Setup) -> None:
        await setup.fleet.apply([assigned("one")])
        setup.limits = AdoptionLimits(targets_max=0)
        with pytest.raises(PageError):
            await setup.variant(overrides=KEYS)


class TestChangesOfTheConfiguration:
    async def test_what_is_unchanged_goes_on(self, setup: Setup) -> None:
        target = await setup.find("redis://me:word@one", overrides=KEYS)
        setup.checked.clear()
        await setup.requested.follow()
        assert setup.adopted == [target]
        assert (setup.schedule.changed, setup.checked) == ([], [])

    async def test_new_credentials_are_used_by_those_that_have_no_others(self, setup: Setup) -> None:
        target, own = await setup.find("one"), await setup.find("redis://me:word@one")
        setup.access = replace(ALLOWED, password="new")
        await setup.requested.follow()
        assert (target.target.user, target.target.password) == ("", "new")
        assert (own.target.user, own.target.password) == ("me", "word")
        assert await setup.find("one") is target
        assert await setup.find("redis://me:word@one") is own

    async def test_with_another_user_they_begin_again(self, setup: Setup) -> None:
        setup.limits = AdoptionLimits(on_page=True)
        before = await setup.find("one")
        setup.access = replace(ALLOWED, user="exporter", password="new")
        await setup.requested.follow()
        after = await setup.find("one")
        assert after is not before  # which would show what another user saw
        assert (after.target.user, setup.adopted) == ("exporter", [after])
        assert (setup.schedule.polled, setup.schedule.apart) == ([ONE], [])
        assert len(setup.targets) == 1

    async def test_so_does_a_variant_whose_target_does(self, setup: Setup) -> None:
        await setup.fleet.apply([assigned("one", user="first")])
        before = await setup.variant(overrides=KEYS)
        await setup.fleet.apply([assigned("one", user="second")])
        await setup.requested.follow()
        after = await setup.variant(overrides=KEYS)
        assert after is not before
        assert (after.target.user, setup.adopted) == ("second", [after])

    async def test_what_is_no_longer_allowed_goes(self, setup: Setup) -> None:
        await setup.find("one")
        setup.access = ScrapeAccess(parse_allowance("10.0.0.0/8"))
        setup.refusal = NotAllowedError("no")
        await setup.requested.follow()
        assert setup.adopted == []

    async def test_and_all_go_when_requests_may_name_nothing(self, setup: Setup) -> None:
        await setup.find("one")
        setup.access = ScrapeAccess()
        await setup.requested.follow()
        assert setup.adopted == []

    async def test_and_those_whose_credentials_have_gone(self, setup: Setup) -> None:
        assert ALLOWED.allow is not None
        login = NamedLogin(ALLOWED.allow, {"user": "cache", "password": "word"})
        setup.access = replace(ALLOWED, logins={"cache": login})
        await setup.find("one", auth="cache")
        setup.access = ALLOWED
        await setup.requested.follow()
        assert setup.adopted == []


class TestLog:
    async def test_it_says_once_how_a_target_gets_more_than_its_address_has(
        self, setup: Setup, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        setup.access = ScrapeAccess(is_open=True)
        target = await setup.find("one")
        target.up, target.health.reason = False, "auth"
        await setup.targets.check()
        await setup.targets.check()
        [line] = caplog.records
        assert "--scrape.allow" in line.getMessage()
        assert getattr(line, "addr", "") == ONE

    async def test_but_not_where_it_has_all_that_there_is(
        self, setup: Setup, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        target = await setup.find("one")
        target.up, target.health.reason = False, "auth"
        await setup.targets.check()
        assert caplog.records == []
