"""Which families and targets have the most series, and what the limits on series refuse."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest

from exporter.metrics.family_set import FamilySet
from exporter.metrics.store import Snapshot, Store
from exporter.polling.watched_target import WatchedTarget
from exporter.safe_text import valid
from exporter.single_flight import SingleFlight
from exporter.status.rows import name_of

#: families and targets that a report lists
LISTED_MAX = 50
#: how long a report is shown: seconds, and how many times what it took to make it
KEPT_S, KEPT_TIMES = 10.0, 50


@dataclass(frozen=True, slots=True)
class FamilySize:
    """How large one family is, in the newest snapshots of `targets` targets. `bytes` are those of its
    samples."""

    name: str
    series: int
    bytes: int
    targets: int


@dataclass(frozen=True, slots=True)
class TargetSize:
    """How large one target is; `name` finds it in `/targets/NAME`. `refused` counts the samples of its newest
    polls that a limit refused."""

    key: str
    name: str
    address: str
    series: int
    bytes: int
    refused: int


@dataclass(frozen=True, slots=True)
class CardinalityReport:
    """As of the moment `at` (wall clock). `series` and `bytes` are of all targets, `refused` are samples that
    the limits refused. The lists have the largest first: `families` and `targets` by series, `refusing` the
    targets that were refused some. `target_limit` and `family_limit` are the limits on series of one target
    and of one of its families."""

    at: float
    series: int
    bytes: int
    refused: int
    target_limit: int
    family_limit: int
    families: Sequence[FamilySize]
    targets: Sequence[TargetSize]
    refusing: Sequence[TargetSize]


@dataclass(frozen=True, slots=True)
class CardinalitySources:
    """What a report is made of. `limits` are those on series of a target and of a family; `share` returns
    when the event loop has time."""

    store: Store
    family_sets: Callable[[], Iterable[FamilySet]]
    members: Callable[[], Iterable[WatchedTarget]]
    limits: Callable[[], tuple[int, int]]
    share: Callable[[], Awaitable[None]]


class _Sizes:
    """Series, bytes and targets of each family of one set, by its number."""

    def __init__(self, family_set: FamilySet) -> None:
        self.family_set = family_set
        self.series = [0] * len(family_set.rows)
        self.bytes = [0] * len(family_set.rows)
        self.targets = [0] * len(family_set.rows)

    def add(self, snapshot: Snapshot) -> None:
        samples, ends = snapshot.samples, memoryview(snapshot.offsets).cast("i")
        series, sizes, targets = self.series, self.bytes, self.targets
        begin = ends[0]
        for number, end in enumerate(ends[1:]):
            if end > begin:
                series[number] += samples.count(b"\n", begin, end)
                sizes[number] += end - begin
                targets[number] += 1
                begin = end


class Cardinality:
    """Makes reports, each of which is shown for some seconds."""

    def __init__(self, sources: CardinalitySources) -> None:
        self.sources = sources
        self._making = SingleFlight(self._make)
        self._newest: CardinalityReport | None = None
        self._kept_until = float("-inf")

    async def report(self) -> CardinalityReport:
        newest = self._newest
        if newest is not None and time.monotonic() < self._kept_until:
            return newest
        return await self._making.run()

    async def _make(self) -> CardinalityReport:
        sources, began = self.sources, time.monotonic()
        store, targets = sources.store, []
        by_set = [_Sizes(family_set) for family_set in sources.family_sets()]
        for watched in list(sources.members()):
            await sources.share()
            key, size = watched.target.key, 0
            series = 0
            for sizes in by_set:
                snapshot = store.get(key, sizes.family_set.name)
                if snapshot is not None:
                    sizes.add(snapshot)
                    size += len(snapshot.samples)
                    series += snapshot.series
            refused = watched.state.series.refused
            targets.append(
                TargetSize(key, name_of(watched.target), valid(watched.target.addr), series, size, refused)
            )
        await sources.share()
        report = _report(by_set, targets, *sources.limits())
        now = time.monotonic()
        self._newest, self._kept_until = report, now + max(KEPT_S, KEPT_TIMES * (now - began))
        return report


def _report(
    by_set: Sequence[_Sizes], targets: Sequence[TargetSize], target_limit: int, family_limit: int
) -> CardinalityReport:
    families: dict[str, FamilySize] = {}
    for sizes in by_set:
        for number, (name, _) in enumerate(sizes.family_set.rows):
            if sizes.series[number]:
                own = (sizes.series[number], sizes.bytes[number], sizes.targets[number])
                known = families.get(name.decode())
                if known is not None:  # two sets share it
                    own = (known.series + own[0], known.bytes + own[1], max(known.targets, own[2]))
                families[name.decode()] = FamilySize(name.decode(), *own)
    refusing = [target for target in targets if target.refused]
    return CardinalityReport(
        at=time.time(),
        series=sum(target.series for target in targets),
        bytes=sum(target.bytes for target in targets),
        refused=sum(target.refused for target in targets),
        target_limit=target_limit,
        family_limit=family_limit,
        families=nlargest(LISTED_MAX, families.values(), lambda each: (each.series, each.bytes)),
        targets=nlargest(LISTED_MAX, targets, lambda each: (each.series, each.bytes)),
        refusing=nlargest(LISTED_MAX, refusing, lambda each: each.refused),
    )
