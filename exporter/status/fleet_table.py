"""The table of all targets: counted, filtered, sorted and cut into pages, in slices of the event loop's time.

Of all targets only what the order needs is looked at; whole rows are made of those that are shown.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from exporter.errors import ConfigError
from exporter.fleet.fleet import STATES, state_of
from exporter.polling.watched_target import WatchedTarget
from exporter.status.rows import TargetRow, role_of, row_of, version_of
from exporter.status.table_order import Entry, TableOrder, is_stale
from exporter.status.table_query import STALE, TableQuery
from exporter.status.target_finder import find_target
from exporter.targets.target_labels import own_labels

#: targets that are looked at, rows that are made, and targets that are sorted before the event loop may go on
LOOKS, MADE, RUN = 100, 5, 1000
#: how long the counts are shown
COUNTS_S = 1.0


class FleetMembers(Protocol):
    """What the table needs of the fleet."""

    @property
    def watched_targets(self) -> Mapping[str, WatchedTarget]: ...
    @property
    def adopted_targets(self) -> Mapping[str, WatchedTarget]: ...
    def find(self, text: str) -> WatchedTarget | None: ...


@dataclass(frozen=True, slots=True)
class TablePage:
    """`total` rows fit the query, on `pages` pages; `rows` are those of the page `page`, which is the last
    one if the query asks for one behind it. `counts` are of all targets, by state; `stale` of those that are
    up have values that are too old."""

    rows: Sequence[TargetRow]
    total: int
    page: int
    pages: int
    counts: Mapping[str, int]
    query: TableQuery
    stale: int = 0


class FleetTable:
    """`share` returns when the event loop has time."""

    def __init__(self, fleet: FleetMembers, share: Callable[[], Awaitable[None]]) -> None:
        self._fleet = fleet
        self._share = share
        self._counts: Mapping[str, int] = {}
        self._counted_at = float("-inf")

    def members(self) -> list[WatchedTarget]:
        """All targets: those that are configured, and those that are only asked for."""
        return [*self._fleet.watched_targets.values(), *self._fleet.adopted_targets.values()]

    def find(self, name: str) -> WatchedTarget | None:
        """The target that a row calls so, by alias or address."""
        try:
            return find_target(self._fleet, name)
        except ConfigError:
            return None

    def counts(self) -> Mapping[str, int]:
        """How many targets are in each of `STATES`, as of a second ago at most."""
        now = time.monotonic()
        if now - self._counted_at >= COUNTS_S:
            self._note_counts(Counter(map(state_of, self.members())), now)
        return self._counts

    def _note_counts(self, counted: Mapping[str, int], now: float) -> None:
        self._counts, self._counted_at = {state: counted.get(state, 0) for state in STATES}, now

    async def page(self, query: TableQuery) -> TablePage:
        """The rows of one page."""
        order = TableOrder(query)
        runs, total, counts, stale = await self._runs(query, order)
        pages = max(1, -(-total // query.size))
        page = min(query.page, pages)
        first = (page - 1) * query.size
        made: list[TargetRow] = []
        for number, entry in enumerate(order.merged(runs)):
            if number >= first + query.size:
                break
            if number % (MADE if number >= first else LOOKS) == 0:
                await self._share()
            if number >= first:
                made.append(self._row(entry))
        return TablePage(made, total, page, pages, counts, query, stale)

    async def rows(self, query: TableQuery) -> AsyncIterator[TargetRow]:
        """All rows that fit the query, on whichever page."""
        order = TableOrder(query)
        runs, *_ = await self._runs(query, order)
        for number, entry in enumerate(order.merged(runs)):
            if number % MADE == 0:
                await self._share()
            yield self._row(entry)

    def _row(self, entry: Entry) -> TargetRow:
        """A target whose name is that of another one too goes by its key."""
        watched = entry[-1]
        row = row_of(watched, time.monotonic(), time.time())
        return row if self.find(row.name) is watched else replace(row, name=row.key)

    async def _runs(
        self, query: TableQuery, order: TableOrder
    ) -> tuple[list[list[Entry]], int, Mapping[str, int], int]:
        """What fits the query in sorted runs, how many those are, and the counts of all targets and of those
        with stale values."""
        now, wall = time.monotonic(), time.time()
        counted: Counter[str] = Counter()
        found: list[Entry] = []
        text, wanted = query.text.lower(), query.state
        for number, watched in enumerate(self.members()):
            if number % LOOKS == 0:
                await self._share()
            state = state_of(watched)
            counted[state] += 1
            shown = STALE if state == "up" and is_stale(watched) else state
            if shown is STALE:
                counted[STALE] += 1
            if wanted and wanted not in (state, shown):
                continue
            if not text or text in searched(watched):
                found.append(order.entry(watched, number, shown, now, wall))
        self._note_counts(counted, now)
        counts = self._counts
        runs = [found[begin : begin + RUN] for begin in range(0, len(found), RUN)]
        for run in runs:
            await self._share()
            order.sort(run)
        return runs, len(found), counts, counted[STALE]


def searched(watched: WatchedTarget) -> str:
    """What a text is looked for in, in small letters."""
    target, facts = watched.target, watched.facts
    labels = [value for _, value in own_labels(target)]
    return "\n".join((target.alias, target.addr, role_of(facts), version_of(facts), *labels)).lower()
