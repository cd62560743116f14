"""What one poll found, by collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter import engine
from exporter.errors import TargetError
from exporter.polling.collector_run import CollectorRun
from exporter.protocol.command import Command
from exporter.targets.redaction import Redaction

#: a command as servers count it: its name, and its sub-command or ""
Verb = tuple[str, str]


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
    #: the newest batch of each collector that ran, and the calls of the batches before it
    asked: dict[str, Sequence[Command]] = field(default_factory=dict)
    earlier: dict[str, Counter[Verb]] = field(default_factory=dict)
    #: those all of whose commands the server refuses
    unsupported: set[str] = field(default_factory=set)
    #: bytes of the replies; infinite where several nodes sent them
    received: float = 0
    #: how long the first ones took on a connection that was kept from an earlier poll; 0.0: not known
    answered_s: float = 0.0
    #: why the poll as a whole failed
    error: TargetError | None = None

    def add(self, run: CollectorRun) -> engine.Block:
        """Take what a run wrote that went well."""
        output, name = run.output, run.name
        self.asked[name] = run.commands
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

    def fail(self, run: CollectorRun, error: Exception) -> None:
        """Note what a run raised. The poll fails with the collector that identifies the server. One that the
        server refuses has not failed: there is nothing to write."""
        if run.is_refused and isinstance(error, TargetError) and not run.collector.identifies:
            self.add(run)
            return
        self.asked[run.name] = run.commands
        kind = type(error) if isinstance(error, TargetError) else TargetError
        text = str(error) if isinstance(error, TargetError) else f"{type(error).__name__}: {error}"
        failure = self.failures[run.name] = kind(self.redaction.clean(text))
        if run.collector.identifies:
            self.error = failure

    def count_earlier(self, run: CollectorRun) -> None:
        """Count a batch of a run that asks another one."""
        self.earlier.setdefault(run.name, Counter()).update(map(verb_of, _of_target(run.commands)))

    def calls_of(
        self, collector: str, repeated: Iterable[Command], refused: Collection[str] = ()
    ) -> Counter[Verb]:
        """How often a collector called each command on the target itself. `repeated` are those of a collector
        that had the same replies as before, and so did not run; `refused` were not sent."""
        commands = self.asked.get(collector, repeated)
        sent = [each for each in commands if each.name not in refused] if refused else commands
        calls = Counter(map(verb_of, _of_target(sent)))
        calls.update(self.earlier.get(collector, ()))
        return calls


def _of_target(commands: Iterable[Command]) -> Iterable[Command]:
    return [command for command in commands if not command.node]
