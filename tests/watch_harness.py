"""What a `WatchedTarget` needs around it, and what can be read off it: a store, a limiter, a dialer, and the
ends of its polls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.collectors._contract import AnyCollector
from exporter.collectors._enabled import enable
from exporter.collectors.info import InfoCollector
from exporter.collectors.server import ServerCollector
from exporter.collectors.stats import StatsCollector
from exporter.connection.dialer import Dialer
from exporter.connection.limiter import Limiter
from exporter.connection.settings import DialSettings
from exporter.errors import CancelledPollError, DnsError
from exporter.metrics.lane import Lane
from exporter.metrics.store import Store
from exporter.options.commandline import parse
from exporter.polling import strain
from exporter.polling.assignment import Assignment, FamilySets, Services
from exporter.polling.outcome import PollOutcome
from exporter.polling.timing import PollTiming
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.target import Target
from exporter.telemetry.target_series import target_family_set
from tests.servers import PATIENCE_S, Conversation, RedisServer, Script, ScriptedServer
from tests.store_fixture import until

HOST = "127.0.0.1"
SECRET = "s3cret-of-mine"
INTERVAL_S = 0.2
AMPLE_S = 20.0  # a deadline that is not what the test is about
SCANT_S = 0.3  # the deadline of polls that miss it
#: what is polled unless the test says otherwise: one collector on each of two lanes
COLLECTORS: tuple[AnyCollector, ...] = (InfoCollector(), StatsCollector())
#: with the collector of the other sections of INFO
WHOLE_INFO: tuple[AnyCollector, ...] = (InfoCollector(), ServerCollector(), StatsCollector())


class CountingDialer(Dialer):
    """Counts dials, and how many were under way at once. `resolve_by` takes the place of name resolution."""

    def __init__(self, settings: DialSettings | None = None) -> None:
        super().__init__(settings)
        self.dials = 0
        self.under_way = 0
        self.most_under_way = 0

    async def dial(self, target: Target, deadline: float, **more: Any) -> Any:
        self.dials += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await super().dial(target, deadline, **more)
        finally:
            self.under_way -= 1

    def resolve_by(self, look_up: Callable[[str, int], Awaitable[tuple[str, ...]]]) -> None:
        self.resolve = lambda host, port, **more: look_up(host, port)  # type: ignore[method-assign, assignment]


class Clock:
    """Sets the monotonic clock ahead, which is not the one of the event loop."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._monotonic = time.monotonic

    def monotonic(self) -> float:
        return self._monotonic() + self.ahead_s

    def take_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "monotonic", self.monotonic)


def take_none_for_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer counts as slow: a busy machine may hold two in a row, and then lanes would wait."""
    monkeypatch.setattr(strain, "SLOW_FLOOR_S", 2 * AMPLE_S)


class Held:
    """Takes the place of the backlog in a module: its steps are run when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
        self.steps: list[Callable[[], None]] = []
        monkeypatch.setattr(f"{module}.running_backlog", lambda: self)

    def add(self, step: Callable[[], None]) -> None:
        self.steps.append(step)

    def run(self) -> None:
        steps, self.steps = self.steps, []
        for step in steps:
            step()


class WatchHarness:
    """Makes watched targets that share a store, a limiter of `limit` polls and a dialer. `ended` lists how
    the polls of each one ended.

    `argv` are the flags that the collectors are given.
    """

    def __init__(
        self,
        collectors: Sequence[AnyCollector] = COLLECTORS,
        *,
        argv: Sequence[str] = (),
        limit: int = 100,
        stale_policy: str = "drop",
    ) -> None:
        self._options = parse(argv, {})
        self.family_sets = FamilySets(
            [enable(each, "redis") for each in collectors if each.enabled(self._options)],
            target_family_set("redis"),
        )
        self.family_set_names = [family_set.name for family_set in self.family_sets.all]
        self.store = Store(self.family_set_names, stale_policy)
        self.limiter = Limiter(limit)
        self.scan_limiter: Limiter | None = None  # None: that of the polls
        self.dialer = CountingDialer()
        self.ended: dict[str, list[PollOutcome]] = {}
        self._made: list[WatchedTarget] = []

    def watched(
        self,
        port: int,
        host: str = HOST,
        *,
        name: str = "",
        interval_s: float = INTERVAL_S,
        standard_every: int = 3,
        deadline_s: float = AMPLE_S,
        max_age_s: float = 0.0,
        max_age_floor_s: float = 0.0,
        connection_max_age_s: float = 600.0,
        **target: Any,
    ) -> WatchedTarget:
        """`name` takes the place of the address, for several watched targets of one server."""
        addr = name or f"redis://{host}:{port}"
        timing = PollTiming(
            interval_s,
            {Lane.FAST: 1, Lane.STANDARD: standard_every, Lane.SLOW: 6, Lane.SCAN: 4},
            deadline_s,
            scan_deadline_s=deadline_s,
            max_backoff_s=30.0,
            connection_max_age_s=connection_max_age_s,
            max_age_s=max_age_s,
            max_age_floor_s=max_age_floor_s,
        )
        watched = WatchedTarget(
            Assignment(
                Target(addr, "redis", host, port, "", target.pop("db", 0), **target),
                self.family_sets,
                timing,
                self._options,
            ),
            Services(self.dialer, self.store, self.limiter, self.scan_limiter or self.limiter),
            lambda watched, outcome: self.ended.setdefault(watched.target.addr, []).append(outcome),
        )
        self._made.append(watched)
        return watched

    async def close(self) -> None:
        """Close every watch that was made. uvloop waits for ever at its end for a connection that was left
        open."""
        tasks = [task for watched in self._made for task in watched.close()]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def drop(self, watched: WatchedTarget) -> None:
        """Close a watch, and hold it no longer."""
        self._made.remove(watched)
        await asyncio.gather(*watched.close(), return_exceptions=True)
        self.ended.pop(watched.target.addr, None)

    def ends(self, watched: WatchedTarget) -> list[PollOutcome]:
        return self.ended.get(watched.target.addr, [])

    async def poll(self, watched: WatchedTarget) -> PollOutcome:
        """Give a watch its turn, a few intervals after the one before so that no back-off holds it, and
        wait for the end of its poll."""
        before = len(self.ends(watched))
        watched.tick(time.monotonic() + 3 * watched.timing.interval_s)
        await until(lambda: len(self.ends(watched)) > before)
        return self.ends(watched)[-1]

    async def poll_until(self, watched: WatchedTarget, condition: Callable[[], object]) -> None:
        """Poll again and again, until something is seen."""
        give_up = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up, (
                f"{watched.target.addr} has polled in vain; its last error: {watched.health.error_text}"
            )
            await self.poll(watched)
            await asyncio.sleep(0.01)

    async def ask_until(
        self,
        watched: WatchedTarget,
        condition: Callable[[int], object],
        *,
        at_once: int = 1,
        lanes: Sequence[Lane] = (Lane.FAST,),
    ) -> None:
        """Ask for values as they are now, so many times at once, again and again until `condition` holds; it
        is told how often it was asked."""
        asked, give_up = 0, time.monotonic() + PATIENCE_S
        while not condition(asked):
            assert time.monotonic() < give_up, f"asked {asked} times, with {len(self.ends(watched))} polls"
            deadline = time.monotonic() + AMPLE_S
            await asyncio.gather(*(watched.fresh(0.0, deadline, lanes) for _ in range(at_once)))
            await asyncio.sleep(0.001)
            asked += at_once

    def series(self, watched: WatchedTarget) -> dict[tuple[str, tuple[str, ...]], float]:
        """Every sample that is served of the target, by name and the values of its own labels."""
        served = [self.store.visible(watched.target.addr, family_set) for family_set in self.family_set_names]
        text = b"".join(snapshot.samples for snapshot in served if snapshot is not None).decode()
        return {
            (
                sample.name,
                tuple(value for label, value in sample.labels.items() if label != "addr"),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, watched: WatchedTarget, name: str, *labels: str) -> float | None:
        return self.series(watched).get((name, labels))

    def number(self, watched: WatchedTarget, name: str, *labels: str) -> float:
        """The same of one that is served."""
        return self.series(watched)[name, labels]

    def went_well(self, watched: WatchedTarget) -> bool:
        """Whether there were polls and none failed."""
        return bool(self.ends(watched)) and all(ended.error is None for ended in self.ends(watched))

    def was_cancelled(self, watched: WatchedTarget) -> bool:
        return isinstance(self.ends(watched)[-1].error, CancelledPollError)


def connections(server: RedisServer) -> int:
    """How many connections of ours a server has, by their client name."""
    clients = server.ask("CLIENT", "LIST")
    assert isinstance(clients, bytes)
    return clients.count(b"name=redis_exporter")


def server_field(server: RedisServer, name: str) -> int:
    """A number of the server's own INFO."""
    lines = server.ask("INFO", "everything").decode().splitlines()
    return int(dict(line.split(":", 1) for line in lines if ":" in line)[name])


def others() -> set[asyncio.Task[Any]]:
    """The tasks that run beside the test."""
    tasks = asyncio.all_tasks()
    current = asyncio.current_task()
    assert current is not None
    return tasks - {current}


def info(**fields: str | int) -> bytes:
    """A reply of INFO, as short as can be."""
    lines = {
        "redis_version": "7.0.15",
        "run_id": "a",
        "role": "master",
        "loading": 0,
        "connected_clients": 3,
        **fields,
    }
    return bulk("".join(f"{key}:{value}\r\n" for key, value in lines.items()).encode())


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


def redis_like(replies: dict[str, bytes] | None = None, commands: int | None = None) -> Script:
    """Answers as Redis would: `replies` by the first word of a command (they may change meanwhile), else INFO
    and OK. After so many `commands` it leaves the next one to the script that follows it."""

    def script(talk: Conversation) -> None:
        told = {"INFO": info(), "CONFIG": b"*0\r\n"}
        changing = replies or {}
        served = 0
        while commands is None or served < commands:
            word = talk.command()[0].decode()
            talk.send(changing.get(word) or told.get(word, b"+OK\r\n"))
            served += 1

    return script


#: commands of the first poll on a connection: CLIENT SETNAME, INFO, CONFIG GET databases, INFO of the
#: standard lane, and INFO all because that shows no command
FIRST_POLL = 5


def in_turn(*scripts: Script) -> Script:
    """One connection that is served by one script after the other."""

    def script(talk: Conversation) -> None:
        for each in scripts:
            each(talk)

    return script


WatchHarnessFactory = Callable[..., WatchHarness]
RedisFactory = Callable[..., RedisServer]
ScriptFactory = Callable[..., ScriptedServer]


def assert_down(watch_harness: WatchHarness, watched: WatchedTarget, reason: str) -> None:
    """Down for this reason, and for no other: in every series that tells."""
    told = watch_harness.series(watched)
    assert told["redis_up", ()] == 0
    assert [labels for name, labels in told if name == "redis_exporter_target_down"] == [(reason,)]
    assert told["redis_exporter_last_scrape_error", (reason,)] == 1
    assert {labels for name, labels in told if name == "redis_exporter_target_poll_failures_total"} == {
        (reason,)
    }
    assert SECRET not in watched.health.error_text
    assert watched.health.error_text


def assert_up(watch_harness: WatchHarness, watched: WatchedTarget) -> None:
    told = watch_harness.series(watched)
    assert told["redis_up", ()] == 1
    assert not [labels for name, labels in told if name == "redis_exporter_target_down"]
    assert told["redis_exporter_last_scrape_error", ("",)] == 0
    assert watched.health.error_text == ""


async def no_such_name(host: str, port: int) -> tuple[str, ...]:
    raise DnsError(f"{host}:{port}: the name cannot be resolved")


class Hang:
    """A name resolution that does not come back until it is cancelled."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError("never")
