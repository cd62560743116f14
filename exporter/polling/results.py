"""What one poll found, by collector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter import engine
from exporter.errors import TargetError
from exporter.polling.collector_run import CollectorRun
from exporter.targets.redaction import Redaction


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
        kind = type(error) if isinstance(error, TargetError) else TargetError
        text = str(error) if isinstance(error, TargetError) else f"{type(error).__name__}: {error}"
        failure = self.failures[run.name] = kind(self.redaction.clean(text))
        if run.collector.identifies:
            self.error = failure
