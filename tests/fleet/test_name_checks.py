"""Names that are looked up again: a connection follows its name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from exporter.errors import DnsError
from exporter.fleet import name_checks as name_checks_module
from exporter.fleet.name_checks import NameChecks
from tests.fleet.schedule_harness import ScheduleHarness
from tests.servers import ScriptedServer
from tests.store_fixture import until
from tests.watch_harness import WatchHarness, redis_like

ScriptFactory = Callable[..., ScriptedServer]


class TestNames:
    @pytest.fixture(autouse=True)
    def at_every_beat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(name_checks_module, "RESOLVE_S", 0.02)
        monkeypatch.setattr(name_checks_module, "PARTS", 1)

    async def test_a_connection_whose_address_is_gone_is_made_anew(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like())
        addresses = ["127.0.0.1"]

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            return tuple(addresses)

        watch_harness.dialer.resolve_by(look_up)
        watched = watch_harness.watched(server.port, "redis.test")
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 3)
        assert server.accepted == 1
        # 127.0.0.2 leads to the same machine; a server that listens on 127.0.0.1 only refuses it
        addresses[:] = ["127.0.0.2"]
        # a loop that is held for two intervals finds it down for want of polls
        await until(lambda: watched.health.reason == "refused")
        await until(lambda: server.finished == 1)
        addresses[:] = ["127.0.0.1"]
        await until(lambda: watched.up)
        assert server.accepted == 2

    async def test_are_looked_up_once_for_all_targets_that_share_them(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like())
        asked: list[str] = []
        going_on = asyncio.Event()

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            if len(watch_harness.ended) == 6:  # the connections are made
                asked.append(host)
                await going_on.wait()
            return ("127.0.0.1",)

        watch_harness.dialer.resolve_by(look_up)
        for host in ("redis.test", "other.test", "127.0.0.1"):
            for number in range(2):
                harness.add(
                    watch_harness.watched(
                        server.port, host, name=f"redis://{host}:{number}", interval_s=1000.0
                    )
                )
        harness.schedule.start()
        await until(lambda: len(asked) >= 2)
        beats = len(harness.lags)
        await until(lambda: len(harness.lags) >= beats + 3)
        assert sorted(asked) == ["other.test", "redis.test"]  # under way: not asked again
        going_on.set()
        await until(lambda: len(asked) >= 4)

    async def test_that_do_not_resolve_just_now_cost_no_connection(
        self,
        harness: ScheduleHarness,
        watch_harness: WatchHarness,
        scripted_server: ScriptFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        server = scripted_server(redis_like())
        failures = 0

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            nonlocal failures
            if watch_harness.ended:
                failures += 1
                raise DnsError(f"{host}: the name cannot be resolved")
            return ("127.0.0.1",)

        watch_harness.dialer.resolve_by(look_up)
        watched = watch_harness.watched(server.port, "redis.test")
        harness.add(watched)
        harness.schedule.start()
        await until(lambda: failures >= 3)
        await harness.polled(watched, 2)
        assert watch_harness.went_well(watched)
        assert server.accepted == 1
        assert caplog.text == ""

    async def test_are_looked_up_again_after_a_look_up_that_was_given_up_at_once(
        self, harness: ScheduleHarness, watch_harness: WatchHarness
    ) -> None:
        asked: list[str] = []

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            asked.append(host)
            return ("127.0.0.1",)

        watch_harness.dialer.resolve_by(look_up)
        gone, left = (
            watch_harness.watched(6379, "redis.test", name=f"redis://redis.test:{number}")
            for number in (1, 2)
        )
        checks = NameChecks({each.target.addr: each for each in (gone, left)})
        for each in (gone, left):
            checks.follow(each)
        checks.check(0.0)
        cancelled = checks.forget(
            gone.target.addr
        )  # in the same turn of the loop: its first step never comes
        await asyncio.gather(*cancelled, return_exceptions=True)
        assert asked == []
        checks.check(1.0)
        await until(lambda: asked == ["redis.test"])

    async def test_of_a_target_that_has_gone_are_left_alone(
        self, harness: ScheduleHarness, watch_harness: WatchHarness
    ) -> None:
        asked: list[str] = []

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            asked.append(host)
            return ("127.0.0.1",)

        watch_harness.dialer.resolve_by(look_up)
        watched_targets = {
            each.target.addr: each
            for each in (watch_harness.watched(6379, host) for host in ("a.test", "b.test", "127.0.0.1"))
        }
        checks = NameChecks(watched_targets)
        for each in watched_targets.values():
            checks.follow(each)
            checks.follow(each)  # its settings have changed
        gone = next(iter(watched_targets))
        del watched_targets[gone]
        assert checks.forget(gone) == []
        for number in range(3):
            checks.check(float(number))
            await until(lambda wanted=number + 1: len(asked) == wanted)  # type: ignore[misc]
        assert set(asked) == {"b.test"}
        await until(lambda: not checks._lookups)


class TestTurns:
    @pytest.mark.parametrize("beat_s", [0.9, 2.5])
    async def test_each_name_has_its_own_once_in_30_s(
        self, watch_harness: WatchHarness, beat_s: float
    ) -> None:
        asked: list[str] = []

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            asked.append(host)
            return ("127.0.0.1",)

        watch_harness.dialer.resolve_by(look_up)
        watched_targets = {
            each.target.addr: each
            for each in (watch_harness.watched(6379, f"h{number}.test") for number in range(40))
        }
        checks = NameChecks(watched_targets)
        for each in watched_targets.values():
            checks.follow(each)
        turns: dict[str, list[int]] = {}
        beats = round(90.0 / beat_s)
        for beat in range(beats):
            checks.check(beat * beat_s)
            await until(lambda: not checks._lookups)
            for host in asked:
                turns.setdefault(host, []).append(beat)
            asked.clear()
        assert len(turns) == 40
        every = 30.0 / beat_s
        gaps = [later - earlier for at in turns.values() for earlier, later in pairwise(at)]
        assert len(gaps) >= 40
        assert all(abs(gap - every) <= 1 for gap in gaps)
        assert len({at[0] for at in turns.values()}) > 5

    async def test_after_a_long_silence_each_name_is_looked_up_once(
        self, watch_harness: WatchHarness
    ) -> None:
        asked: list[str] = []

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            asked.append(host)
            return ("127.0.0.1",)

        watch_harness.dialer.resolve_by(look_up)
        watched = watch_harness.watched(6379, "a.test")
        checks = NameChecks({watched.target.addr: watched})
        checks.follow(watched)
        checks.check(0.0)
        await until(lambda: not checks._lookups)
        asked.clear()
        checks.check(10 * name_checks_module.RESOLVE_S)
        await until(lambda: not checks._lookups)
        assert asked == ["a.test"]
