"""Polls by a program leave what ordinary polls of the same bytes leave."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collectors._contract import AnyCollector
from exporter.collectors._several import LOOK_AGAIN_S
from exporter.collectors.cluster import ClusterCollector
from exporter.collectors.info import InfoCollector
from exporter.collectors.latency_histogram import LatencyHistogramCollector
from exporter.collectors.latency_stats import LatencyStatsCollector
from exporter.connection import command_log
from exporter.connection.link import Connection
from exporter.connection.replies import ReplyDecoder
from exporter.errors import ResetError, SilenceError
from exporter.metrics.lane import Lane
from exporter.polling import runner, steady_poll
from exporter.polling.poll import Poll
from exporter.polling.program import Program
from exporter.polling.refusals import FIRST_REPROBE_S, REPROBE_S
from exporter.polling.steady_poll import program_for
from exporter.protocol.info_commands import INFO_MOVING
from exporter.targets.target import Target
from tests.histograms import row
from tests.polling.fed_target import COLLECTORS, FedTarget, raw_replies
from tests.replay import VERSIONS as ON_RECORD
from tests.replay import Replay, resp

VERSIONS = ("redis-7.0.15", "redis-8.10.0", "redis-6.2.16", "valkey-8.1.1", "redis-4.0.14")
INTERVAL_S = 5.0
#: by what happens between two polls, how long that takes
LATE_S = {"late": 40.0, "ten minutes": FIRST_REPROBE_S}
#: then servers are looked at again: a steady poll learns that from replies that it has no use for
SAME_LOOK_S = LOOK_AGAIN_S - FIRST_REPROBE_S
#: apart from the others, whose replies fill a poll by a program together
HISTOGRAMS = (InfoCollector(), LatencyHistogramCollector(), LatencyStatsCollector())
CLUSTER = (*COLLECTORS, ClusterCollector())


class Clock:
    """Monotonic and wall-clock time of the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_795_380_000.0 + self.now


@contextmanager
def stopped() -> Iterator[Clock]:
    """Time that goes on only as the test says, for everything."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", clock.monotonic)
        patch.setattr(time, "time", clock.wall)
        yield clock


def in_loop(run: Callable[[Clock], Coroutine[Any, Any, None]]) -> None:
    """Run within an event loop whose time stands still."""

    async def main() -> None:
        with stopped() as clock:
            await run(clock)

    asyncio.run(main())


class Server:
    """Answers as a version on record, but for what a step changes. Each answer depends on the step and the
    command alone, so both ways of polling get the same."""

    def __init__(self, version: str, *, in_cluster: bool = False) -> None:
        assert version in ON_RECORD
        self._replay = Replay(version)
        self._in_cluster = in_cluster
        self.step = 0
        self.changes: dict[str, Callable[[bytes], bytes]] = {}
        self.refused: set[str] = set()  # by the first words of commands
        self.refusals: list[str] = []  # what was asked of it

    def __call__(self, words: list[str]) -> bytes:
        asked = " ".join(words)
        if any(f"{asked} ".startswith(f"{refused} ") for refused in self.refused):
            self.refusals.append(asked)
            return b"-ERR unknown command '%s'\r\n" % words[0].encode()
        reply = self._replay.answer(words)
        if words[0] == "INFO":
            reply = moved(reply, self.step)
            if self._in_cluster:
                reply = field(b"cluster_enabled", b"1")(reply)
        change = self.changes.get(words[0])
        return reply if change is None else change(reply)


def moved(reply: bytes, step: int) -> bytes:
    """INFO of a server that works: some of its numbers grow."""
    text = reply[reply.index(b"\n") + 1 : -2] if reply.startswith(b"$") else b""
    text = re.sub(
        rb"(uptime_in_seconds:|total_commands_processed:|calls=|keys=)\d+", rb"\g<1>%d" % (7 + step), text
    )
    return resp(text) if text else reply


def in_text(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A change of a text within its reply."""

    def of(reply: bytes) -> bytes:
        return resp(change(reply[reply.index(b"\n") + 1 : -2])) if reply.startswith(b"$") else reply

    return of


def field(name: bytes, value: bytes) -> Callable[[bytes], bytes]:
    return in_text(lambda text: re.sub(rb"(?m)^%s:[^\r\n]*" % name, b"%s:%s" % (name, value), text))


def error(text: bytes) -> Callable[[bytes], bytes]:
    return lambda reply: b"-%s\r\n" % text


def another(reply: bytes) -> Callable[[bytes], bytes]:
    return lambda _: reply


ENTRY = resp([[14, 1_795_380_000, 12000, ["GET", "k"], "127.0.0.1:5", ""]])
#: by the first word of a command, what its reply may become
CHANGES: dict[str, tuple[Callable[[bytes], bytes], ...]] = {
    "INFO": (
        field(b"role", b"slave"),
        field(b"loading", b"1"),
        field(b"run_id", b"another"),
        field(b"rdb_bgsave_in_progress", b"1"),
        field(b"latest_fork_usec", b"900000"),
        field(b"used_memory", b"no number"),
        field(b"redis_version", b"5.0.0"),
        in_text(lambda text: text + b"\r\nmaster_replid:zz\r\n"),
        in_text(lambda text: text + b"\r\nrun_id:zz\r\n"),
        in_text(lambda text: text + b"\r\nx_run_id:zz\r\n"),
        in_text(lambda text: b"x:y\r\n" + text),
        in_text(lambda text: b"".join(b"x%d:1\r\n" % n for n in range(11_000)) + text),
        in_text(lambda text: b"# Server\r\n" + text[: len(text) // 3]),
        in_text(lambda text: b""),
        in_text(lambda text: text.replace(b"cmdstat_", b"other_")),
        error(b"LOADING Redis is loading the dataset in memory"),
        error(b"NOPERM this user has no permissions to run the 'info' command"),
        error(b"ERR unknown command"),
        another(b"$-1\r\n"),
        another(b"*0\r\n"),
        another(b":7\r\n"),
        another(b"+OK\r\n"),
    ),
    "SLOWLOG": (
        another(ENTRY),
        another(b":5\r\n"),
        another(b"*0\r\n"),
        another(b"*-1\r\n"),
        error(b"ERR unknown command"),
        error(b"NOPERM no"),
        error(b"BUSY a script"),
    ),
    "LATENCY": (
        another(resp([["command", 1_795_380_000, 5, 9]])),
        another(resp([*row(b"get", 7, 1, 3, 2, 7), *row(b"config", 1, 5, 1)])),
        another(resp([*row(b"get", 7, 3, 7), *row(b"get", 8, 3, 8)])),
        another(resp(row(b"get", 7, 3, 8))),
        another(b"*0\r\n"),
        error(b"ERR unknown command"),
    ),
    "CLUSTER": (
        field(b"cluster_state", b"fail"),
        in_text(lambda text: b""),
        error(b"ERR This instance has cluster support disabled"),
        another(b"*0\r\n"),
    ),
    "CONFIG": (
        another(resp(["maxmemory", "4096"])),
        another(b"*0\r\n"),
        error(b"ERR unknown command"),
        error(b"NOPERM no"),
    ),
}
CHANGE = st.sampled_from([(word, at) for word, all_of in CHANGES.items() for at in range(len(all_of))])
#: what happens between two polls besides
EVENT = st.sampled_from(["", "", "", "", "reconnect", "reload", "ask again", *LATE_S])
REFUSED = st.sampled_from(
    [
        *("CONFIG", "SLOWLOG", "SLOWLOG GET", "LATENCY", "LATENCY LATEST", "CLUSTER"),
        *("INFO commandstats errorstats", "INFO commandstats", "INFO errorstats", "INFO latencystats"),
    ]
)
#: what the server begins to refuse, or answers again
TURN = st.sets(REFUSED, max_size=1)
STEP = st.tuples(st.integers(0, 3), st.lists(CHANGE, max_size=1), EVENT, TURN)
#: many of them: programs are used then
QUIET_STEP = st.tuples(
    st.integers(0, 3),
    st.lists(CHANGE, max_size=0),
    st.sampled_from(["", *LATE_S]),
    st.sets(REFUSED, max_size=0),
)


def do(event: str, target: FedTarget, clock: Clock) -> None:
    match event:
        case "reconnect":
            target.connect()
        case "reload":
            target.watched.reassign(target.assignment)
        case "ask again":
            target.watched.ask_again()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(VERSIONS),
    st.sampled_from([COLLECTORS, HISTOGRAMS, CLUSTER]),
    st.sets(REFUSED, max_size=2),
    st.lists(st.one_of(STEP, QUIET_STEP, QUIET_STEP), min_size=3, max_size=20),
)
def test_both_ways_leave_the_same(
    version: str,
    collectors: tuple[AnyCollector, ...],
    refused: set[str],
    steps: list[tuple[int, list[tuple[str, int]], str, set[str]]],
) -> None:
    async def run(clock: Clock) -> None:
        server, began = Server(version, in_cluster=collectors is CLUSTER), clock.now
        server.refused |= refused
        targets = [FedTarget(server, programs=programs, collectors=collectors) for programs in (True, False)]
        for moves, changes, event, turned in steps:
            server.step += moves
            server.changes = {word: CHANGES[word][at] for word, at in changes}
            server.refused ^= turned
            later_s = LATE_S.get(event, INTERVAL_S)
            clock.now += later_s if clock.now - began < SAME_LOOK_S else INTERVAL_S
            for target in targets:
                do(event, target, clock)
                await target.poll(clock.now)
                if target.connection.closed:
                    target.connect()
            ours, theirs = (target.left() for target in targets)
            # a steady poll that doubts asks nothing more, so even what was asked is the same
            assert ours == theirs

    in_loop(run)


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> list[Poll]:
    """The polls that did without a program, or fell back from it."""
    begun: list[Poll] = []

    def begin(*given: Any) -> Poll:
        begun.append(Poll(*given))
        return begun[-1]

    monkeypatch.setattr(runner, "Poll", begin)
    return begun


@pytest.mark.parametrize("version", VERSIONS)
def test_most_polls_are_steady_and_read_what_moves(ordinary: list[Poll], version: str) -> None:
    """The property above would hold of programs that are never used."""

    async def run(clock: Clock) -> None:
        server = Server(version)
        target = FedTarget(server)
        for _ in range(24):
            server.step += 1
            clock.now += INTERVAL_S
            await target.poll(clock.now)
            assert b" %d\n" % (7 + server.step) in _samples(target, "info")
        assert target.watched.state.series.lanes[Lane.FAST].polls == 24
        assert len(ordinary) < 12

    in_loop(run)


def test_polls_with_histograms_are_steady(ordinary: list[Poll]) -> None:
    async def run(clock: Clock) -> None:
        server = Server("redis-7.0.15")
        target = FedTarget(server, collectors=HISTOGRAMS)
        for count in range(1, 17):
            server.changes["LATENCY"] = another(resp(row(b"get", 2 * count, *range(1, 2 * count + 1))))
            clock.now += INTERVAL_S
            await target.poll(clock.now)
        samples = _samples(target, "latency_histogram")
        calls = re.findall(rb'_count\{addr="redis://h:6379",cmd="get"\} (\d+)\n', samples)
        assert calls == [b"30"]
        assert samples.count(b"_bucket") == 15 + 1
        assert len(ordinary) < 6

    in_loop(run)


def test_polls_of_a_cluster_node_are_steady(ordinary: list[Poll]) -> None:
    async def run(clock: Clock) -> None:
        server = Server("redis-7.0.15", in_cluster=True)
        target = FedTarget(server, collectors=CLUSTER)
        for number in range(24):
            server.changes["CLUSTER"] = field(b"cluster_size", b"%d" % number)
            clock.now += INTERVAL_S
            await target.poll(clock.now)
        assert target.memory.facts is not None
        assert target.memory.facts.cluster_enabled
        assert b'redis_cluster_size{addr="redis://h:6379"} 23\n' in _samples(target, "cluster")
        assert len(ordinary) < 12

    in_loop(run)


def _samples(target: FedTarget, name: str) -> bytes:
    snapshot = target.store.get("redis://h:6379", name)
    assert snapshot is not None
    return snapshot.samples


async def steady_target(clock: Clock, server: Server, **more: Any) -> FedTarget:
    """One whose fast lane has a program."""
    target = FedTarget(server, **more)
    for _ in range(8):
        clock.now += INTERVAL_S
        await target.poll(clock.now)
    assert has_program(target)
    return target


def has_program(target: FedTarget) -> bool:
    return program_of(target, time.monotonic()) is not None


def program_of(target: FedTarget, now: float) -> Program | None:
    return program_for(target.family_sets.on((Lane.FAST,)), target.watched.state.context, now)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "refused",
    [
        {"CONFIG"},
        {"CONFIG", "SLOWLOG GET", "LATENCY"},
        {"SLOWLOG"},
        {"INFO commandstats errorstats", "INFO errorstats"},
    ],
)
def test_most_polls_of_a_server_that_refuses_commands_are_steady(
    ordinary: list[Poll], version: str, refused: set[str]
) -> None:
    async def run(clock: Clock) -> None:
        server = Server(version)
        server.refused |= refused
        target = FedTarget(server)
        for _ in range(48):
            server.step += 1
            clock.now += INTERVAL_S
            await target.poll(clock.now)
            assert b" %d\n" % (7 + server.step) in _samples(target, "info")
        assert len(ordinary) < 16
        verdicts = target.watched.state.series.collectors
        assert verdicts["config"] == (True, "CONFIG" not in refused)
        assert verdicts["slowlog"] == (True, "SLOWLOG" not in refused)
        assert verdicts["latency"] == (True, "LATENCY" not in refused)

    in_loop(run)


@pytest.mark.parametrize("refused", ["LATENCY HISTOGRAM", "INFO latencystats"])
def test_so_are_those_of_one_that_refuses_histograms(ordinary: list[Poll], refused: str) -> None:
    async def run(clock: Clock) -> None:
        server = Server("redis-7.0.15")
        server.refused.add(refused)
        target = FedTarget(server, collectors=HISTOGRAMS)
        for _ in range(24):
            clock.now += INTERVAL_S
            await target.poll(clock.now)
        assert len(ordinary) < 8
        supported = {name: verdict[1] for name, verdict in target.watched.state.series.collectors.items()}
        assert supported["latency_histogram"] == (refused != "LATENCY HISTOGRAM")

    in_loop(run)


def test_a_cluster_node_that_refuses_the_question_is_polled_steadily(ordinary: list[Poll]) -> None:
    async def run(clock: Clock) -> None:
        server = Server("redis-7.0.15", in_cluster=True)
        server.refused.add("CLUSTER")
        target = FedTarget(server, collectors=CLUSTER)
        for _ in range(24):
            clock.now += INTERVAL_S
            await target.poll(clock.now)
        assert target.watched.state.series.collectors["cluster"] == (True, False)
        assert len(ordinary) < 12

    in_loop(run)


def test_a_command_that_is_refused_leaves_the_programs_and_comes_back() -> None:
    async def run(clock: Clock) -> None:
        server = Server("redis-7.0.15")
        target = await steady_target(clock, server)
        server.refused = {"LATENCY"}
        clock.now += INTERVAL_S
        await target.poll(clock.now)
        assert not has_program(target)
        refused_at = clock.now
        for _ in range(8):
            clock.now += INTERVAL_S
            await target.poll(clock.now)
        program = program_of(target, refused_at + FIRST_REPROBE_S - 0.1)
        assert program is not None
        assert b"LATENCY" not in program.request
        assert program_of(target, refused_at + FIRST_REPROBE_S) is None
        server.refused = set()
        clock.now = refused_at + FIRST_REPROBE_S
        for _ in range(8):
            clock.now += INTERVAL_S
            await target.poll(clock.now)
        program = program_of(target, clock.now)
        assert program is not None
        assert b"LATENCY" in program.request
        assert not target.memory.refusals.known

    in_loop(run)


def test_refused_commands_are_sent_again_as_often_as_by_ordinary_polls() -> None:
    async def run(clock: Clock) -> None:
        servers = [Server("redis-7.0.15") for _ in range(2)]
        targets = [FedTarget(servers[0]), FedTarget(servers[1], programs=False)]
        for server in servers:
            server.refused = {"CONFIG", "LATENCY"}
        sent: list[list[tuple[float, str]]] = [[], []]
        for _ in range(1000):
            clock.now += INTERVAL_S
            for server, target, times in zip(servers, targets, sent, strict=True):
                server.refusals.clear()
                await target.poll(clock.now)
                times += [(clock.now, command) for command in server.refusals]
        ours, theirs = sent
        began = ours[0][0]
        at = [now - began for now, command in ours if command == "LATENCY LATEST"]
        assert at == [0.0, FIRST_REPROBE_S, FIRST_REPROBE_S + REPROBE_S]
        assert len(ours) > len(at)
        assert ours == theirs

    in_loop(run)


def test_a_poll_that_asks_something_else_asks_anew() -> None:
    """Each hour, a server is looked at again."""

    async def run(clock: Clock) -> None:
        server = Server("redis-7.0.15")
        target = await steady_target(clock, server)
        asked = len(target.connection.asked)
        server.step += 1
        clock.now += LOOK_AGAIN_S
        await target.poll(clock.now)
        assert target.connection.asked[asked] != target.connection.asked[asked + 1]
        assert target.watched.up
        assert target.outcomes[-1].results is not None
        assert target.outcomes[-1].results.answered_s == 0.0
        assert b" %d\n" % (7 + server.step) in _samples(target, "info")

    in_loop(run)


def test_a_new_connection_is_no_place_for_a_program() -> None:
    async def run(clock: Clock) -> None:
        target = await steady_target(clock, Server("redis-7.0.15"))
        target.connect()
        assert not has_program(target)

    in_loop(run)


def test_a_poll_over_a_new_connection_asks_once_and_leaves_the_programs() -> None:
    async def run(clock: Clock) -> None:
        target = await steady_target(clock, Server("redis-7.0.15"))
        program = program_of(target, clock.now)
        assert program is not None
        assert INFO_MOVING in program.commands
        asked = len(target.connection.asked)
        target.connect()
        clock.now += INTERVAL_S
        await target.poll(clock.now)
        assert len(target.connection.asked) == asked + 1
        assert program_of(target, clock.now) is program

    in_loop(run)


def test_a_poll_over_a_new_connection_to_another_run_forgets_the_programs() -> None:
    async def run(clock: Clock) -> None:
        server = Server("redis-7.0.15")
        target = await steady_target(clock, server)
        server.changes = {"INFO": field(b"run_id", b"another")}
        target.connect()
        clock.now += INTERVAL_S
        await target.poll(clock.now)
        assert not has_program(target)

    in_loop(run)


def test_a_reload_forgets_the_programs() -> None:
    async def run(clock: Clock) -> None:
        target = await steady_target(clock, Server("redis-7.0.15"))
        target.watched.reassign(target.assignment)
        assert not has_program(target)

    in_loop(run)


def test_commands_that_are_logged_are_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_log, "is_on", lambda: True)

    async def run(clock: Clock) -> None:
        with pytest.raises(AssertionError):
            await steady_target(clock, Server("redis-7.0.15"))

    in_loop(run)


def test_a_collector_that_raises_is_run_with_the_same_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> bool:
        raise ValueError("odd")

    async def run(clock: Clock) -> None:
        server = Server("redis-7.0.15")
        target = await steady_target(clock, server)
        info = target.family_sets.of_collectors[0].collector
        monkeypatch.setattr(type(info), "read_again", fail)
        server.step += 1
        clock.now += INTERVAL_S
        asked = len(target.connection.asked)
        await target.poll(clock.now)
        assert target.watched.up
        assert len(target.connection.asked) == asked + 1
        assert b" %d\n" % (7 + server.step) in _samples(target, "info")

    in_loop(run)


def test_a_poll_ends_though_no_program_can_be_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*given: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(steady_poll, "shared_program", fail)

    async def run(clock: Clock) -> None:
        target = FedTarget(Server("redis-7.0.15"))
        for _ in range(3):
            clock.now += INTERVAL_S
            await target.poll(clock.now)
            assert not target.watched.busy
            assert target.watched.up
        assert not has_program(target)

    in_loop(run)
    assert "internal error behind a poll" in caplog.text


def test_a_poll_ends_though_its_replies_cannot_be_decoded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*given: Any) -> None:
        raise MemoryError

    async def run(clock: Clock) -> None:
        target = FedTarget(Server("redis-7.0.15"))
        monkeypatch.setattr(ReplyDecoder, "decode", fail)
        clock.now += INTERVAL_S
        await target.poll(clock.now)
        assert not target.watched.busy
        assert target.watched.health.reason == "internal"

    in_loop(run)
    assert "internal error while reading replies" in caplog.text


@pytest.mark.parametrize("began_reply", [True, False])
def test_a_connection_that_was_closed_is_dialled_once_more(began_reply: bool) -> None:
    async def run(clock: Clock) -> None:
        target = await steady_target(clock, Server("redis-7.0.15"))
        target.connection.error = ResetError("the server closed the connection")
        target.connection.began_reply = began_reply
        dials: list[Target] = []

        async def dial(to: Target, *settings: Any, **more: Any) -> Connection:
            dials.append(to)
            await asyncio.Event().wait()
            raise AssertionError

        target.dialer.dial = dial  # type: ignore[assignment]
        clock.now += INTERVAL_S
        await target.poll(clock.now)
        assert len(dials) == (not began_reply)
        assert (target.outcomes[-1].error is None) == (not began_reply)
        assert target.watched.busy == (not began_reply)
        target.watched.close()

    in_loop(run)


def test_a_poll_that_gets_no_answer_fails_as_others_do() -> None:
    async def run(clock: Clock) -> None:
        target = await steady_target(clock, Server("redis-7.0.15"))
        target.connection.error = SilenceError("no complete answer")
        clock.now += INTERVAL_S
        await target.poll(clock.now)
        assert target.watched.up is False
        assert target.watched.health.reason == "timeout"

    in_loop(run)


def test_replies_that_are_fewer_than_the_commands_are_in_doubt() -> None:
    async def run(clock: Clock) -> None:
        target = await steady_target(clock, Server("redis-7.0.15"))
        context = target.watched.state.context
        program = program_of(target, clock.now)
        assert program is not None
        runner = target.watched._runner
        assert steady_poll.read(program, raw_replies([b"$1\r\nx\r\n"]), context, runner) is None

    in_loop(run)
