"""Whatever a server calls its commands, clients, keys, users or nodes, Prometheus can read the page, with
limits and without."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import hiredis
import pytest

from exporter import engine
from exporter.collectors._enabled import EnabledCollector, enable
from exporter.collectors._registry import REGISTRY
from exporter.collectors.search import SearchCollector
from exporter.collectors.streams import StreamsCollector
from exporter.errors import ReplyError
from exporter.metrics.catalog import Catalog
from exporter.metrics.labels import label_forms
from exporter.metrics.series_limit import SeriesLimit
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import Poll
from exporter.protocol.facts import Facts
from tests.poll_fixture import poll_context
from tests.replay import EVERYTHING, SERVERS, Replay
from tests.store_fixture import page_of

NOW = 1_795_380_000.25
OPTIONS = parse(EVERYTHING, {})
REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
NAMES = [
    b'"', b"\\", b"\n", b"\r", b"\r\n", b"\x00", b"\x0b", b"\x0c", b"\x1c\x1d\x1e", b"\x85",
    "\x85\u2028\u2029".encode(),
    b"\xff\xfe",
    b"\xed\xa0\x80", b"\xc3", b"# HELP x y", b"\n# TYPE redis_up counter\n", b'"} 1\nevil 1', b'"} 1\revil 1',
    b'"} 1\xe2\x80\xa8evil 1',
    b'a{b="c"} 5', b"} ", b"{", b",", b"=", b" ", b"\\\\n", b'\\"', b"x" * 1_000_000, b'\r"\n\\' * 400,
]  # fmt: skip
#: as Prometheus' lexer reads a sample of text format 0.0.4, with values in UTF-8
SAMPLE = re.compile(
    r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="(\\[\\"n]|[^\\"\n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="(\\[\\"n]|[^\\"\n])*")*\})?'
    r" [+-]?([0-9.]+(e[+-]?[0-9]+)?|Inf|NaN)"
)
HEADER = re.compile(
    r"# (HELP [a-zA-Z_:][a-zA-Z0-9_:]* [^\n]+|TYPE [a-zA-Z_:][a-zA-Z0-9_:]* "
    r"(gauge|counter|summary|histogram|untyped))"
)


def assert_valid(page: bytes) -> None:
    seen = set()
    for line in page.decode("utf-8").split("\n")[:-1]:
        assert SAMPLE.fullmatch(line) or HEADER.fullmatch(line), line[:300]
        head = line.rpartition(" ")[0] if line[0] != "#" else line
        assert head not in seen, line[:300]
        seen.add(head)
    assert page.endswith(b"\n")


def spoilt(reply: Any, chance: random.Random) -> Any:
    """A reply with hostile names in some places: leaves that are short, lines within those that are long."""
    if isinstance(reply, list):
        return [spoilt(each, chance) if chance.random() < 0.5 else each for each in reply]
    if not isinstance(reply, bytes):
        return reply
    name = chance.choice(NAMES)
    if len(reply) < 200:
        return chance.choice([name, reply + name, name + reply])
    lines = reply.split(b"\n")
    for _ in range(chance.randint(1, 30)):
        at = chance.randrange(len(lines))
        if b"redis_version" not in lines[at]:
            within = chance.choice(
                [
                    lines[at].find(b":"),
                    lines[at].find(b"="),
                    lines[at].find(b"=") + 1,
                    chance.randint(0, len(lines[at])),
                ]
            )
            lines[at] = lines[at][:within] + chance.choice(NAMES) + lines[at][within:]
    return b"\n".join(lines)


def enabled() -> tuple[EnabledCollector, ...]:
    return tuple(enable(c, "redis") for c in REGISTRY if c.enabled(OPTIONS))


def polls(
    server: Replay, chance: random.Random, rounds: int
) -> Iterator[tuple[Any, dict[str, engine.Block]]]:
    """The family sets, and the blocks of some polls of a server whose replies are spoilt, but for the
    first."""
    collectors = enabled()
    page_family_sets = [each.family_set for each in collectors]
    memory = TargetMemory()
    forms = label_forms(page_family_sets, ((b"addr", b"redis://h:6379"),))
    for number in range(rounds):
        poll = Poll(collectors, poll_context(memory, forms, OPTIONS), NOW + number, number * 5.0)
        batch = poll.begin()
        while batch:
            reader = hiredis.Reader(replyError=ReplyError)
            for command in batch:
                reader.feed(
                    server.answer(
                        [
                            word if isinstance(word, str) else bytes(str(word), "utf-8").decode()
                            for word in command.args
                        ]
                    )
                )
            replies = [reader.gets() for _ in batch]
            batch = poll.receive(
                [spoilt(each, chance) if number and chance.random() < 0.7 else each for each in replies]
            )
        yield page_family_sets, poll.results.blocks


@pytest.mark.parametrize("name", SERVERS)
def test_of_every_collector(name: str) -> None:
    chance = random.Random(name)
    for series_limit in (SeriesLimit(10_000, 5_000), SeriesLimit(60, 3)):
        before: dict[str, engine.Block] = {}
        for page_family_sets, blocks in polls(SERVERS[name](), chance, 6):
            columns: list[list[engine.Block]] = []
            for family_set in page_family_sets:
                block = blocks.get(family_set.name)
                if block is not None:
                    kept = series_limit.admit(family_set.name, block, before.get(family_set.name))
                    before[family_set.name] = kept
                    plain = engine.strip_labels(kept, engine.Labels(b'addr="redis://h:6379"'))
                    assert plain.samples.count(b"\n") == kept.samples.count(b"\n") == kept.series
                    assert_stamped(kept)
                columns.append([before[family_set.name]] if family_set.name in before else [])
            catalog = Catalog(page_family_sets)
            assert_valid(page_of(engine.Assembler(catalog.headers, catalog.cells, columns)))


def assert_stamped(block: engine.Block) -> None:
    stamped = engine.add_timestamps(block, 1)
    assert stamped.samples.count(b" 1\n") >= block.series


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:12]))
def test_of_keys_streams_consumers_and_indexes(drive: Callable[..., Any], name: bytes) -> None:
    consumers = [[b"name", name + bytes([48 + i]), b"pending", 1, b"idle", 2] for i in range(3)]
    streams = drive(
        StreamsCollector(), [b"stream"], [[b"length", 1], [[b"name", name, b"consumers", 3,
                                                            b"pending", 1]]], [consumers],
        facts=REDIS_7, options=parse(["--check-single-streams=s"], {}),
    )  # fmt: skip
    search = drive(
        SearchCollector(),
        [[name]],
        [[b"num_docs", 3]],
        facts=REDIS_7,
        options=parse(["--include-search-indexes-metrics"], {}),
    )
    for played in (streams, search):
        assert_valid(played.page().encode())
        kept = SeriesLimit(5, 2).admit("p", played.block, None)
        assert kept.samples.count(b"\n") == kept.series <= 5


@pytest.mark.prometheus
def test_promtool_reads_a_carriage_return_in_a_label() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    texts = [engine.escape(name) for name in NAMES]
    lines = [b'redis_a_total{cmd="%d%b"} 1\n' % (number, text) for number, text in enumerate(texts)]
    page = b"# HELP redis_a_total Calls.\n# TYPE redis_a_total counter\n" + b"".join(lines)
    assert_valid(page)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
