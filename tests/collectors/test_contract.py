"""What a collector is unless it says otherwise, and which errors fail it."""

from __future__ import annotations

import pytest

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.collectors._enabled import enable
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.polling.memory import TargetMemory
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts
from tests.collectors.conftest import FACTS, Played

OPTIONS = parse([], {})
LENGTH = gauge("length", "Entries.")


class Length(Collector[None]):
    """As short as a collector can be."""

    name = "length"
    help = "LEN."
    lane = Lane.SLOW
    families = (LENGTH,)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [length] = yield [Command.of("LEN")]
        if isinstance(length, int):
            out.add(LENGTH, length)


def test_a_collector_asks_and_writes() -> None:
    played = Played(Length(), [[7]], FACTS, OPTIONS)
    assert played.asked == [[("LEN",)]]
    assert played.samples() == {"redis_length": "7"}


def test_unless_it_says_otherwise() -> None:
    made = Length()
    assert made.enabled(OPTIONS)
    assert made.wants(FACTS, OPTIONS)
    assert made.acl(OPTIONS) == ()
    assert not made.repeats(OPTIONS)
    assert not made.identifies
    assert not made.reads_again
    assert not enable(made, "redis").family_set.runtime_families
    assert TargetMemory().of(made) is None


def test_each_of_the_two_ways_to_ask_is_to_be_written() -> None:
    bare = Collector[None]()
    out = Played(Length(), [[7]], FACTS, OPTIONS).output
    with pytest.raises(NotImplementedError):
        next(bare.collect(FACTS, OPTIONS, out))
    with pytest.raises(NotImplementedError):
        next(bare.identify(None, OPTIONS, out))
    with pytest.raises(NotImplementedError):
        bare.read_again(FACTS, OPTIONS, out, [b""])


def test_the_first_error_that_is_no_refusal_is_raised() -> None:
    refusal = ReplyError("ERR unknown command 'LEN'")
    raise_failure(7, None, [], refusal)
    with pytest.raises(ProtocolError, match="one"):
        raise_failure(7, refusal, ReplyError("LOADING one"), ReplyError("BUSY two"))
