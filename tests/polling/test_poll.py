"""One poll without a network: what goes out in which batch, and what each collector makes of its replies."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from exporter import engine
from exporter.collectors._contract import (
    AnyCollector,
    Batches,
    Collector,
    Identification,
    Out,
    OutWithMemory,
)
from exporter.collectors._enabled import EnabledCollector, enable
from exporter.errors import AuthError, InternalError, NoPermError, ProtocolError, ReplyError, TargetError
from exporter.metrics.family import Family, Field, gauge, histogram
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.polling.bounds import ReplyBounds
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import Poll
from exporter.polling.refusals import FIRST_REPROBE_S
from exporter.protocol.command import PAUSE, About, Command, Reply
from exporter.protocol.facts import Facts, make_facts
from tests.poll_fixture import poll_context

NOW = 1_700_000_000.5
CLOCK = 1000.0
OPTIONS = parse([], {})
UNKNOWN = ReplyError("ERR unknown command 'SLOWLOG'")
FORBIDDEN = ReplyError("NOPERM User watcher has no permissions to run the 'slowlog' command")
LOADING = ReplyError("LOADING Redis is loading the dataset in memory")

CLIENTS = gauge("clients", "Clients.", Field("connected_clients"))
LENGTH = gauge("slowlog_length", "Entries of the slow log.")
ITEM = gauge("item", "Something by name.", labels=("name",))

Ask = Callable[[Facts, OutWithMemory[list[str]]], Batches]
#: a target's labels are the same object from poll to poll
LABELS = functools.cache(engine.Labels)


def enabled(
    collector_name: str,
    ask: Ask,
    *written: Family,
    wants: Callable[[Facts], bool] = lambda facts: True,
    hidden: frozenset[str] = frozenset(),
    repeats: bool = False,
) -> EnabledCollector:
    """A collector that asks in this way."""

    class Asker(Collector[list[str]]):
        name = memory_name = collector_name
        lane = Lane.FAST
        families = written

        def new_memory(self) -> list[str]:
            return []

        def wants(self, facts: Facts, options: Options) -> bool:
            assert options is OPTIONS
            return wants(facts)

        def repeats(self, options: Options) -> bool:
            return repeats

        def collect(self, facts: Facts, options: Options, out: OutWithMemory[list[str]]) -> Batches:
            assert options is OPTIONS
            return ask(facts, out)

    return enable(Asker(), "redis", hidden)


def asking(family: Family, *commands: Command) -> Ask:
    """Writes the first number that it gets; its replies are all in `out`'s block, or none."""

    def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
        replies = yield list(commands)
        for reply in replies:
            if isinstance(reply, int):
                out.add(family, reply)

    return ask


class Identifier(Collector[None]):
    """Learns the facts from INFO, and a number of databases that is `databases` on each run of a server."""

    name = "info"
    lane = Lane.FAST
    families = (CLIENTS,)
    identifies = True
    wanted_fields = ("redis_version", "run_id", "role")

    def __init__(self, databases: int | None = None) -> None:
        self.databases = databases

    def identify(self, known: Facts | None, options: Options, out: Out) -> Identification:
        [text] = yield [Command.of("INFO")]
        if isinstance(text, ReplyError):
            raise text.as_target_error()
        databases = self.databases if known is None or known.databases is None else known.databases
        fields = dict(zip(self.wanted_fields, out.info(text), strict=True))
        if not any(fields.values()):
            raise ProtocolError("this is no INFO")
        facts = make_facts(fields, databases)
        return known if known == facts else facts


INFO = enable(Identifier(), "redis")
SLOWLOG = enabled("slowlog", asking(LENGTH, Command.of("SLOWLOG", "LEN")), LENGTH)


def info(version: str = "7.0.15", run_id: str = "a", clients: int = 3) -> bytes:
    return (
        f"redis_version:{version}\r\nrun_id:{run_id}\r\nrole:master\r\nconnected_clients:{clients}\r\n"
    ).encode()


def known(
    run_id: str = "a", version: tuple[int, int, int] = (7, 0, 15), databases: int | None = 16
) -> TargetMemory:
    """The memory of a target that was polled before."""
    return TargetMemory(
        Facts(
            version,
            "redis",
            "master",
            "standalone",
            run_id,
            cluster_enabled=False,
            loading=False,
            databases=databases,
        )
    )


class Server:
    """Carries polls out: `answers` by the words of a command. What was asked is kept, batch by batch."""

    def __init__(self, answers: Mapping[str, Reply]) -> None:
        self.answers = {"INFO": info(), **answers}
        self.asked: list[list[str]] = []

    def serve(
        self,
        collectors: Sequence[EnabledCollector],
        memory: TargetMemory,
        *,
        labels: bytes = b"",
        clock: float = CLOCK,
    ) -> Poll:
        self.asked = []
        forms = {each.name: LABELS(labels) for each in collectors}
        poll = Poll(collectors, poll_context(memory, forms, OPTIONS), NOW, clock)
        batch = poll.begin()
        while batch:
            self.asked.append([command.name for command in batch])
            batch = poll.receive([self.answers[command.name] for command in batch])
        return poll


def text(poll: Poll, name: str) -> str:
    return poll.results.blocks[name].samples.decode()


class Slow(Collector[None]):
    """Writes so many rows, with a pause after each."""

    name = "slow"
    help = "Rows."
    lane = Lane.FAST
    families = (gauge("rows", "Rows.", labels=("row",)),)

    def __init__(self, rows: int, batches: int = 1) -> None:
        self.rows = rows
        self.batches = batches

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        for batch in range(self.batches):
            [reply] = yield [Command.of("ROWS")]
            for row in range(self.rows):
                yield PAUSE
                out.add(self.families[0], len(reply), f"{batch}-{row}")


def drive(
    poll: Poll, answer: Callable[[Command], Reply], received: float = math.inf
) -> tuple[list[list[str]], int]:
    """A poll whose slices are over at once, to its end: what was asked, and how often it paused."""
    asked, pauses = [], 0
    poll.slice_s = 0.0
    batch = poll.begin()
    while batch or poll.paused:
        if poll.paused:
            assert batch == []
            pauses += 1
            batch = poll.go_on()
        else:
            asked.append([command.name for command in batch])
            batch = poll.receive([answer(command) for command in batch], 0.0, received)
    return asked, pauses


class TestPauses:
    @staticmethod
    def poll(*collectors: AnyCollector, memory: TargetMemory | None = None, **more: Any) -> Poll:
        enabled_ones = [
            INFO,
            *(enable(c, "redis") for c in collectors),
        ]
        return Poll(
            enabled_ones,
            poll_context(
                memory or known(), {each.name: LABELS(b"") for each in enabled_ones}, OPTIONS, **more
            ),
            NOW,
            CLOCK,
        )

    def test_a_slice_that_is_over_ends_at_the_next_pause_and_nothing_is_lost(self) -> None:
        poll = self.poll(Slow(3, batches=2), memory=TargetMemory())
        asked, pauses = drive(poll, lambda command: info() if command.name == "INFO" else [1, 2])
        assert asked == [["INFO"], ["ROWS"], ["ROWS"]]
        assert pauses >= 6
        assert poll.results.blocks["slow"].series == 6
        assert (poll.results.error, poll.results.failures) == (None, {})

    def test_without_a_slice_it_never_pauses(self) -> None:
        poll = self.poll(Slow(3))
        poll.begin()
        assert poll.receive([info(), [1]]) == []
        assert not poll.paused
        assert poll.results.blocks["slow"].series == 3

    def test_between_two_collectors_too(self) -> None:
        poll = self.poll(Slow(0))
        _, pauses = drive(poll, lambda command: info() if command.name == "INFO" else [1])
        assert pauses == 1
        assert poll.results.blocks.keys() == {"info", "slow"}

    def test_a_poll_that_fails_in_a_slice_ends(self) -> None:
        poll = self.poll(Slow(3))
        _, pauses = drive(poll, lambda command: ReplyError("NOAUTH no") if command.name == "INFO" else [1])
        assert poll.results.error is not None
        assert pauses == 0

    def test_an_answer_that_is_too_long_is_cut_and_counted(self) -> None:
        poll = self.poll(Slow(1), bounds=ReplyBounds(4))
        drive(poll, lambda command: info() if command.name == "INFO" else [0] * 10)
        assert poll.results.blocks["slow"].samples == b'redis_rows{row="0-0"} 4\n'
        assert poll.results.cuts["slow"] == 6

    def test_of_few_bytes_none_is_looked_at(self) -> None:
        poll = self.poll(Slow(1), bounds=ReplyBounds(4))
        drive(poll, lambda command: info() if command.name == "INFO" else [0] * 10, received=4)
        assert "slow" not in poll.results.cuts


class TestBatches:
    def test_of_a_known_target_all_go_out_at_once_with_info_first(self) -> None:
        server = Server({"SLOWLOG LEN": 5})
        poll = server.serve([INFO, SLOWLOG], known())
        assert server.asked == [["INFO", "SLOWLOG LEN"]]
        assert text(poll, "info") == "redis_clients 3\n"
        assert text(poll, "slowlog") == "redis_slowlog_length 5\n"
        assert (poll.results.error, poll.results.failures, poll.results.unsupported) == (None, {}, set())

    def test_a_target_that_nothing_is_known_of_is_asked_for_info_alone_first(self) -> None:
        server = Server({"SLOWLOG LEN": 5})
        poll = server.serve([INFO, SLOWLOG], TargetMemory())
        assert server.asked == [["INFO"], ["SLOWLOG LEN"]]
        assert poll.results.blocks.keys() == {"info", "slowlog"}

    def test_without_collectors_nothing_is_asked(self) -> None:
        poll = Poll([], poll_context(known(), {}, OPTIONS), NOW, CLOCK)
        assert poll.begin() == []
        assert poll.results.blocks == {}

    def test_second_batches_are_merged_as_well(self) -> None:
        def ask_twice(name: str) -> Ask:
            def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
                [first] = yield [Command.of(name, "1")]
                [second] = yield [Command.of(name, "2")]
                out.add(ITEM, first + second, name)

            return ask

        collectors = [
            enabled("one", ask_twice("A"), ITEM),
            enabled("two", ask_twice("B"), ITEM),
            SLOWLOG,
        ]
        server = Server({"A 1": 1, "A 2": 2, "B 1": 10, "B 2": 20, "SLOWLOG LEN": 5})
        poll = server.serve(collectors, known())
        assert server.asked == [["A 1", "B 1", "SLOWLOG LEN"], ["A 2", "B 2"]]
        assert text(poll, "one") == 'redis_item{name="A"} 3\n'
        assert text(poll, "two") == 'redis_item{name="B"} 30\n'

    def test_each_gets_the_replies_to_its_own_commands_in_order(self) -> None:
        got: dict[str, list[Reply]] = {}

        def keep(name: str, *keys: str) -> Ask:
            def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
                got[name] = yield [Command.of("GET", key) for key in keys]

            return ask

        collectors = [
            enabled(name, keep(name, *keys), ITEM) for name, keys in (("one", "abc"), ("two", "de"))
        ]
        Server({f"GET {key}": key.encode() for key in "abcde"}).serve(collectors, known())
        assert got == {"one": [b"a", b"b", b"c"], "two": [b"d", b"e"]}

    def test_a_collector_may_ask_nothing(self) -> None:
        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            replies = yield []
            out.add(LENGTH, len(replies))

        server = Server({})
        poll = server.serve([enabled("idle", ask, LENGTH)], known())
        assert server.asked == []
        assert text(poll, "idle") == "redis_slowlog_length 0\n"

    def test_too_few_replies_are_a_mistake_of_whoever_carries_them(self) -> None:
        poll = Poll(
            [INFO, SLOWLOG],
            poll_context(known(), {name: engine.Labels(b"") for name in ("info", "slowlog")}, OPTIONS),
            NOW,
            CLOCK,
        )
        poll.begin()
        with pytest.raises(ValueError, match="shorter"):
            poll.receive([info()])


class TestFacts:
    def test_are_learnt_from_info_and_decide_who_is_asked(self) -> None:
        seen: list[Facts] = []

        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            seen.append(facts)
            yield []

        new = enabled("new", ask, LENGTH, wants=lambda facts: facts.version >= (7, 2, 0))
        old = enabled("old", ask, LENGTH, wants=lambda facts: facts.version < (7, 2, 0))
        memory = TargetMemory()
        poll = Server({"INFO": info("7.0.15")}).serve([INFO, new, old], memory)
        assert poll.results.blocks.keys() == {"info", "old"}
        assert seen == [memory.facts]
        assert memory.facts is not None
        assert (memory.facts.version, memory.facts.role, memory.facts.run_id) == ((7, 0, 15), "master", "a")

    def test_follow_the_newest_info(self) -> None:
        memory = known(version=(6, 2, 0))
        Server({"INFO": info("7.0.15")}).serve([INFO], memory)
        assert memory.facts is not None
        assert memory.facts.version == (7, 0, 15)

    def test_are_not_made_anew_of_the_same_texts(self) -> None:
        memory = TargetMemory()
        server = Server({})
        server.serve([INFO], memory)
        before = memory.facts
        server.answers["INFO"] = info(clients=4)
        server.serve([INFO], memory)
        assert memory.facts is before

    def test_the_number_of_databases_holds_for_one_run_of_the_server(self) -> None:
        counting = enable(Identifier(databases=32), "redis")
        memory, known = TargetMemory(), []
        for run_id in ("a", "a", "b", "b"):
            memory.is_new_connection = True
            Server({"INFO": info(run_id=run_id)}).serve([counting], memory)
            assert memory.facts is not None
            known.append((memory.facts.run_id, memory.facts.databases))
        assert known == [("a", 32), ("a", 32), ("b", None), ("b", 32)]


class TestInfoFails:
    """Without INFO a poll is worth nothing."""

    @pytest.mark.parametrize("memory", [TargetMemory(), known()], ids=["first poll", "later poll"])
    @pytest.mark.parametrize(
        ("reply", "kind", "reason"),
        [
            (ReplyError("NOAUTH Authentication required."), AuthError, "auth"),
            (FORBIDDEN, NoPermError, "noperm"),
            (b"version:1.6.21\r\n", ProtocolError, "protocol"),
            (None, TargetError, "internal"),  # the collector above does not expect it
        ],
    )
    def test_the_poll_fails_and_nothing_is_kept(
        self, memory: TargetMemory, reply: Reply, kind: type[TargetError], reason: str
    ) -> None:
        server = Server({"INFO": reply, "SLOWLOG LEN": 5})
        poll = server.serve([INFO, SLOWLOG], memory)
        assert type(poll.results.error) is kind
        assert poll.results.error is not None
        assert poll.results.error is poll.results.failures["info"]
        assert poll.results.error.reason == reason
        assert poll.results.blocks == {}
        assert len(server.asked) == 1

    def test_the_others_are_let_go_of(self) -> None:
        closed = []

        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            try:
                yield [Command.of("SLOWLOG", "LEN")]
            finally:
                closed.append("slowlog")

        Server({"INFO": LOADING, "SLOWLOG LEN": 5}).serve([INFO, enabled("slowlog", ask, LENGTH)], known())
        assert closed == ["slowlog"]

    def test_what_was_known_stays_known(self) -> None:
        memory = known()
        before = memory.facts
        Server({"INFO": b"no info at all"}).serve([INFO], memory)
        assert memory.facts is before

    def test_a_refusal_of_it_is_never_remembered(self) -> None:
        memory = known()
        for _ in range(2):
            server = Server({"INFO": FORBIDDEN})
            server.serve([INFO], memory)
            assert server.asked == [["INFO"]]
        assert Server({}).serve([INFO], memory).results.error is None


def raising(error: Exception, *, after: int) -> Ask:
    """Raises after so many batches."""

    def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
        for _ in range(after):
            yield [Command.of("PING")]
        raise error

    return ask


def asks_none(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
    yield None  # type: ignore[misc]


def writes_another_family(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
    yield [Command.of("PING")]
    out.add(ITEM, 1, "x")


def writes_too_many_labels(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
    yield [Command.of("PING")]
    out.add(LENGTH, 1, "x")


def reads_info_without_sources(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
    yield [Command.of("PING")]
    out.info(b"x:1")


class TestOneCollectorFails:
    @pytest.mark.parametrize(
        ("ask", "reason"),
        [
            (raising(ZeroDivisionError("by nought"), after=0), "internal"),
            (raising(ZeroDivisionError("by nought"), after=1), "internal"),
            (raising(ZeroDivisionError("by nought"), after=2), "internal"),
            (raising(NoPermError("no"), after=1), "noperm"),
            (raising(InternalError("ours"), after=1), "internal"),
            (asks_none, "internal"),
            (writes_another_family, "internal"),
            (writes_too_many_labels, "internal"),
            (reads_info_without_sources, "internal"),
        ],
    )
    def test_it_loses_its_own_block_and_no_other(self, ask: Ask, reason: str) -> None:
        poll = Server({"PING": "PONG", "SLOWLOG LEN": 5}).serve(
            [INFO, enabled("broken", ask, LENGTH), SLOWLOG], known()
        )
        assert {name: failure.reason for name, failure in poll.results.failures.items()} == {"broken": reason}
        assert poll.results.blocks.keys() == {"info", "slowlog"}
        assert poll.results.error is None

    def test_what_it_wrote_before_is_lost_with_it(self) -> None:
        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            out.add(LENGTH, 1)
            yield [Command.of("PING")]
            raise ValueError

        assert (
            "broken"
            not in Server({"PING": "PONG"}).serve([enabled("broken", ask, LENGTH)], known()).results.blocks
        )

    def test_an_error_reply_is_a_value_and_fails_nothing(self) -> None:
        poll = Server({"SLOWLOG LEN": LOADING}).serve([INFO, SLOWLOG], known())
        assert poll.results.failures == {}
        assert text(poll, "slowlog") == ""


class TestRefusals:
    """A command that the server answers by an error is not sent again for ten minutes, then for an hour."""

    @pytest.mark.parametrize("refusal", [UNKNOWN, FORBIDDEN, ReplyError("ERR auth permission deny")])
    def test_a_refused_command_is_answered_from_memory(self, refusal: ReplyError) -> None:
        got: list[Reply] = []

        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            got.extend((yield [Command.of("SLOWLOG", "LEN"), Command.of("PING")]))

        slowlog = enabled("slowlog", ask, LENGTH)
        memory, server = known(), Server({"SLOWLOG LEN": refusal, "PING": "PONG"})
        server.serve([slowlog], memory)
        assert server.asked == [["SLOWLOG LEN", "PING"]]
        server.serve([slowlog], memory)
        assert server.asked == [["PING"]]
        assert got == [refusal, "PONG"] * 2

    def test_a_collector_of_refused_commands_alone_goes_on_without_a_batch(self) -> None:
        memory, server = known(), Server({"SLOWLOG LEN": UNKNOWN})
        for asked in ([["INFO", "SLOWLOG LEN"]], [["INFO"]]):
            poll = server.serve([INFO, SLOWLOG], memory)
            assert server.asked == asked
            assert poll.results.blocks.keys() == {"info", "slowlog"}

    def test_only_that_one_is_refused(self) -> None:
        memory = known()
        reset = enabled("reset", asking(LENGTH, Command.of("SLOWLOG", "GET", 10)), LENGTH)
        server = Server({"SLOWLOG LEN": UNKNOWN, "SLOWLOG GET 10": 7})
        server.serve([SLOWLOG], memory)
        server.serve([SLOWLOG, reset], memory)
        assert server.asked == [["SLOWLOG GET 10"]]

    @pytest.mark.parametrize(
        "reply", [LOADING, ReplyError("WRONGTYPE no list"), ReplyError("BUSY a script runs"), 5, None]
    )
    def test_what_may_pass_is_asked_again(self, reply: Reply) -> None:
        memory, server = known(), Server({"SLOWLOG LEN": reply})
        for _ in range(2):
            server.serve([SLOWLOG], memory)
            assert server.asked == [["SLOWLOG LEN"]]
        assert not memory.refusals.known

    def test_it_is_tried_again_after_ten_minutes_then_hourly(self) -> None:
        memory, server = known(), Server({"SLOWLOG LEN": UNKNOWN})
        asked_at = []
        for minutes in range(180):
            server.serve([SLOWLOG], memory, clock=CLOCK + 60.0 * minutes)
            if server.asked:
                asked_at.append(minutes)
        assert asked_at == [0, 10, 70, 130]

    def test_it_is_sent_as_before_once_it_is_answered(self) -> None:
        memory, server = known(), Server({"SLOWLOG LEN": UNKNOWN})
        server.serve([SLOWLOG], memory)
        server.answers["SLOWLOG LEN"] = 5
        for seconds in (0, FIRST_REPROBE_S, FIRST_REPROBE_S + 1):
            poll = server.serve([SLOWLOG], memory, clock=CLOCK + seconds)
        assert text(poll, "slowlog") == "redis_slowlog_length 5\n"
        assert not memory.refusals.known

    def test_a_poll_without_info_tells_nothing_of_the_other_commands(self) -> None:
        memory, server = known(), Server({"INFO": ReplyError("ERR upstream failure"), "SLOWLOG LEN": UNKNOWN})
        server.serve([INFO, SLOWLOG], memory)
        assert not memory.refusals.known

    def test_it_is_tried_again_when_the_server_was_started_anew(self) -> None:
        memory, server = known("a"), Server({"SLOWLOG LEN": UNKNOWN})
        server.serve([INFO, SLOWLOG], memory)
        server.answers["INFO"] = info(run_id="b")
        memory.is_new_connection = True
        for later_s in (1, 2):
            server.serve([INFO, SLOWLOG], memory, clock=CLOCK + later_s)
        assert server.asked == [["INFO", "SLOWLOG LEN"]]

    @pytest.mark.parametrize(("about", "asked"), [(About.DATA, 2), (About.TRIAL, 0), (About.SERVER, 1)])
    def test_what_an_error_speaks_of_is_not_sent_again(self, about: About, asked: int) -> None:
        """Of two keys, one of which got an error in the poll before."""
        one, other = (Command.of("STRLEN", key, about=about) for key in (b"a", b"b"))
        memory, server = known(), Server({"STRLEN a": ReplyError("ERR odd"), "STRLEN b": 5})
        server.serve([enabled("keys", asking(LENGTH, one), LENGTH)], memory)
        server.serve([enabled("keys", asking(LENGTH, one, other), LENGTH)], memory)
        assert sum(map(len, server.asked)) == asked

    def test_names_of_keys_may_be_any_bytes(self) -> None:
        memory = known()
        odd = enabled("odd", asking(LENGTH, Command.of("STRLEN", b"k\xff", about=About.DATA)), LENGTH)
        server = Server({"STRLEN k\\xff": FORBIDDEN})
        for _ in range(2):
            assert server.serve([odd], memory).results.failures == {}
        assert server.asked == []


class TestSupport:
    def ask(self, *replies: Reply, then: Reply = None) -> Poll:
        """A collector that gets these replies, and `then` another one, if any."""

        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            yield [Command.of("A", number) for number in range(len(replies))]
            if then is not None:
                yield [Command.of("B")]

        answers = {f"A {number}": reply for number, reply in enumerate(replies)}
        return Server({**answers, "B": then}).serve([enabled("it", ask, LENGTH)], known())

    def test_one_whose_every_command_is_refused_is_unsupported(self) -> None:
        assert self.ask(UNKNOWN, FORBIDDEN).results.unsupported == {"it"}
        assert self.ask(UNKNOWN, then=UNKNOWN).results.unsupported == {"it"}

    @pytest.mark.parametrize("replies", [(5,), (UNKNOWN, 5), (UNKNOWN, LOADING), (LOADING,), ()])
    def test_one_that_is_answered_anything_else_is_supported(self, replies: tuple[Reply, ...]) -> None:
        assert self.ask(*replies).results.unsupported == set()

    def test_so_is_one_that_is_answered_later(self) -> None:
        assert self.ask(UNKNOWN, then=5).results.unsupported == set()
        assert self.ask(5, then=UNKNOWN).results.unsupported == set()

    def test_one_that_raises_what_it_was_refused_is_unsupported_and_has_not_failed(self) -> None:
        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            [reply] = yield [Command.of("SLOWLOG", "LEN")]
            raise reply.as_target_error()

        memory, server = known(), Server({"SLOWLOG LEN": FORBIDDEN})
        for _ in range(2):  # asked, then from memory
            poll = server.serve([enabled("it", ask, LENGTH)], memory)
            assert poll.results.unsupported == {"it"}
            assert poll.results.failures == {}
            assert poll.results.blocks.keys() == {"it"}


class TestMemory:
    """What a collector remembers of a target from poll to poll."""

    def test_is_the_same_for_all_polls_of_a_target_and_none_of_another(self) -> None:
        seen: list[list[str]] = []

        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            out.memory.append("poll")
            seen.append(out.memory)
            yield []

        one, other = known(), known()
        for memory in (one, one, other):
            Server({}).serve([enabled("it", ask, LENGTH)], memory)
        assert seen[0] is seen[1] == ["poll", "poll"]
        assert seen[2] == ["poll"]


class TestRepeats:
    """The same replies as in the poll before: the same block."""

    @staticmethod
    def counted(runs: list[int], repeatable: bool = True, batches: int = 1) -> EnabledCollector:
        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            for _ in range(batches):
                [length] = yield [Command.of("SLOWLOG", "LEN")]
            runs.append(length)
            out.add(LENGTH, length if isinstance(length, int) else -1)

        return enabled("slowlog", ask, LENGTH, repeats=repeatable)

    def lengths(self, made: EnabledCollector, memory: TargetMemory, *lengths: object) -> list[str]:
        return [text(Server({"SLOWLOG LEN": length}).serve([made], memory), "slowlog") for length in lengths]

    def test_a_collector_is_not_run_to_its_end_again(self) -> None:
        runs: list[int] = []
        memory = known()
        assert self.lengths(self.counted(runs), memory, 5, 5, 5, 6, 6, 5) == [
            f"redis_slowlog_length {n}\n" for n in (5, 5, 5, 6, 6, 5)
        ]
        assert runs == [5, 6, 5]

    @pytest.mark.parametrize(("repeatable", "batches"), [(False, 1), (True, 2)])
    def test_unless_it_may_not_be_or_asks_on(self, repeatable: bool, batches: int) -> None:
        runs: list[int] = []
        assert len(set(self.lengths(self.counted(runs, repeatable, batches), known(), 5, 5))) == 1
        assert runs == [5, 5]

    def test_nor_where_the_facts_are_others(self) -> None:
        runs: list[int] = []
        memory, made = known(), self.counted(runs)
        self.lengths(made, memory, 5)
        assert memory.facts is not None
        memory.learn(dataclasses.replace(memory.facts, role="slave"))
        self.lengths(made, memory, 5)
        assert runs == [5, 5]

    def test_what_is_refused_is_left_as_it_was_until_it_is_sent_again(self) -> None:
        runs: list[int] = []
        made, memory, server = self.counted(runs), known(), Server({"SLOWLOG LEN": FORBIDDEN})
        for seconds in (0, 1, 2, 3, FIRST_REPROBE_S):
            poll = server.serve([made], memory, clock=CLOCK + seconds)
            assert poll.results.unsupported == {"slowlog"}
            assert text(poll, "slowlog") == "redis_slowlog_length -1\n"
            assert server.asked == ([["SLOWLOG LEN"]] if seconds in (0, FIRST_REPROBE_S) else [])
        assert len(runs) == 3  # it gets the error reply itself, then the known one, then another one

    def test_other_labels_are_written_though_all_is_refused(self) -> None:
        made, memory, server = self.counted([]), known(), Server({"SLOWLOG LEN": FORBIDDEN})
        for _ in range(3):
            server.serve([made], memory)
        poll = server.serve([made], memory, labels=b'addr="h"')
        assert text(poll, "slowlog") == 'redis_slowlog_length{addr="h"} -1\n'

    def test_replies_beside_a_refusal_repeat(self) -> None:
        runs: list[list[Reply]] = []
        made, memory = self.asking_both(runs), known()
        for length, unknown in ((5, UNKNOWN), (5, None), (5, None), (6, None), (6, None)):
            answers = {"SLOWLOG LEN": length, "SLOWLOG GET": unknown}
            assert (
                text(Server(answers).serve([made], memory), "slowlog") == f"redis_slowlog_length {length}\n"
            )
        assert [replies[1] for replies in runs] == [5, 5, 6]
        assert all(isinstance(replies[0], ReplyError) for replies in runs)

    @staticmethod
    def asking_both(runs: list[list[Reply]]) -> EnabledCollector:
        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            replies = yield [Command.of("SLOWLOG", "GET"), Command.of("SLOWLOG", "LEN")]
            runs.append(replies)
            out.add(LENGTH, replies[1])

        return enabled("slowlog", ask, LENGTH, repeats=True)

    def test_a_reply_that_is_shared_is_asked_for_though_it_repeats(self) -> None:
        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            [found] = yield [Command.of("INFO")]
            out.add(LENGTH, len(found))

        memory, made = known(), enabled("slowlog", ask, LENGTH, repeats=True)
        for more in (b"", b"", b"more:1\r\n"):
            poll = Server({"INFO": info() + more}).serve([INFO, made], memory)
            assert text(poll, "slowlog") == f"redis_slowlog_length {len(info() + more)}\n"


class TestHistograms:
    TIMES = histogram("latencies_usec", "Times.", labels=("cmd",))

    def test_are_buckets_with_sum_and_count(self) -> None:
        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            out.add_histogram(self.TIMES, [1, 2.5], [3, 4], 5, 17, "get")
            yield []

        assert text(Server({}).serve([enabled("it", ask, self.TIMES)], known()), "it").splitlines() == [
            'redis_latencies_usec_bucket{cmd="get",le="1"} 3',
            'redis_latencies_usec_bucket{cmd="get",le="2.5"} 4',
            'redis_latencies_usec_bucket{cmd="get",le="+Inf"} 5',
            'redis_latencies_usec_sum{cmd="get"} 17',
            'redis_latencies_usec_count{cmd="get"} 5',
        ]

    def test_hidden_families_are_not_written(self) -> None:
        def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
            out.add_histogram(self.TIMES, [], [], 5, 17, "get")
            out.add(LENGTH, 3)
            yield []

        hidden = enabled(
            "it", ask, self.TIMES, LENGTH, hidden=frozenset({"latencies_usec", "slowlog_length"})
        )
        assert text(Server({}).serve([hidden], known()), "it") == ""


def test_a_poll_knows_when_it_began() -> None:
    seen = []

    def ask(facts: Facts, out: OutWithMemory[list[str]]) -> Batches:
        seen.append(out.now)
        yield []

    Server({}).serve([enabled("it", ask, LENGTH)], known())
    assert seen == [NOW]


def test_series_bear_the_labels_of_the_target() -> None:
    poll = Server({"SLOWLOG LEN": 5}).serve([INFO, SLOWLOG], known(), labels=b'addr="h"')
    assert text(poll, "info") == 'redis_clients{addr="h"} 3\n'
    assert text(poll, "slowlog") == 'redis_slowlog_length{addr="h"} 5\n'
