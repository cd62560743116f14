"""What one poll found, by collector."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter import engine
from exporter.errors import TargetError
from exporter.polling.collector_run import CollectorRun
from exporter.polling.memory import LastReply
from exporter.protocol.command import Command
from exporter.targets.redaction import Redaction

#: a command as servers count it: its name, and its sub-command or ""
Verb = tuple[str, str]
#: how often each was called
Calls = dict[Verb, int]


def verb_of(command: Command) -> Verb:
    args = command.args
    second = args[1] if len(args) > 1 else ""
    return str(args[0]), second if type(second) is str else ""


@dataclass(slots=True)
class PollResults:
    """See the module; the keys are collectors' names. Every text in it is clean: `redaction` takes out what a
    server may have quoted."""

    redaction: Redaction
    blocks: dict[str, engine.Block] = field(default_factory=dict)
    failures: dict[str, TargetError] = field(default_factory=dict)
    #: by subject, what went wrong in a run that went well as a whole
    faults: dict[str, Mapping[str, str]] = field(default_factory=dict)
    #: lines, rows and names that a limit left out, if any
    cuts: dict[str, int] = field(default_factory=dict)
    #: what was sent for each collector that ran: its newest batch, and the calls of the batches before it
    asked: dict[str, Sequence[Command]] = field(default_factory=dict)
    earlier: dict[str, Calls] = field(default_factory=dict)
    #: those all of whose commands the server refuses
    unsupported: set[str] = field(default_factory=set)
    #: bytes of the replies; infinite where several nodes sent them
    received: int | float = 0
    #: how long the first ones took on a connection that was kept from an earlier poll; 0.0: not known
    answered_s: float = 0.0
    #: why the poll as a whole failed
    error: TargetError | None = None
    #: those that wrote their labels before the poll learnt other ones
    outdated: set[str] = field(default_factory=set)

    def add(self, run: CollectorRun) -> engine.Block:
        """Take what a run wrote that went well."""
        output, name = run.output, run.name
        self.asked[name] = run.share.sent
        block = self.blocks[name] = output.block()
        if output.cut:
            self.cuts[name] = output.cut
        if output.faults:
            self.faults[name] = {
                subject: self.redaction.clean(text) for subject, text in output.faults.items()
            }
        if run.is_refused:
            self.unsupported.add(name)
        return block

    def repeat(self, collector: str, last: LastReply) -> None:
        """Take what a collector left before, because it would do the same now."""
        self.blocks[collector] = last.block
        if last.cut:
            self.cuts[collector] = last.cut
        if last.is_refused:
            self.unsupported.add(collector)

    def fail(self, run: CollectorRun, error: Exception) -> engine.Block | None:
        """Note what a run raised. The poll fails with the collector that identifies the server. One that the
        server refuses has not failed, and has a block: there is nothing more to write."""
        if run.is_refused and isinstance(error, TargetError) and not run.collector.identifies:
            return self.add(run)
        self.asked[run.name] = run.share.sent
        kind = type(error) if isinstance(error, TargetError) else TargetError
        text = str(error) if isinstance(error, TargetError) else f"{type(error).__name__}: {error}"
        failure = self.failures[run.name] = kind(self.redaction.clean(text))
        if run.collector.identifies:
            self.error = failure
        return None

    def count_earlier(self, run: CollectorRun) -> None:
        """Count a batch of a run that asks another one."""
        _count(run.share.sent, (), self.earlier.setdefault(run.name, {}))

    def add_calls_of(
        self, collector: str, repeated: Iterable[Command], refused: Collection[str], calls: Calls
    ) -> None:
        """Count in `calls` how often a collector called each command on the target itself. `repeated` are
        those of a collector that had the same replies as before, and so did not run; `refused` were not
        sent."""
        _count(self.asked.get(collector, repeated), refused, calls)
        for verb, number in self.earlier.get(collector, {}).items():
            calls[verb] = calls.get(verb, 0) + number


def _count(commands: Iterable[Command], refused: Collection[str], calls: Calls) -> None:
    for command in commands:
        if not (command.node or (refused and command.name in refused)):
            verb = verb_of(command)
            calls[verb] = calls.get(verb, 0) + 1
