"""Polls of servers on record whose replies are changed: of all collectors, in both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import hiredis
import pytest

from exporter import engine as engine_module
from exporter.errors import ReplyError, TargetError
from exporter.metrics.catalog import Catalog
from exporter.metrics.labels import label_forms
from exporter.metrics.series_limit import SeriesLimit
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import Poll
from exporter.protocol.command import Command
from tests.collectors.test_hostile_names import NAMES, NOW, OPTIONS, enabled
from tests.engine.readings import seen
from tests.fuzz.case import Case, Script
from tests.fuzz.cases.engines import COMPILED, PLAIN, assert_exposition
from tests.poll_fixture import poll_context
from tests.replay import SERVERS, Replay
from tests.store_fixture import page_of

SERVER_NAMES = tuple(SERVERS)
PIECES = tuple(name for name in NAMES if len(name) < 1000)
NUMBERS = (0, -1, 1, 2**31, 2**63 - 1, -(2**63), 16384, 10**6)
#: in place of a reply, or of a part of one
OTHERS: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: b"",
    lambda: "OK",
    list,
    lambda: [[]],
    lambda: [None, b"x", 1],
    lambda: ReplyError("ERR unknown command"),
    lambda: ReplyError("NOPERM this user has no permissions"),
    lambda: ReplyError("MOVED 1 192.0.2.1:1"),
    lambda: ReplyError("LOADING Redis is loading the dataset in memory"),
)
#: changes of the replies to one batch, and of a list on the way to one of its leaves
CHANGES_MAX, DEPTH_MAX = 6, 8
#: batches that one poll may ask: more is no end
BATCHES_MAX = 200
#: lines of CLIENT LIST: hundreds would take most of the time
CLIENTS = 8
#: polls of one input
POLLS_MAX = 3
#: of so many inputs, one is polled in the plain engine too, which takes ten times as long
PLAIN_EVERY = 8
#: series of a target, and of a family
LIMITS = ((10_000, 5_000), (60, 3))
LABELS = ((b"addr", b"redis://h:6379"),)


class Polled(NamedTuple):
    """What one poll has left."""

    blocks: dict[str, Any]
    failures: dict[str, str]


class Server:
    """A server on record. Each of its replies is decoded once."""

    def __init__(self, name: str) -> None:
        self._replay: Replay = SERVERS[name]()
        self._known: dict[tuple[Any, ...], Any] = {}

    def reply(self, command: Command) -> Any:
        known = self._known.get(command.args)
        if known is None:
            reader = hiredis.Reader(replyError=ReplyError)
            words = [
                word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
                for word in command.args
            ]
            reader.feed(self._replay.answer(words))
            value = reader.gets()
            if command.name == "CLIENT LIST" and isinstance(value, bytes):
                value = b"".join(value.splitlines(keepends=True)[:CLIENTS])
            known = self._known[command.args] = (value,)
        return known[0]


class Side:
    """All collectors in one engine, and the pages of what they write."""

    def __init__(self, kind: Any) -> None:
        with in_engine(kind):
            self.collectors = enabled()
            self.family_sets = [each.family_set for each in self.collectors]
            self.forms = label_forms(self.family_sets, LABELS)
            self.catalog = Catalog(self.family_sets)
        self._before = self.catalog.headers[:], self.catalog.names[:]
        self.catalog.open()

    def forget(self) -> None:
        """Forget the families that servers have named: an input is not to depend on those before it."""
        for each in self.family_sets:
            if each.runtime_families is not None and each.runtime_families.given:
                rows, own = cast(list[Any], each.rows), len(each.families)
                del rows[own:]
                each.runtime_families.__init__("redis", own, rows)  # type: ignore[misc]
        self.catalog.headers[:], self.catalog.names[:] = self._before
        self.catalog.open()

    def page(self, blocks: Mapping[str, Any]) -> bytes:
        columns = [[blocks[each.name]] if each.name in blocks else [] for each in self.family_sets]
        return page_of(COMPILED.Assembler(self.catalog.headers, self.catalog.cells, columns))


class Polls(Case):
    """No collector raises an error of ours, each poll ends, the page is valid, and both engines make the
    same of it."""

    length_max = 200
    words = (*PIECES, b"calls=", b"usec=", b"keys=", b"ip=", b"\r\n", b":", b"=", b",")

    def __init__(self) -> None:
        self._ours, self._plain = Side(COMPILED), Side(PLAIN)
        self._servers: dict[str, Server] = {}

    def seeds(self) -> Iterable[bytes]:
        for number in range(len(SERVER_NAMES)):
            yield bytes(
                [number, 0, 3, number, 0, 9, 1, 7, 40 + number, 0, 30, 2, 5, 99, 1, 2, 3, 4, 5, 6, 7, 8]
            )
            yield bytes([number, 1, 2]) + bytes(range(number, 60 + number))

    def check(self, data: bytes) -> None:
        polls = self._polls(self._ours, data)
        if sum(data) % PLAIN_EVERY == 0 and PLAIN is not COMPILED:
            with in_engine(PLAIN):
                plain = self._polls(self._plain, data)
            for one, other in zip(polls, plain, strict=True):
                assert one.failures == other.failures
                assert _shown(one.blocks) == _shown(other.blocks)
        limit = SeriesLimit(*LIMITS[sum(data) % len(LIMITS)])
        kept: dict[str, Any] = {}
        for polled in polls:
            for name, block in polled.blocks.items():
                kept[name] = limit.admit(name, block, kept.get(name))
                assert kept[name].samples.count(b"\n") == kept[name].series
            assert_exposition(self._ours.page(kept))

    def _polls(self, side: Side, data: bytes) -> list[Polled]:
        script = Script(data)
        name = script.one_of(SERVER_NAMES)
        server = self._servers.get(name) or self._servers.setdefault(name, Server(name))
        side.forget()
        context = poll_context(TargetMemory(), side.forms, OPTIONS)
        return [
            _polled(Poll(side.collectors, context, NOW + 5 * number, number * 5.0), server, script)
            for number in range(1 + script.below(POLLS_MAX))
        ]


def _polled(poll: Poll, server: Server, script: Script) -> Polled:
    """What a poll leaves of this server, whose replies change as the script says."""
    batch, batches = poll.begin(), 0
    while batch or poll.paused:
        batches += 1
        assert batches <= BATCHES_MAX, f"asks on: {batch[:3]}"
        if poll.paused:
            batch = poll.go_on()
        else:
            batch = poll.receive(changed([server.reply(command) for command in batch], script))
    failures = poll.results.failures
    for collector, failure in failures.items():
        assert type(failure) is not TargetError, f"{collector}: {failure}"
    return Polled(dict(poll.results.blocks), {name: str(each) for name, each in failures.items()})


def _shown(blocks: Mapping[str, Any]) -> dict[str, tuple[object, ...]]:
    return {name: seen(block) for name, block in blocks.items()}


def changed(replies: Sequence[Any], script: Script) -> list[Any]:
    """The replies, some of them with changes. What is changed is a copy."""
    found = list(replies)
    for _ in range(script.below(CHANGES_MAX)):
        if script.is_over:
            break
        at = script.below(256) % len(found)
        found[at] = changed_value(found[at], script)
    return found


def changed_value(value: Any, script: Script, depth: int = 0) -> Any:
    if isinstance(value, list) and value and depth < DEPTH_MAX:
        at, way = script.below(65536) % len(value), script.below(8)
        if way == 0:
            return [*value[:at], *value[at + 1 :]]
        if way == 1:
            return [*value[:at], value[at], *value[at:]]
        if way < 7:
            return [*value[:at], changed_value(value[at], script, depth + 1), *value[at + 1 :]]
    elif isinstance(value, bytes) and value:
        at, way = script.below(65536) % len(value), script.below(8)
        if way < 3:
            return value[:at] + _piece(script) + value[at:]
        if way < 6:
            return value[:at] + _piece(script) + value[at + script.below(64) :]
        if way == 6:
            return _piece(script)
    elif isinstance(value, int) and script.below(2):
        return script.one_of(NUMBERS)
    return script.one_of(OTHERS)()


def _piece(script: Script) -> bytes:
    return script.piece(20) if script.below(2) else script.one_of(PIECES)


@contextmanager
def in_engine(kind: Any) -> Iterator[None]:
    """Everything is read and written in this engine meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for name in vars(engine_module):
            if name.isidentifier() and not name.startswith("_") and hasattr(kind, name) and name != "engine":
                patch.setattr(engine_module, name, getattr(kind, name))
        yield
