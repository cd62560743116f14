"""The page at `/`: how many targets are in which state, and a table of them, the worst first.

Charts of Kubernetes probe this path: it answers 200 in any state, without waiting for anything.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from aiohttp import web

from exporter.status.answers import html_answer
from exporter.status.fleet_table import TablePage
from exporter.status.row_texts import row_texts
from exporter.status.rows import LaneAge, TargetRow
from exporter.status.table_order import RANKS, TableOrder
from exporter.status.table_query import STALE, TableQuery, table_query
from exporter.status.templates import Templates

#: lanes that the table always has a column for, and one that it has if a target of the page uses it
LANES, RARE_LANE = ("fast", "standard", "slow"), "scan"


class Column(NamedTuple):
    """A heading of the table, by which it is sorted. Columns with the same `group` stand below it."""

    sort: str
    text: str
    about: str
    group: str = ""


COLUMNS = (
    Column("state", "State", "down, unknown (not polled yet), stale (some values are too old), paused, up"),
    Column("since", "Since", "when the present state began (UTC)"),
    Column("name", "Target", "name, labels and address, and what went wrong"),
    Column("role", "Role", "what the server says that it is"),
    Column("version", "Version", "what the server says that it runs"),
    Column("age", "Age of values", "how old the values of each lane are; a full bar: too old"),
    Column("p50", "p50", "half of the newest polls took no longer", "Polls"),
    Column("p99", "p99", "nearly all of the newest polls took no longer", "Polls"),
    Column("next", "next", "when the next poll begins", "Polls"),
    Column("series", "Series", "samples in the newest values of the target"),
    Column("refused", "Refused", "commands that the server refuses to this user, or does not have"),
    Column("reconnects", "Reconnects", "how often the connection was lost and made again"),
    Column("cost", "Cost", "how much of one core of the server the polls take"),
)
ORDERS = {
    "worst": "the worst first",
    "name": "by name",
    "address": "by address",
    "since": "the newest change first",
    "age": "the oldest values first",
    "p99": "the slowest polls first",
    "p50": "the slowest median first",
    "next": "the next poll first",
    "series": "the most series first",
    "refused": "the most refused first",
    "reconnects": "the most reconnects first",
    "cost": "the most expensive first",
    "role": "by role",
    "version": "by version",
    "state": "by state",
}


class Link(NamedTuple):
    """A path of the exporter, relative to `/`, and what is there."""

    href: str
    path: str
    note: str


class TableView(Protocol):
    """What the page needs of the table."""

    async def page(self, query: TableQuery) -> TablePage: ...


class OverviewPage:
    """See the module. `links` are shown below the table."""

    def __init__(self, table: TableView, templates: Templates, links: Sequence[Link]) -> None:
        self._table = table
        self._templates = templates
        self._links = links

    async def overview(self, request: web.Request) -> web.StreamResponse:
        """The page that the query asks for."""
        page = await self._table.page(table_query(request.query))
        return html_answer(await self._templates.write("overview.html", self._values(page)))

    def _values(self, page: TablePage) -> Mapping[str, object]:
        query = page.query
        first = (page.page - 1) * query.size
        return {
            "root": "",
            "page": "",
            "query": query,
            "counts": tuple(_counts(page)),
            "columns": COLUMNS,
            "orders": _orders(query),
            "direction": "descending" if TableOrder(query).is_descending else "ascending",
            "lanes": _lanes(page.rows),
            "rows": row_texts(page.rows),
            "wall": time.time(),
            "table": page,
            "numbers": _numbers(page.page, page.pages),
            "first": first + 1,
            "last": first + len(page.rows),
            "links": self._links,
            "ages_of": ages_of,
            "limits": usual_limits(page.rows),
        }


def ages_of(row: TargetRow, lanes: Sequence[str]) -> list[LaneAge | None]:
    """One for each of the lanes."""
    ages = {age.lane: age for age in row.lanes if age.age_s is not None}
    return [ages.get(lane) for lane in lanes]


def usual_limits(rows: Iterable[TargetRow]) -> Mapping[str, float]:
    """The limit of each lane that most rows have."""
    counted = Counter((age.lane, age.limit_s) for row in rows for age in row.lanes)
    return {lane: limit_s for (lane, limit_s), _ in reversed(counted.most_common())}


def _lanes(rows: Iterable[TargetRow]) -> tuple[str, ...]:
    has_rare = any(age.lane == RARE_LANE for row in rows for age in row.lanes)
    return (*LANES, RARE_LANE) if has_rare else LANES


def _counts(page: TablePage) -> Iterable[tuple[str, int]]:
    """By state, the worst first; a state that is rare only if any target has it."""
    counts = page.counts
    yield "", sum(counts.values())
    for state in RANKS:
        number = page.stale if state == STALE else counts.get(state, 0)
        if number or state in ("down", "up") or state == page.query.state:
            yield state, number


def _orders(query: TableQuery) -> list[tuple[str, str]]:
    """What the form offers. An order that is the other way round stays as it is."""
    found = list(ORDERS.items())
    if query.is_reversed:
        found.append((query.sort, f"{ORDERS[query.column]}, reversed"))
    return found


def _numbers(page: int, pages: int) -> list[int]:
    """Pages that are linked: the first, the last, and those around this one. 0 stands for a gap."""
    shown = sorted({1, pages, *range(max(1, page - 2), min(pages, page + 2) + 1)})
    linked: list[int] = []
    for number in shown:
        if linked and number > linked[-1] + 1:
            linked.append(0)
        linked.append(number)
    return linked
