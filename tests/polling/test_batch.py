"""The commands of all collectors, in one batch."""

from __future__ import annotations

import math

from exporter.errors import ReplyError
from exporter.polling.batch import Batch, FirstBatch, Share
from exporter.polling.memory import TargetMemory
from exporter.polling.refusals import FIRST_REPROBE_S
from exporter.protocol.command import Command
from exporter.protocol.info_commands import INFO, INFO_MOVING

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


def test_a_share_holds_until_a_command_is_sent_again() -> None:
    batch = Batch(forbidden(), CLOCK)
    assert batch.add([SET, GET]).until == CLOCK + FIRST_REPROBE_S
    assert batch.add([GET]).until == math.inf


def test_it_is_sent_again_when_it_was_refused_long_ago() -> None:
    batch = Batch(forbidden(), CLOCK + FIRST_REPROBE_S)
    batch.add([SET])
    assert batch.take() == [SET]


def test_what_a_limit_left_out_of_the_replies_is_counted_for_their_collector() -> None:
    assert [Share(places, ()).cut([0, 5, 7, 11]) for places in ((0,), (1, 2), (3,))] == [0, 12, 11]


def test_a_question_for_info_is_sent_once_for_all_who_ask_it() -> None:
    batch = Batch(TargetMemory(), CLOCK)
    stats = Command.of("INFO", "commandstats")
    one, other = batch.add([GET, stats]), batch.add([stats, GET])
    assert batch.take() == [GET, stats, GET]
    assert (one.of([1, 2, 3]), other.of([1, 2, 3])) == ([1, 2], [2, 3])
    assert (one.sent, other.sent) == ([GET, stats], [GET])


def test_another_batch_asks_it_again() -> None:
    batch = Batch(TargetMemory(), CLOCK)
    for _ in range(2):
        batch.add([INFO])
        assert batch.take() == [INFO]


def test_whole_info_answers_for_its_parts_in_either_order() -> None:
    for questions in ([INFO_MOVING, INFO], [INFO, INFO_MOVING], [INFO_MOVING, INFO, INFO_MOVING]):
        batch = Batch(TargetMemory(), CLOCK)
        batch.add([GET])
        shares = [batch.add([question]) for question in questions]
        assert batch.take() == [GET, INFO]
        assert [share.of([1, 2]) for share in shares] == [[2]] * len(questions)
        assert [len(share.sent) for share in shares] == [1, *[0] * (len(questions) - 1)]


def test_the_replies_of_one_that_is_refused_stay_in_order_beside_a_shared_one() -> None:
    batch = Batch(forbidden(), CLOCK)
    batch.add([INFO])
    share = batch.add([SET, INFO, PING])
    assert batch.take() == [INFO, PING]
    assert share.of([1, 2]) == [NO_SET, 1, 2]


def test_the_first_batch_of_a_poll_is_remembered() -> None:
    first = FirstBatch(None, 0, is_first=True)
    first.note([])
    assert (first.batches, first.commands) == (0, ())
    first.note([PING])
    first.note([GET])
    assert (first.batches, first.commands, first.facts, first.shares) == (2, [PING], None, {})


def test_of_the_shares_of_a_collector_the_one_that_is_sent_counts() -> None:
    first = FirstBatch(None, 3, is_first=False)
    unsent, sent, unsent_too = Share((), (), [(0, NO_SET)], 9.0), Share((0,), ()), Share((), (), (), 5.0)
    for share in (unsent, sent, unsent_too):
        first.note_share("it", share)
    first.note_share("other", unsent)
    assert first.shares == {"it": sent, "other": unsent}
    assert (first.until, first.version) == (5.0, 3)
