"""One poll of one target, without I/O: the due collectors' batches go out merged, their replies come back
split.

    poll = Poll(collectors, context, now, clock)
    batch = poll.begin()
    while batch:
        batch = poll.receive(replies of batch)  # or poll.go_on() while poll.paused
    poll.blocks, poll.failures, poll.error

What takes long is done in slices: `receive` may come back with nothing and `paused`; `go_on` goes on then.

INFO goes first. A target that nothing is known of yet is asked for INFO alone before the others begin,
because they decide by its facts. A collector that raises loses its own block and no other; INFO failing fails
the poll.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from exporter import engine
from exporter.collectors._contract import Batches, Identification
from exporter.collectors._enabled import EnabledCollector
from exporter.errors import ReplyError, TargetError
from exporter.options.groups import Options
from exporter.polling.bounds import ReplyBounds
from exporter.polling.memory import LastReply, TargetMemory
from exporter.polling.output import CollectorOutput
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts
from exporter.targets.target import Target

INFO = "INFO"
DEFAULT_BOUNDS = ReplyBounds()


@dataclass(frozen=True, slots=True)
class PollContext:
    """What the polls of one target have in common, until it is reassigned.

    `labels` maps a family set's name to the target's labels, which stand before a family's own. `on_facts` is
    called with what INFO reports, and returns whether the labels have changed by it.
    """

    target: Target
    memory: TargetMemory
    labels: Mapping[str, engine.Labels]
    options: Options
    bounds: ReplyBounds = DEFAULT_BOUNDS
    on_facts: Callable[[Facts], bool] = lambda facts: False
    connection_max_age_s: float = math.inf


class _UnchangedCheck:
    """A part that is asked what it was asked in the poll before: its collector is run only if the answer
    is another one."""

    __slots__ = ("at", "enabled", "repeat")

    def __init__(self, enabled: EnabledCollector, repeat: LastReply, at: int) -> None:
        self.enabled = enabled
        self.repeat = repeat
        self.at = at  # place of its first command among those sent


class _Run:
    """One collector under way: its generator, and where in the batch its replies will be."""

    __slots__ = (
        "batches",
        "collector",
        "commands",
        "generator",
        "name",
        "output",
        "places",
        "refused",
        "replies",
    )

    def __init__(
        self, enabled: EnabledCollector, generator: Batches | Identification, output: CollectorOutput
    ) -> None:
        self.collector = enabled.collector
        self.name = enabled.name
        self.generator = generator
        self.output = output
        #: for each command of its batch: its place among those sent, or the remembered refusal
        self.places: list[int | ReplyError] = []
        self.refused: bool | None = None  # whether every command so far was; None: nothing was asked
        self.batches = 0
        self.commands: Sequence[Command] = ()  # of the newest batch
        self.replies: Sequence[Reply] = ()  # to it


class Poll:
    """See the module. `now` is wall-clock seconds, `clock` monotonic ones, of the poll's beginning. `slice_s`
    is how long it works before it pauses."""

    slice_s = math.inf
    paused = False
    _slice_until = math.inf
    _spent_s = 0.0
    _replies: Sequence[Reply] = ()
    _cut: Sequence[int] = ()  # of each of these replies, how much of it a limit left out

    def __init__(
        self,
        collectors: Sequence[EnabledCollector],
        context: PollContext,
        now: float,
        clock: float,
    ) -> None:
        self.cuts: dict[str, int] = {}  # by part: lines, rows and names that a limit left out, if any
        self.blocks: dict[str, engine.Block] = {}
        self.failures: dict[str, TargetError] = {}  # by part
        self.faults: dict[
            str, dict[str, str]
        ] = {}  # by part, and by what of it went wrong while the rest went well
        self.unsupported: set[str] = set()  # parts all of whose commands are refused
        self.error: TargetError | None = None
        self._collectors = list(collectors)
        self._memory = context.memory
        self._labels = context.labels
        self._options = context.options
        self._now = now
        self._clock = clock
        self._on_facts = context.on_facts
        self._db = context.target.db
        self._bounds = context.bounds
        self._work: deque[tuple[_Run, list[Reply]]] = (
            deque()
        )  # collectors that are to go on with their replies
        self._runs: list[_Run] = []
        self._receiving: list[_Run] = []
        self._echoes: deque[_UnchangedCheck] = deque()
        self._echoes_heard: deque[_UnchangedCheck] = deque()  # whose replies have come
        self._sent: list[Command] = []
        self._next: list[Command] = []

    def begin(self) -> list[Command]:
        """The first batch; empty if nothing is to be asked."""
        self._slice_until = perf_counter() + self.slice_s
        if self._memory.facts is None:
            self._start([enabled for enabled in self._collectors if enabled.collector.identifies])
        else:
            self._start(self._collectors)
        return self._do()

    def receive(
        self, replies: Sequence[Reply], spent_s: float = 0.0, received: float = math.inf
    ) -> list[Command]:
        """Take the replies of the batch before, `spent_s` after the beginning and of so many bytes in all;
        the next batch, empty when the poll is over or has paused."""
        self._slice_until = perf_counter() + self.slice_s
        self._cut = ()
        if received > self._bounds.rows_max:
            replies = self._shorten(replies)
        for command, reply in zip(self._sent, replies, strict=True):
            # INFO is asked whatever the answer was: without it there is no target, and it must be seen to
            # come back
            if type(reply) is ReplyError and reply.unsupported and command.name != INFO:
                self._memory.refuse(command.name, reply, self._clock)
        runs, self._runs = self._runs, []
        self._receiving = runs
        self._replies, self._spent_s = replies, spent_s
        self._echoes_heard, self._echoes = self._echoes, deque()
        for run in runs:
            run.output.spent_s = spent_s
            if self._cut:
                run.output.cut += sum(self._cut[place] for place in run.places if isinstance(place, int))
            self._work.append(
                (run, [replies[place] if isinstance(place, int) else place for place in run.places])
            )
        return self._do()

    def go_on(self) -> list[Command]:
        """Work on after a pause. As `receive`."""
        self.paused = False
        self._slice_until = perf_counter() + self.slice_s
        return self._do()

    def _shorten(self, replies: Sequence[Reply]) -> list[Reply]:
        """What is read of the replies; what is not is counted in `_cut`."""
        kept, cuts = list(replies), [0] * len(replies)
        least = self._bounds.least
        for place, reply in enumerate(kept):
            if (type(reply) is bytes or type(reply) is list) and len(reply) > least:
                kept[place], cuts[place] = self._bounds.within(self._sent[place].name, reply)
        self._cut = cuts if any(cuts) else ()
        return kept

    def _do(self) -> list[Command]:
        work = self._work
        while work:
            run, replies = work.popleft()
            self._advance(run, replies)
            if self.error is not None:
                self._drop([run for run, _ in work])
                work.clear()
                return []
            if work and perf_counter() >= self._slice_until:
                self.paused = True
                return []
        while self._echoes_heard:
            echo = self._echoes_heard.popleft()
            self._compare(
                echo, list(self._replies[echo.at : echo.at + len(echo.repeat.commands)]), self._spent_s
            )
            if work or (self._echoes_heard and perf_counter() >= self._slice_until):
                self.paused = True
                return []
        return self._gather()

    def _compare(self, echo: _UnchangedCheck, replies: list[Reply], spent_s: float) -> None:
        """The replies of a part that was asked as before."""
        repeat, name = echo.repeat, echo.enabled.name
        if (
            repeat.replies == replies
            and repeat.facts is self._memory.facts
            and repeat.labels is self._labels[name]
        ):
            self.blocks[name] = repeat.block
            if repeat.cut:
                self.cuts[name] = repeat.cut
            return
        run = self._new_run(echo.enabled)
        run.output.spent_s = spent_s
        run.output.cut = sum(self._cut[echo.at : echo.at + len(replies)])
        try:
            run.commands = next(run.generator)
        except Exception as error:  # as below; a collector that asks nothing now has none of these replies
            self._fail(run, error)
            return
        run.batches = 1
        if list(run.commands) == list(repeat.commands):
            self._advance(run, replies)
        else:
            run.places = self._place_all(run.commands)
            self._runs.append(run)

    def _start(self, collectors: Sequence[EnabledCollector]) -> None:
        left = [] if collectors is self._collectors else self._collectors
        self._collectors = [enabled for enabled in left if enabled not in collectors]
        memory = self._memory
        facts, repeats, wanted = memory.facts, memory.repeats, memory.wanted
        for enabled in collectors:
            name = enabled.name
            if facts is not None:
                is_wanted = wanted.get(name)
                if is_wanted is None:
                    is_wanted = wanted[name] = enabled.collector.wants(facts, self._options)
                if not is_wanted:
                    continue
            repeat = repeats.get(name)
            if repeat is not None and repeat.facts is facts and not memory.refused:
                self._echoes.append(_UnchangedCheck(enabled, repeat, len(self._next)))
                self._next.extend(repeat.commands)
            else:
                self._advance(self._new_run(enabled), None)

    def _new_run(self, enabled: EnabledCollector) -> _Run:
        collector, facts = enabled.collector, self._memory.facts
        output = CollectorOutput(
            enabled,
            self._labels[enabled.name],
            self._memory,
            self._now,
            self._db,
            self._bounds.rows_max,
        )
        generator: Batches | Identification
        if collector.identifies:
            generator = collector.identify(facts, self._options, output)
        else:
            assert facts is not None, "the collector that identifies the server goes first"
            generator = collector.collect(facts, self._options, output)
        return _Run(enabled, generator, output)

    def _advance(self, run: _Run, replies: list[Reply] | None) -> None:
        """Let a collector go on to its next batch, or to its end. Refused commands are answered from
        memory."""
        while True:
            if replies:
                run.replies = replies
                run.refused = run.refused is not False and all(
                    isinstance(reply, ReplyError) and reply.unsupported for reply in replies
                )
            try:
                commands = next(run.generator) if replies is None else run.generator.send(replies)
                places = self._place_all(commands)
            except StopIteration as end:
                self._finish(run, end.value)
                return
            except Exception as error:  # one collector's mistake is no other's loss
                self._fail(run, error)
                return
            if not commands:  # a pause
                replies = []
                if perf_counter() >= self._slice_until:
                    self._work.appendleft((run, replies))
                    return
                continue
            run.batches += 1
            run.commands = commands
            if any(isinstance(place, int) for place in places):
                run.places = places
                self._runs.append(run)
                return
            replies = list(places)

    def _place_all(self, commands: Sequence[Command]) -> list[int | ReplyError]:
        if self._memory.refused:
            return [self._place(command) for command in commands]
        begin = len(self._next)
        self._next.extend(commands)
        return list(range(begin, len(self._next)))

    def _place(self, command: Command) -> int | ReplyError:
        refusal = self._memory.refusal(command.name, self._clock) if self._memory.refused else None
        if refusal is not None:
            return refusal
        self._next.append(command)
        return len(self._next) - 1

    def _gather(self) -> list[Command]:
        if not self._runs and not self._echoes and self._collectors and self.error is None:
            self._start(self._collectors)  # INFO has told the facts that the others decide by
            if self._work:
                self.paused = True
                return []
        self._sent, self._next = self._next, []
        return self._sent

    def _finish(self, run: _Run, facts: Facts | None) -> None:
        try:
            if facts is not None:
                self._learn(facts)
            block = self.blocks[run.name] = run.output.block()
            if run.output.cut:
                self.cuts[run.name] = run.output.cut
            if run.output.faults:
                clean = self._memory.redaction.clean
                self.faults[run.name] = {subject: clean(text) for subject, text in run.output.faults.items()}
            self._note_support(run)
            if run.collector.repeats(self._options):
                self._remember(run, block)
        except Exception as error:
            self._fail(run, error)

    def _remember(self, run: _Run, block: engine.Block) -> None:
        """For the next poll; not where a second batch was asked, or something was refused."""
        repeats = self._memory.repeats
        if run.batches == 1 and not any(isinstance(reply, ReplyError) for reply in run.replies):
            repeats[run.name] = LastReply(
                self._memory.facts, run.output.labels, run.commands, run.replies, block, run.output.cut
            )
        else:
            repeats.pop(run.name, None)

    def _learn(self, facts: Facts) -> None:
        if facts is not self._memory.facts:
            facts = self._memory.learn(facts)
        if self._on_facts(facts):
            for run in self._receiving:
                run.output.relabel(self._labels[run.name])

    def _fail(self, run: _Run, error: Exception) -> None:
        kind = type(error) if isinstance(error, TargetError) else TargetError
        text = str(error) if isinstance(error, TargetError) else f"{type(error).__name__}: {error}"
        failure = self.failures[run.name] = kind(
            self._memory.redaction.clean(text)
        )  # it may quote what the server sent
        self._note_support(run)
        if run.collector.identifies:
            self.error = failure

    def _note_support(self, run: _Run) -> None:
        if run.refused:
            self.unsupported.add(run.name)

    def _drop(self, runs: Sequence[_Run]) -> None:
        for run in (*runs, *self._runs):
            run.generator.close()
        self._runs = []
