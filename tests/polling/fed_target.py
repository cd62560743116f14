"""A watched target whose connection is fed with bytes: no server, no socket, and a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import hiredis

from exporter.collectors._contract import AnyCollector
from exporter.collectors._enabled import enable
from exporter.collectors.config import ConfigCollector
from exporter.collectors.info import InfoCollector
from exporter.collectors.latency import LatencyCollector
from exporter.collectors.server import ServerCollector
from exporter.collectors.slowlog import SlowlogCollector
from exporter.collectors.stats import StatsCollector
from exporter.connection.dialer import Dialer
from exporter.connection.limiter import Limiter
from exporter.connection.replies import DEFAULT_LIMITS, RawReplies, ReplyDecoder, whole_replies
from exporter.connection.traffic import Traffic
from exporter.engine import Frames
from exporter.errors import ReplyError, TargetError
from exporter.metrics.lane import Lane
from exporter.metrics.store import Store
from exporter.options.commandline import parse
from exporter.polling.assignment import Assignment, FamilySets, Services
from exporter.polling.outcome import PollOutcome
from exporter.polling.program import Program, Programs
from exporter.polling.timing import PollTiming
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.command import Reply
from exporter.targets.target import Target
from exporter.telemetry.target_series import target_family_set

COLLECTORS: tuple[AnyCollector, ...] = (
    InfoCollector(),
    ServerCollector(),
    StatsCollector(),
    SlowlogCollector(),
    LatencyCollector(),
    ConfigCollector(),
)
ADDR = "redis://h:6379"
#: turns of the loop in which the longest reply is read
MOST_SLICES = 200
TIMING = PollTiming(
    5.0,
    {Lane.FAST: 1, Lane.STANDARD: 3, Lane.SLOW: 4, Lane.SCAN: 60},
    deadline_s=5.0,
    scan_deadline_s=5.0,
    max_backoff_s=30.0,
    connection_max_age_s=600.0,
    max_age_s=0.0,
)

SLOTS = ("__slots__", "__mypyc_attrs__")

#: what the server says to a command, as it goes over the wire
Answer = Callable[[list[str]], bytes]


def raw_replies(replies: Iterable[bytes]) -> RawReplies:
    """These replies, as they come over a connection."""
    data, ends = b"", []
    for reply in replies:
        data += reply
        ends.append(len(data))
    return whole_replies(data, tuple(ends), ReplyDecoder())


class FedConnection:
    """In the place of a connection. The replies to a batch come when `play` is called; `error` ends it
    instead."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.closed = self.began_reply = False
        self.received = 0
        self.where, self.peer = ADDR, "192.0.2.1"
        self.notices: tuple[Any, ...] = ()
        self.connect_s, self.ping_s = 0.0, None
        self.error: TargetError | None = None
        self.asked: list[list[list[str]]] = []  # batch by batch
        self.traffic = Traffic()
        self._waiting: tuple[bytes, Callable[[RawReplies | TargetError], None]] | None = None

    @property
    def exchanging(self) -> bool:
        return self._waiting is not None

    def exchange_raw(
        self, payload: bytes, count: int, done: Callable[[RawReplies | TargetError], None]
    ) -> None:
        self._waiting = payload, done

    def play(self) -> None:
        while self._waiting is not None:
            (payload, done), self._waiting = self._waiting, None
            words = _commands(payload)
            self.asked.append(words)
            if self.error is not None:
                done(self.error)
                continue
            replies = raw_replies(map(self.answer, words))
            frames = Frames()
            frames.expect(len(words), DEFAULT_LIMITS.bytes_max, 100_000, DEFAULT_LIMITS.total_max)
            assert frames.scan(replies.data) == 1, "the test's replies are whole"
            self.received = replies.received
            self.traffic.sent += len(payload)
            self.traffic.received += replies.received
            done(replies)

    def close(self) -> None:
        self.closed = True

    def abort(self, error: TargetError) -> None:
        self.closed = True


def _commands(payload: bytes) -> list[list[str]]:
    reader = hiredis.Reader()
    reader.feed(payload)
    found = []
    while (words := reader.gets()) is not False:
        found.append([word.decode() for word in words])
    return found


class NoPrograms(Programs):
    """Every poll is an ordinary one."""

    def find(
        self, collectors: Sequence[Any], context: object, facts: Any, version: int, now: float
    ) -> Program | None:
        return None


class FedTarget:
    """A watched target with its store. `steady` counts its polls by a program that went well."""

    def __init__(
        self,
        answer: Answer,
        *,
        programs: bool = True,
        argv: Sequence[str] = (),
        collectors: Sequence[AnyCollector] = COLLECTORS,
    ) -> None:
        options = parse(argv, {})
        self.family_sets = FamilySets(
            [enable(each, "redis") for each in collectors], target_family_set("redis")
        )
        self.store = Store([each.name for each in self.family_sets.all])
        self.outcomes: list[PollOutcome] = []
        self.assignment = Assignment(
            Target(ADDR, "redis", "h", 6379, "", 0), self.family_sets, TIMING, options
        )
        self.dialer = Dialer()
        self.watched = WatchedTarget(
            self.assignment,
            Services(self.dialer, self.store, Limiter(10), Limiter(10)),
            lambda watched, outcome: self.outcomes.append(outcome),
        )
        self.memory = self.watched.state.memory
        if not programs:
            self.memory.programs = NoPrograms()
        self.connection = FedConnection(answer)
        self.connection.traffic = self.memory.traffic
        self.connect()

    def connect(self) -> None:
        """As after a dial."""
        self.connection.closed = False
        self.watched.connection.current = self.connection  # type: ignore[assignment]
        self.memory.is_new_connection = True

    async def poll(self, now: float) -> None:
        """One turn, and all of its poll, if it goes on without a dial."""
        self.watched.tick(now)
        while self.connection.exchanging:
            self.connection.play()
            for _ in range(MOST_SLICES):  # long replies are read in slices
                if self.watched.busy and not self.connection.exchanging:
                    await asyncio.sleep(0)

    def left(self) -> dict[str, Any]:
        """All that polls leave: what pages show, and what the next polls go by."""
        state, memory = self.watched.state, self.memory
        refusals = memory.refusals
        return {
            "snapshots": {
                each.name: self.store.get(ADDR, each.name) and _snapshot(self.store.get(ADDR, each.name))
                for each in self.family_sets.all
            },
            "generation": self.store.generation,
            "health": (state.health.status(), state.health.down_at, state.health.retry_at),
            "series": plain(state.series, private=False),
            "clock": (state.clock.due(), state.clock.phases()),
            "easing": (state.easing.usual_s, state.series.strain),
            "facts": memory.facts,
            "forks": memory.forks,
            "replication": memory.replication_section,
            "command_stats": memory.command_stats,
            "cost": (state.cost.poll_s, state.cost.by_command()),
            "refusals": {
                name: (each.reply.text, each.at, each.before, each.times)
                for name, each in refusals.known.items()
            },
            "fresh refusals": [str(each) for each in refusals.fresh.values()],
            "refusals were taken at": refusals._taken_at,
            "collectors": _remembered(memory.collectors),
            "repeats": {
                name: (list(map(_shown, last.replies)), last.cut, last.until, last.is_refused)
                for name, last in memory.repeats.items()
            },
            "version of refusals": refusals.version,
            "asked": self.connection.asked,
            "up": [outcome.up_changed for outcome in self.outcomes],
        }


def _snapshot(snapshot: Any) -> tuple[Any, ...]:
    return tuple(
        getattr(snapshot, name) for name in ("samples", "offsets", "series", "lane", "began_at", "expires_at")
    )


def _shown(reply: Reply) -> Reply:
    """Two errors are never equal."""
    return str(reply) if isinstance(reply, ReplyError) else reply


def _remembered(collectors: Mapping[str, Any]) -> dict[str, Any]:
    """What collectors remember, but for what is about steady polls alone."""
    found: dict[str, Any] = plain(collectors)
    found.get("info", {}).get("moving", {}).pop("wholes_in_a_row", None)
    return found


def plain(value: Any, *, private: bool = True) -> Any:
    """Its contents, to be compared: not all classes say when two objects are equal."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, Traffic):  # it may be compiled, and has no slots then
        return value.connections, value.received, value.sent
    kinds = type(value).__mro__  # where mypyc has compiled one, it has its own word for slots
    names = [name for kind in kinds for slots in SLOTS for name in getattr(kind, slots, ())]
    shown = [name for name in names if not name.startswith("__" if private else "_")]
    return {name: plain(getattr(value, name)) for name in shown} if names else value
