"""The order of the table."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from exporter.fleet.fleet import state_of
from exporter.metrics.lane import Lane
from exporter.polling.watched_target import WatchedTarget
from exporter.status.table_order import TableOrder, is_stale
from exporter.status.table_query import SORTS, STALE, TableQuery
from tests.status.members import FACTS, Members, end


def shown_state(watched: WatchedTarget) -> str:
    return STALE if watched.up and is_stale(watched) else state_of(watched)


def order(watched: list[WatchedTarget], sort: str, run: int = 2) -> list[str]:
    """The hosts in this order, sorted in runs and merged."""
    chosen = TableOrder(TableQuery(sort=sort))
    now, wall = time.monotonic(), time.time()
    entries = [chosen.entry(each, at, shown_state(each), now, wall) for at, each in enumerate(watched)]
    runs = [entries[begin : begin + run] for begin in range(0, len(entries), run)]
    for each in runs:
        chosen.sort(each)
    return [entry[-1].target.host for entry in chosen.merged(runs)]


def test_the_worst_first() -> None:
    members = Members()
    watched = [
        members.add("up-b", "up"),
        members.add("up-a", "up"),
        members.add("paused", "paused"),
        members.add("stale", "stale"),
        members.add("new"),
        members.add("down-short", "down", since_s=5.0),
        members.add("down-long", "down", since_s=50.0),
    ]
    worst = ["down-long", "down-short", "new", "stale", "paused", "up-a", "up-b"]
    assert order(watched, "worst") == worst
    assert order(watched, "-worst") == ["up-a", "up-b", "paused", "stale", "new", "down-short", "down-long"]
    assert order(watched, "state") == ["down-long", "down-short", *worst[2:]]


@pytest.mark.parametrize(
    ("sort", "first_to_last"),
    [
        ("name", ["c", "a", "b"]),
        ("address", ["a", "b", "c"]),
        ("since", ["a", "b", "c"]),
        ("age", ["c", "b", "a"]),
        ("p50", ["b", "c", "a"]),
        ("p99", ["b", "c", "a"]),
        ("next", ["a", "c", "b"]),
        ("series", ["b", "a", "c"]),
        ("refused", ["c", "a", "b"]),
        ("reconnects", ["a", "c", "b"]),
        ("cost", ["b", "c", "a"]),
        ("role", ["c", "a", "b"]),
        ("version", ["b", "c", "a"]),
    ],
)
def test_each_column(sort: str, first_to_last: list[str]) -> None:
    members = Members()
    a, b, c = (
        members.add(host, "up", since_s=since_s, alias=alias, interval_s=10.0)
        for host, since_s, alias in (("a", 1.0, "2"), ("b", 2.0, "3"), ("c", 3.0, "1"))
    )
    now = time.monotonic()
    for watched, took_s, ticked_s, age_s, series, refused, connections, cost_s, role, version in (
        (a, 0.1, 9.0, 2.0, 5, 1, 9, 0.001, "slave", (8, 0, 0)),
        (b, 0.9, 1.0, 3.0, 6, 0, 2, 0.003, "unknown", (6, 0, 0)),
        (c, 0.5, 5.0, 4.0, 4, 2, 3, 0.002, "master", (7, 0, 0)),
    ):
        for _ in range(3):
            end(watched, took_s=took_s)
        watched.ticked_at = now - ticked_s
        state = watched.state
        state.series.lanes[Lane.FAST].polled_at = now - age_s
        state.series.series, watched.connection.reconnects = series, connections
        state.memory.refusals.known = dict.fromkeys(map(str, range(refused)))  # type: ignore[assignment]
        state.cost.poll_s = {Lane.FAST: cost_s}
        state.memory.facts = replace(FACTS, role=role, flavor_version=version)
    assert order([a, b, c], sort) == first_to_last
    assert order([a, b, c], f"-{sort}") == first_to_last[::-1]


@pytest.mark.parametrize("sort", ["p50", "p99", "next", "cost", "role", "version"])
def test_what_is_not_known_is_last_either_way(sort: str) -> None:
    members = Members()
    new, known = members.add("a"), members.add("b", "up")
    known.ticked_at = time.monotonic()
    known.state.cost.poll_s = {Lane.FAST: 0.001}
    assert order([new, known], sort) == order([new, known], f"-{sort}") == ["b", "a"]


@pytest.mark.parametrize("sort", SORTS)
def test_equal_ones_are_sorted_by_name(sort: str) -> None:
    members = Members()
    watched = [members.add("h", name=f"redis://h:{port}", alias=f"{port}") for port in (3, 1, 2, 5, 4)]
    for each in watched:
        each.health.since = 5.0
    chosen = TableOrder(TableQuery(sort=sort))
    entries = [chosen.entry(each, at, shown_state(each), 0.0, 0.0) for at, each in enumerate(watched)]
    chosen.sort(entries)
    assert [entry[1] for entry in entries] == ["1", "2", "3", "4", "5"]
