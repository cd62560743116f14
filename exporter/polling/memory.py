"""What a target's polls remember from one to the next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from exporter import engine
from exporter.collectors._contract import Collector
from exporter.collectors._enabled import EnabledCollector
from exporter.connection.traffic import Traffic
from exporter.errors import ReplyError
from exporter.options.table import Options
from exporter.polling.program import Programs
from exporter.polling.refusals import Refusals
from exporter.protocol.cluster import ClusterView
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts
from exporter.protocol.forks import NO_FORKS, Forks
from exporter.protocol.neighbours import Neighbours
from exporter.protocol.replication import Replication, parse_replication
from exporter.targets.redaction import NOTHING, Redaction, redaction_of
from exporter.targets.target import Target

M = TypeVar("M")

#: former passwords of a target that its server may still know, and no text may show
PASSWORDS_MAX = 32


@dataclass(frozen=True, slots=True)
class LastReply:
    """The replies to the only batch of a collector, and the block that it made of them.

    `sent` are those of its commands that the server did not refuse before; `refusals` are the places of the
    others among them, and the error replies. It holds for one `version` of what is known to be refused, and
    before the monotonic moment `until`. `is_refused`: the server refuses what the collector is for.
    """

    facts: Facts | None
    labels: engine.Labels
    commands: Sequence[Command]
    replies: Sequence[Reply]
    block: engine.Block
    cut: int
    sent: Sequence[Command]
    version: int
    refusals: Sequence[tuple[int, ReplyError]] = ()
    until: float = math.inf
    is_refused: bool = False
    raw: bytes = b""  # the replies as they came; empty: not known

    def holds(self, facts: Facts | None, version: int, now: float) -> bool:
        """Whether the same would be asked and left out now."""
        return self.facts is facts and self.version == version and now < self.until


@dataclass(slots=True)
class TargetMemory:
    """What a target's polls remember. Keys are names of collectors' family sets, unless another is named.

    `is_new_connection` is set before each new connection: only behind one can another run of the server be. A
    proxy may name another one in each reply of INFO: `facts` keep the first of a connection.
    """

    facts: Facts | None = None
    cluster: ClusterView | None = None  # the newest that the server gave
    sentinel: Neighbours | None = None  # what the server watches as a Sentinel, as of its newest reply
    configuration: str = ""  # a hash of it; "" unknown
    peer: str = ""  # the numeric address that the newest connection led to
    forks: Forks = NO_FORKS
    command_stats: bytes = b""  # the newest, until the end of the poll that read them
    traffic: Traffic = field(default_factory=Traffic)
    replication_at: int = 0  # where the section begins in a whole INFO
    part_replication_at: int = 0  # and where in its moving sections alone
    replication_section: bytes = b""  # of the newest INFO; read when somebody asks for it
    #: of whole texts of INFO, and of parts
    orders: dict[str, tuple[engine.LineOrder, engine.LineOrder]] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)
    is_new_connection: bool = True
    #: what collectors remember themselves, by the name of their memory
    collectors: dict[str, Any] = field(default_factory=dict)
    repeats: dict[str, LastReply] = field(default_factory=dict)
    programs: Programs = field(default_factory=Programs)
    #: knows the newest passwords that the target has had, the newest one last
    redaction: Redaction = NOTHING
    _passwords: tuple[str, ...] = ()
    #: how many names of run-time families came from this target first
    named: dict[str, int] = field(default_factory=dict)
    _replication: tuple[bytes, Replication | None] = (b"", None)
    #: collectors → those of them that want to run
    _wanted: dict[tuple[EnabledCollector, ...], list[EnabledCollector]] = field(default_factory=dict)

    @property
    def replication(self) -> Replication | None:
        """What the newest INFO says about replication; None if it says nothing."""
        section = self.replication_section
        if self._replication[0] != section:
            self._replication = (section, parse_replication(section) if section else None)
        return self._replication[1]

    def of(self, collector: Collector[M]) -> M:
        name = collector.memory_name or collector.name
        if name not in self.collectors:
            self.collectors[name] = collector.new_memory()
        memory: M = self.collectors[name]
        return memory

    def note_password(self, target: Target) -> None:
        """Note the password that the target has from now on."""
        others = (password for password in self._passwords if password != target.password)
        self._passwords = (*others, target.password)[-PASSWORDS_MAX:]
        self.redaction = redaction_of(target.user, *self._passwords)

    def afresh(self) -> TargetMemory:
        """A memory for a poll beside the others. It knows what the server refuses and which passwords no text
        may show, counts the same traffic, and nothing of the server."""
        fresh = TargetMemory(traffic=self.traffic, redaction=self.redaction, _passwords=self._passwords)
        fresh.refusals.known = {name: replace(refusal) for name, refusal in self.refusals.known.items()}
        return fresh

    def keep_only(self, enabled: Iterable[EnabledCollector]) -> None:
        """Forget what belongs to other collectors, and which of these need not run."""
        kept = {each.name: each.collector for each in enabled}
        self.repeats.clear()
        self.programs.clear()
        self._wanted.clear()
        for by_name in (self.orders, self.named):
            for name in by_name.keys() - kept.keys():
                del by_name[name]
        memories = {collector.memory_name or collector.name for collector in kept.values()}
        for name in self.collectors.keys() - memories:
            del self.collectors[name]

    def learn(self, facts: Facts) -> Facts:
        """Take what INFO reports. Returns what holds from now on."""
        before = self.facts
        if before is not None and before.run_id != facts.run_id:
            if self.is_new_connection:
                self.refusals.change_run(before.run_id, facts.run_id)
                facts = replace(facts, databases=None)  # its configuration may have changed
            else:
                facts = replace(facts, run_id=before.run_id)
        self.is_new_connection = False
        if before is None or facts != before:
            self.facts = before = facts
            self._wanted.clear()
        return before

    def note_failure(self) -> None:
        """Note a failed poll. A server that does not name its runs may be another one after it."""
        if self.facts is not None and not self.facts.run_id:
            self.refusals.doubt()

    def wanted_of(
        self, collectors: tuple[EnabledCollector, ...], facts: Facts, options: Options
    ) -> list[EnabledCollector]:
        """The collectors that want to run on a server with these facts. Each decides once for the same
        facts."""
        found = self._wanted.get(collectors)
        if found is None:
            found = self._wanted[collectors] = [
                enabled for enabled in collectors if enabled.collector.wants(facts, options)
            ]
        return found
