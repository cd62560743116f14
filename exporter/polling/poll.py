"""One poll of one target, without I/O: the due collectors' batches go out merged, their replies come back
split.

    poll = Poll(collectors, context, now, clock)
    batch = poll.begin()
    while batch:
        batch = poll.receive(replies of batch)  # or poll.go_on() while poll.paused
    poll.results

Long work is done in slices: `receive` may return nothing and set `paused`; `go_on` continues then.

The collector that identifies the server goes first. In the first poll of a target it goes alone, because the
others decide by the facts that it finds. A collector that raises an error loses only its own block; if the
first one does, the poll fails.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from time import perf_counter

from exporter import engine
from exporter.collectors._enabled import EnabledCollector
from exporter.polling.batch import Batch, FirstBatch, Share
from exporter.polling.collector_run import CollectorRun
from exporter.polling.memory import LastReply
from exporter.polling.poll_context import PollContext
from exporter.polling.results import PollResults
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts

#: A collector whose commands are those of the poll before, so that it runs only if the replies differ; the
#: last replies; and where the new ones will be.
_Check = tuple[EnabledCollector, LastReply, Share]


class Poll:
    """See the module. `now` is wall-clock seconds, `clock` monotonic ones, of the poll's beginning. `slice_s`
    is how long it works before it pauses."""

    slice_s = math.inf
    paused = False
    _slice_until = math.inf
    _spent_s = 0.0
    _replies: Sequence[Reply] = ()
    _cuts: Sequence[int] = ()  # of each of these replies, how much of it a limit left out; () if nothing

    def __init__(
        self, collectors: Sequence[EnabledCollector], context: PollContext, now: float, clock: float
    ) -> None:
        memory = context.memory
        self.results = PollResults(memory.redaction)
        self._collectors = collectors  # those that have not started
        self._context = context
        self._memory = memory
        self._labels = context.labels
        self._now = now
        self._clock = clock
        self._batch = Batch(memory, clock)
        self._sent: list[Command] = []
        self._runs: list[CollectorRun] = []  # those that wait for replies
        self._receiving: list[CollectorRun] = []  # those that the newest replies are for
        self._work: deque[tuple[CollectorRun, list[Reply]]] = deque()  # those that go on, with their replies
        self.asked = FirstBatch(memory.facts, memory.refusals.version, is_first=memory.is_new_connection)
        self._checks: list[_Check] = []  # those that wait for replies
        self._checking: list[_Check] = []  # those that have them, the next one last

    def begin(self) -> list[Command]:
        """The first batch; empty if there is nothing to ask."""
        self._slice_until = perf_counter() + self.slice_s
        if self._memory.facts is None:
            identifying = [enabled for enabled in self._collectors if enabled.collector.identifies]
            self._start(identifying, [enabled for enabled in self._collectors if enabled not in identifying])
        else:
            self._start(self._collectors)
        return self._work_on()

    def receive(
        self, replies: Sequence[Reply], spent_s: float = 0.0, received: float = math.inf
    ) -> list[Command]:
        """Take the replies to the batch, which came `spent_s` after the beginning and took `received` bytes.
        Returns the next batch; it is empty when the poll is over or has paused."""
        self._slice_until = perf_counter() + self.slice_s
        self.results.received += received
        self._cuts = ()
        if received > self._context.bounds.rows_max:
            replies, self._cuts = self._context.bounds.shorten(self._sent, replies)
        self._memory.refusals.take(self._sent, replies, self._clock)
        self._replies, self._spent_s = replies, spent_s
        self._checking, self._checks = self._checks[::-1], []
        runs = self._receiving = self._runs
        self._runs = []
        for run in runs:
            run.output.spent_s = spent_s
            if self._cuts:
                run.output.cut += run.share.cut(self._cuts)
            self._work.append((run, run.share.of(replies)))
        return self._work_on()

    def go_on(self) -> list[Command]:
        """Work on after a pause; as `receive`."""
        self.paused = False
        self._slice_until = perf_counter() + self.slice_s
        return self._work_on()

    def _work_on(self) -> list[Command]:
        """Let collectors work until all wait for replies, or the slice is over."""
        work, checking = self._work, self._checking
        while work or checking:
            if work:
                self._advance(*work.popleft())
                if self.results.error is not None:
                    self._drop()
                    return []
            else:
                self._check(*checking.pop())
            if (work or checking) and perf_counter() >= self._slice_until:
                self.paused = True
                return []
        if not self._runs and not self._checks and self._collectors and self.results.error is None:
            self._start(self._collectors)  # the facts that they decide by are known now
            if work:
                self.paused = True
                return []
        self._sent = self._batch.take()
        self.asked.note(self._sent)
        return self._sent

    def _start(self, collectors: Sequence[EnabledCollector], rest: Sequence[EnabledCollector] = ()) -> None:
        self._collectors = rest
        memory = self._memory
        facts, repeats, version = memory.facts, memory.repeats, memory.refusals.version
        if facts is not None:
            collectors = memory.wanted_of(tuple(collectors), facts, self._context.options)
        for enabled in collectors:
            name, last = enabled.name, repeats.get(enabled.name)
            holds = last is not None and last.holds(facts, version, self._clock)
            if last is None or not holds or not (last.sent or last.labels is self._labels[name]):
                self._advance(CollectorRun.start(enabled, self._context, self._now), None)
                continue
            share = self._batch.repeat(last)
            self.asked.note_share(name, share)
            if share.count:
                self._checks.append((enabled, last, share))
            else:
                self.results.repeat(name, last)

    def _check(self, enabled: EnabledCollector, last: LastReply, share: Share) -> None:
        replies = share.of(self._replies)
        labels_are_same = last.labels is self._labels[enabled.name]
        if last.replies == replies and last.facts is self._memory.facts and labels_are_same:
            self.results.repeat(enabled.name, last)
            return
        run = CollectorRun.start(enabled, self._context, self._now)
        run.output.spent_s = self._spent_s
        if self._cuts:
            run.output.cut += share.cut(self._cuts)
        try:
            commands = run.step(None)
            if list(commands) == list(last.commands):
                run.take_share(commands, share)
                self._work.append((run, replies))
            elif not self._ask(run, commands):
                self._work.append((run, run.share.of(())))
        except Exception as error:  # a collector that asks nothing now has none of these replies
            self._fail(run, error)

    def _advance(self, run: CollectorRun, replies: list[Reply] | None) -> None:
        """Let a collector go on to its next batch, or to its end."""
        while True:
            try:
                commands = run.step(replies)
                if len(commands) and self._ask(run, commands):  # an error if they are no list
                    return
            except StopIteration as end:
                self._finish(run, end.value)
                return
            except Exception as error:  # a mistake of one collector must not harm the others
                self._fail(run, error)
                return
            replies = run.share.of(()) if commands else []
            if not commands and perf_counter() >= self._slice_until:
                self._work.appendleft((run, replies))
                return

    def _ask(self, run: CollectorRun, commands: Sequence[Command]) -> bool:
        """Put a collector's commands into the batch. False: it need not wait, because the replies to all of
        them are known refusals."""
        if run.batches:
            self.results.count_earlier(run)
        share = self._batch.add(commands)
        run.take_share(commands, share)
        self.asked.note_share(run.name, share)
        if not share.count:
            return False
        self._runs.append(run)
        return True

    def _finish(self, run: CollectorRun, facts: Facts | None) -> None:
        try:
            if facts is not None:
                self._learn(facts)
            self._remember(run, self.results.add(run))
        except Exception as error:
            self._fail(run, error)

    def _fail(self, run: CollectorRun, error: Exception) -> None:
        if (block := self.results.fail(run, error)) is not None:
            self._remember(run, block)

    def _remember(self, run: CollectorRun, block: engine.Block) -> None:
        if not run.collector.repeats(self._context.options):
            return
        if run.is_repeatable:
            self._memory.repeats[run.name] = run.last_reply(self._memory.facts, block, self.asked.version)
        else:
            self._memory.repeats.pop(run.name, None)

    def _learn(self, facts: Facts) -> None:
        if facts is self._memory.facts:
            self._memory.is_new_connection = False
            return
        facts = self._memory.learn(facts)
        if self._context.on_facts(facts):
            outdated = self.results.outdated
            outdated.update(self.results.blocks)
            for run in self._receiving:
                if not run.output.relabel(self._labels[run.name]):
                    outdated.add(run.name)

    def _drop(self) -> None:
        """Leave all collectors that are at work: the poll has failed."""
        for run in (*(run for run, _ in self._work), *self._runs):
            run.generator.close()
        self._work.clear()
        self._runs = []
