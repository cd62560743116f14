"""One collector at work in one poll."""

from __future__ import annotations

from typing import Any

import pytest

from exporter import engine
from exporter.collectors._contract import Batches, Collector, Out
from exporter.collectors._enabled import enable
from exporter.errors import ReplyError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.polling.batch import Share
from exporter.polling.collector_run import CollectorRun
from exporter.polling.memory import TargetMemory
from exporter.protocol.command import PAUSE, Command, Reply
from exporter.protocol.facts import Facts
from tests.poll_fixture import poll_context

FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "a", cluster_enabled=False, loading=False)
NUMBER = gauge("number", "A number.")
UNKNOWN = ReplyError("ERR unknown command 'A'")
NOT_NOW = ReplyError("LOADING the data")
INFO, CLIENT_LIST = Command.of("INFO", "clients"), Command.of("CLIENT", "LIST")
NO_TOUCH, SELECT, TYPE = (
    Command.of("CLIENT", "NO-TOUCH", "ON"),
    Command.of("SELECT", 1),
    Command.of("TYPE", b"k"),
)

SECOND_REFUSED = Share((0,), (INFO,), [(1, UNKNOWN)], 7.0)
ALL_REFUSED = Share((), (), [(0, UNKNOWN), (1, UNKNOWN)], 7.0)


class Twice(Collector[None]):
    """Asks two batches, with a pause between them."""

    name = "twice"
    lane = Lane.FAST
    families = (NUMBER,)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        yield [Command.of("A"), Command.of("B")]
        yield PAUSE
        yield [Command.of("C")]


def start() -> CollectorRun:
    enabled = enable(Twice(), "redis")
    context = poll_context(TargetMemory(FACTS), {"twice": engine.Labels(b"")}, parse([], {}))
    return CollectorRun.start(enabled, context, 0.0)


def test_it_asks_until_its_end() -> None:
    run = start()
    run.commands = run.step(None)
    assert run.commands == [Command.of("A"), Command.of("B")]
    assert run.step([1, 2]) == []
    run.commands = run.step([])
    assert run.commands == [Command.of("C")]
    assert run.replies == [1, 2]
    with pytest.raises(StopIteration):
        run.step([3])


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [
        ([UNKNOWN, UNKNOWN], [UNKNOWN], True),
        ([UNKNOWN, 1], [UNKNOWN], False),
        ([UNKNOWN, UNKNOWN], [1], False),
        ([1, UNKNOWN], [UNKNOWN], False),
        ([NOT_NOW, NOT_NOW], [NOT_NOW], False),
    ],
)
def test_it_is_refused_if_all_its_commands_are(
    first: list[Reply], second: list[Reply], is_refused: bool
) -> None:
    run = start()
    assert run.is_refused is None
    run.commands = run.step(None)
    run.step(first)
    run.commands = run.step([])
    with pytest.raises(StopIteration):
        run.step(second)
    assert run.is_refused is is_refused


@pytest.mark.parametrize(
    ("commands", "replies", "is_refused"),
    [
        ([INFO, CLIENT_LIST], [b"", UNKNOWN], True),
        ([NO_TOUCH, SELECT, TYPE], [b"OK", b"OK", UNKNOWN], True),
        ([NO_TOUCH, SELECT, TYPE], [UNKNOWN, UNKNOWN, b"none"], False),
        ([INFO, INFO], [UNKNOWN, UNKNOWN], True),
        ([INFO, INFO], [UNKNOWN, b""], False),
    ],
)
def test_commands_that_help_to_ask_others_count_only_alone(
    commands: list[Command], replies: list[Reply], is_refused: bool
) -> None:
    run = start()
    run.step(None)
    run.commands = commands
    run.step(replies)
    assert run.is_refused is is_refused


@pytest.mark.parametrize(
    ("batches", "replies", "is_repeatable"),
    [(1, [1, 2], True), (2, [1, 2], False), (1, [1, UNKNOWN], False), (0, [], False)],
)
def test_it_is_repeatable_after_one_batch_without_an_error(
    batches: int, replies: list[Any], is_repeatable: bool
) -> None:
    run = start()
    for _ in range(batches):
        run.take_share([INFO, CLIENT_LIST], Share((0, 1), ()))
    run.replies = replies
    assert run.is_repeatable is is_repeatable


@pytest.mark.parametrize(
    ("shares", "replies", "is_repeatable"),
    [
        ([SECOND_REFUSED], [1, UNKNOWN], True),
        ([SECOND_REFUSED], [UNKNOWN, UNKNOWN], False),
        ([ALL_REFUSED], [UNKNOWN, UNKNOWN], True),
        ([ALL_REFUSED, ALL_REFUSED], [UNKNOWN, UNKNOWN], True),
        ([ALL_REFUSED, SECOND_REFUSED], [1, UNKNOWN], False),
        ([SECOND_REFUSED, ALL_REFUSED], [UNKNOWN, UNKNOWN], False),
    ],
)
def test_what_is_not_sent_because_it_is_refused_repeats(
    shares: list[Share], replies: list[Any], is_repeatable: bool
) -> None:
    run = start()
    for share in shares:
        run.take_share([INFO, CLIENT_LIST], share)
    run.replies = replies
    assert run.is_repeatable is is_repeatable
    assert run.until == 7.0
