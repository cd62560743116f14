"""The commands of all collectors, in one batch."""

from __future__ import annotations

from exporter.errors import ReplyError
from exporter.polling.batch import Batch, Share
from exporter.polling.memory import TargetMemory
from exporter.polling.refusals import FIRST_REPROBE_S
from exporter.protocol.command import Command

GET, SET, PING = Command.of("GET", "k"), Command.of("SET", "k", "v"), Command.of("PING")
NO_SET = ReplyError("NOPERM no SET")
CLOCK = 1000.0


def forbidden() -> TargetMemory:
    memory = TargetMemory()
    memory.refusals.add(SET.name, NO_SET, CLOCK)
    return memory


def test_each_collector_gets_its_own_replies() -> None:
    batch = Batch(TargetMemory(), CLOCK)
    one, other = batch.add([GET, SET]), batch.add([PING])
    assert batch.take() == [GET, SET, PING]
    assert (one.of([1, 2, 3]), other.of([1, 2, 3])) == ([1, 2], [3])
    assert batch.take() == []


def test_a_command_that_was_refused_is_not_sent() -> None:
    batch = Batch(forbidden(), CLOCK)
    one, other = batch.add([SET, GET, SET, PING, SET]), batch.add([GET])
    assert batch.take() == [GET, PING, GET]
    assert one.of([1, 2, 3]) == [NO_SET, 1, NO_SET, 2, NO_SET]
    assert other.of([1, 2, 3]) == [3]


def test_all_of_them_may_be_refused() -> None:
    batch = Batch(forbidden(), CLOCK)
    share = batch.add([SET, SET])
    assert batch.take() == []
    assert (share.count, share.of(())) == (0, [NO_SET, NO_SET])


def test_it_is_sent_again_when_it_was_refused_long_ago() -> None:
    batch = Batch(forbidden(), CLOCK + FIRST_REPROBE_S)
    batch.add([SET])
    assert batch.take() == [SET]


def test_what_a_limit_left_out_of_the_replies_is_counted_for_their_collector() -> None:
    assert [Share(*place).cut([0, 5, 7, 11]) for place in ((0, 1), (1, 2), (3, 1))] == [0, 12, 11]
