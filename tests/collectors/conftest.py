"""Driving a collector: no loop, no server, no mock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pytest

from exporter import engine
from exporter.collectors._contract import AnyCollector, Batches, Identification
from exporter.collectors._enabled import enable
from exporter.metrics.catalog import header
from exporter.metrics.labels import label_forms
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.polling.memory import TargetMemory
from exporter.polling.output import CollectorOutput
from exporter.protocol.facts import Facts
from tests.server_session import Session
from tests.store_fixture import page_of
from tests.watch_harness import WatchHarness, take_none_for_slow

NOW = 1_795_380_000.25
LABELS = ((b"addr", b"redis://h:6379"),)
OPTIONS = parse([], {})
#: of a server that a test says nothing about
FACTS = Facts(
    (7, 0, 15), "redis", "master", "standalone", "r", cluster_enabled=False, loading=False, databases=16
)


class Played:
    """A collector that was played to its end: what it asked, batch by batch, and what it wrote."""

    def __init__(
        self,
        collector: AnyCollector,
        replies: Sequence[Sequence[Any]],
        facts: Facts | None,
        options: Options,
        memory: Any = None,
        spent_s: float = 0.0,
    ) -> None:
        self.enabled = enabled = enable(collector, "redis")
        self.options = options
        self.family_set = enabled.family_set
        if not isinstance(memory, TargetMemory):
            memory = (
                TargetMemory()
                if memory is None
                else TargetMemory(collectors={collector.memory_name or collector.name: memory})
            )
        self.memory = memory
        self.output = CollectorOutput(
            enabled, label_forms([self.family_set], LABELS)[self.family_set.name], memory, NOW
        )
        self.asked: list[list[tuple[Any, ...]]] = []
        self.nodes: list[list[str]] = []  # that the same commands were meant for
        self.pauses = 0
        generator: Batches | Identification
        if collector.identifies:
            generator = collector.identify(facts, options, self.output)
        else:
            generator = collector.collect(facts or FACTS, options, self.output)
        self.facts: Facts = facts or FACTS
        batch = next(generator)
        try:
            for answers in replies:
                while not batch:  # a pause
                    self.pauses += 1
                    batch = generator.send([])
                self.asked.append([command.args for command in batch])
                self.nodes.append([command.node for command in batch])
                self.output.spent_s += spent_s
                batch = generator.send(list(answers))
            while not batch:
                self.pauses += 1
                batch = generator.send([])
            pytest.fail(f"{collector.name} asks on: {batch}")
        except StopIteration as end:
            self.facts = end.value or self.facts
        self.block: engine.Block = self.output.block()

    def again(self, *replies: bytes | None, now: float = NOW) -> engine.Block | None:
        """What the collector reads from the replies of the next poll without being run; None: it doubts. A
        reply is None if its command is refused."""
        output = CollectorOutput(self.enabled, self.output.labels, self.memory, now)
        took = self.enabled.collector.read_again(self.facts, self.options, output, replies)
        return output.block() if took else None

    @property
    def text(self) -> str:
        return self.block.samples.decode()

    def samples(self) -> dict[str, str]:
        """Value by series, without the target's label."""
        plain = self.text.replace('{addr="redis://h:6379"}', "").replace('addr="redis://h:6379",', "")
        return dict(line.rsplit(" ", 1) for line in plain.splitlines())

    def page(self) -> str:
        """With HELP and TYPE, as a page shows it."""
        headers = [
            header(name, family, self.family_set.lane)
            for name, family in zip(self.family_set.names, self.family_set.families, strict=True)
        ]
        cells = [(0, number) for number in range(len(headers))]
        assembler = engine.Assembler(headers, cells, [[self.block]])
        return page_of(assembler).decode()


Drive = Callable[..., Played]
SessionFactory = Callable[..., Session]


@pytest.fixture
def drive() -> Drive:
    """`drive(collector, [reply, …], …, facts=…)`: one list of replies for each batch, which takes `spent_s`
    to come. `memory` is what the collector remembers of polls before, or a `TargetMemory` for one poll after
    another.
    """

    def run(
        collector: AnyCollector,
        *replies: Sequence[Any],
        facts: Facts | None = None,
        options: Options = OPTIONS,
        **more: Any,
    ) -> Played:
        return Played(collector, replies, facts, options, **more)

    return run


@pytest.fixture
async def make_watch_harness(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[..., WatchHarness]]:
    """`make_watch_harness([collector, …], argv=[flag, …])`; its watched targets are closed with the test."""
    take_none_for_slow(monkeypatch)
    made: list[WatchHarness] = []

    def make(*args: Any, **kwargs: Any) -> WatchHarness:
        made.append(WatchHarness(*args, **kwargs))
        return made[-1]

    yield make
    for watch_harness in made:
        await watch_harness.close()


@pytest.fixture
def session() -> Iterator[SessionFactory]:
    """Opens sessions with real servers: `session(port, "--flag")`."""
    with ExitStack() as cleanup:

        def start(port: int, *argv: str, db: int = 0) -> Session:
            return cleanup.enter_context(closing(Session(port, *argv, db=db)))

        yield start
