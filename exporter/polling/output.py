"""Where a collector writes: the `Out` of its contract."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from exporter import engine
from exporter.collectors._contract import KnownBounds
from exporter.collectors._enabled import EnabledCollector
from exporter.errors import InternalError
from exporter.metrics.family import Family
from exporter.polling.bounds import ROWS_MAX
from exporter.polling.memory import TargetMemory
from exporter.protocol.cluster import ClusterView
from exporter.protocol.command import Command
from exporter.protocol.forks import Forks
from exporter.protocol.info_commands import WHOLE_BEGINS
from exporter.protocol.neighbours import Neighbours
from exporter.protocol.replication import section_of


@lru_cache(1024)
def names_in(text: bytes) -> frozenset[str]:
    """The names of rendered labels. Quotes within a value are escaped, so that no value looks like a
    label."""
    return frozenset(name.decode() for name in re.findall(rb'(?:^|,)([a-zA-Z_][a-zA-Z0-9_]*)="', text))


class CollectorOutput:
    """One for each collector and poll."""

    __slots__ = (
        "_block",
        "_family_set",
        "_is_part",
        "_memory",
        "_read",
        "_writer",
        "cut",
        "db",
        "faults",
        "labels",
        "memory",
        "now",
        "rows_max",
        "spent_s",
    )  # fmt: skip

    def __init__(
        self,
        enabled: EnabledCollector,
        labels: engine.Labels,
        memory: TargetMemory,
        now: float,
        db: int = 0,
        rows_max: int = ROWS_MAX,
    ) -> None:
        self.now = now
        self.cut = 0
        self.faults: dict[str, str] | None = None  # by subject
        self.rows_max = rows_max
        self.db = db
        self.spent_s = 0.0
        self.memory = memory.of(enabled.collector)
        self._family_set = enabled.family_set
        self.labels = labels
        self._memory = memory
        self._block: engine.Block | None = None
        self._is_part = False
        self._read: tuple[bytes, int] | None = None
        self._writer: engine.Writer | None = None

    @property
    def is_new_connection(self) -> bool:
        return self._memory.is_new_connection

    def info(self, text: bytes, fill: int = 0) -> tuple[bytes | None, ...]:
        plan = self._family_set.plan
        if plan is None or self._block is not None:
            raise InternalError(
                f"{self._family_set.name}: INFO is read once, by a collector with families that have a source"
            )
        orders = self._memory.orders
        # whole texts and parts come in turns: with one order for both, each would look up every key again
        self._is_part = not text.startswith(WHOLE_BEGINS)
        both = orders.get(self._family_set.name)
        if both is None:
            both = orders[self._family_set.name] = (engine.LineOrder(), engine.LineOrder())
        order = both[self._is_part]
        self._block = plan.read(text, self.labels, order, self.now, fill)
        self._read = (text, fill)
        return self._block.fields

    def learn_replication(self, info: bytes) -> None:
        memory = self._memory
        if self._is_part:
            memory.replication_section, memory.part_replication_at = section_of(
                info, memory.part_replication_at
            )
        else:
            memory.replication_section, memory.replication_at = section_of(info, memory.replication_at)

    def learn_configuration(self, hash: str) -> None:
        self._memory.configuration = hash

    def learn_forks(self, forks: Forks) -> None:
        self._memory.forks = forks

    def learn_command_stats(self, text: bytes) -> None:
        self._memory.command_stats = text

    def learn_cluster(self, view: ClusterView) -> None:
        self._memory.cluster = view

    def learn_sentinel(self, view: Neighbours) -> None:
        self._memory.sentinel = view

    def is_refused(self, command: Command) -> bool:
        known = self._memory.refusals.known
        return bool(known) and command.name in known

    def fault(self, subject: str, text: str) -> None:
        if self.faults is None:
            self.faults = {}
        self.faults[subject] = text

    def add(self, family: Family, value: int | float, *labels: str | bytes) -> None:
        number = self._family_set.numbers[family.name]
        if number not in self._family_set.hidden:
            self._writing().add(number, value, labels)

    def add_histogram(
        self,
        family: Family,
        bounds: Sequence[int | float],
        below: Sequence[int],
        count: int,
        total: int | float,
        *labels: str | bytes,
    ) -> None:
        number = self._family_set.numbers[family.name]
        if number not in self._family_set.hidden:
            self._writing().add_histogram(number, bounds, below, count, total, labels)

    def read_histograms(self, family: Family, reply: bytes, statistics: bytes, bounds: KnownBounds) -> bool:
        number = self._family_set.numbers[family.name]
        if number in self._family_set.hidden:
            return False
        return self._writing().read_histograms(number, reply, statistics, bounds)

    def add_runtime(
        self, name: str, type: str, help: str, value: int | float, labels: Mapping[str, str]
    ) -> bool:
        dynamic = self._family_set.runtime_families
        if dynamic is None:
            raise InternalError(f"{self._family_set.name}: has_runtime_families is not set in its collector")
        of_target = names_in(self.labels.text)
        own = {label: text for label, text in labels.items() if label not in of_target}
        named, given = self._memory.named.get(self._family_set.name, 0), dynamic.given
        number = dynamic.number(name, type, help, own) if dynamic.may_name(name, named) else None
        if number is None:
            self.cut += 1
            return False
        if dynamic.given > given:
            self._memory.named[self._family_set.name] = named + 1
        self._writing().add(number, value, [own.get(label, "") for label in dynamic.labels_of(number)])
        return True

    def _writing(self) -> engine.Writer:
        if self._writer is None:
            self._writer = engine.Writer(self._family_set.rows, self.labels, self._family_set.label_max)
        return self._writer

    def relabel(self, labels: engine.Labels) -> bool:
        """Write with other labels, and render the INFO that was read again with them. False: samples were
        added before, and all keep the labels that those have."""
        if self._writer is not None:
            return False
        self.labels = labels
        if self._read is not None:
            self._block = None
            self.info(*self._read)
        return True

    def block(self) -> engine.Block:
        if self._writer is None:
            return self._block or engine.Writer(self._family_set.rows, self.labels).block()
        if self._block is not None:
            self._writer.merge(self._block)
        return self._writer.block()
