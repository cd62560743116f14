"""The table of all targets."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest

from exporter.fleet.fleet import STATES
from exporter.polling.watched_target import WatchedTarget
from exporter.status import fleet_table
from exporter.status.fleet_table import FleetTable
from exporter.status.rows import TargetRow, row_of
from exporter.status.table_query import SORTS, TableQuery
from tests.status.members import Members, fleet, no_share
from tests.store_fixture import PATIENCE_S

STRANGE = ["a/b", "<script>alert(1)</script>", "ключ 密钥", "x" * 1000, "50%", "..", "a?b#c", "‮evil", "\"'"]


def table(members: Members) -> FleetTable:
    return FleetTable(members, no_share)


async def test_pages_have_all_rows_once() -> None:
    all_of_them = table(fleet({"up": 25, "down": 3, "unknown": 2, "paused": 1}))
    found: list[str] = []
    for number in range(1, 5):
        page = await all_of_them.page(TableQuery(page=number, size=10))
        assert (page.total, page.pages, page.page) == (31, 4, number)
        assert dict(page.counts) == {"up": 25, "down": 3, "unknown": 2, "paused": 1}
        found += [row.name for row in page.rows]
    assert found[:7] == [
        "down 0002",
        "down 0001",
        "down 0000",
        "unknown 0000",
        "unknown 0001",
        "paused 0000",
        "up 0000",
    ]
    assert len(set(found)) == len(found) == 31


async def test_behind_the_last_page_is_the_last_page() -> None:
    page = await table(fleet({"up": 5})).page(TableQuery(page=99, size=2))
    assert (page.page, page.pages, [row.name for row in page.rows]) == (3, 3, ["up 0004"])


async def test_without_targets_there_is_one_empty_page() -> None:
    page = await table(Members()).page(TableQuery())
    assert (page.total, page.page, page.pages, page.rows) == (0, 1, 1, [])
    assert dict(page.counts) == dict.fromkeys(STATES, 0)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("up", {"up 0000", "stale 0000"}),
        ("down", {"down 0000"}),
        ("stale", {"stale 0000"}),
        ("paused", set()),
    ],
)
async def test_one_state(state: str, found: set[str]) -> None:
    page = await table(fleet({"up": 1, "stale": 1, "down": 1, "unknown": 1})).page(TableQuery(state=state))
    assert ({row.name for row in page.rows}, page.total) == (found, len(found))
    assert dict(page.counts) == {"up": 2, "down": 1, "unknown": 1, "paused": 0}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CACHE", ["Cache"]),
        ("9.9.9.9", ["Cache"]),
        ("live", ["Cache"]),
        ("master", ["other", "Cache"]),
        ("7.2.4", 2),
        ("none", []),
    ],
)
async def test_a_text_is_found_in_what_a_row_shows(text: str, found: list[str] | int) -> None:
    members = Members()
    members.add("other", "down", alias="other")
    members.add("9.9.9.9", "up", alias="Cache", labels=(("env", "LIVE"),))
    page = await table(members).page(TableQuery(text=text))
    assert page.total == (found if isinstance(found, int) else len(found))
    if not isinstance(found, int):
        assert [row.name for row in page.rows] == found


async def test_adopted_targets_are_shown_as_such() -> None:
    members = fleet({"up": 1})
    members.add("asked", "down", source="adopted")
    page = await table(members).page(TableQuery())
    assert [(row.name, row.source) for row in page.rows] == [("asked:6379", "adopted"), ("up 0000", "file")]
    found = table(members).find("asked:6379")
    assert found is not None
    assert found.target.addr == "redis://asked:6379"


@pytest.mark.parametrize("alias", STRANGE)
async def test_a_name_leads_to_its_target(alias: str) -> None:
    members = Members()
    watched = members.add("h", alias=alias)
    all_of_them = table(members)
    (row,) = (await all_of_them.page(TableQuery())).rows
    assert all_of_them.find(unquote(quote(row.name, safe=""))) is watched


async def test_where_two_have_one_name_each_is_found() -> None:
    members = Members()
    watched = [
        members.add(host, alias=alias) for host, alias in (("a", "same"), ("b", "same"), ("c", "a:6379"))
    ]
    all_of_them = table(members)
    rows = (await all_of_them.page(TableQuery(sort="address"))).rows
    assert [row.name for row in rows] == ["redis://a:6379", "same", "a:6379"]
    assert [all_of_them.find(row.name) for row in rows] == watched


def test_what_is_no_name_finds_nothing() -> None:
    assert table(Members()).find("no such name") is None


async def test_all_rows_in_order() -> None:
    all_of_them = table(fleet({"up": 30, "down": 2}))
    names = [row.name async for row in all_of_them.rows(TableQuery(size=5, page=3))]
    assert names[:3] == ["down 0001", "down 0000", "up 0000"]
    assert len(names) == 32


def test_counts_are_kept_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_table, "COUNTS_S", PATIENCE_S)
    members = fleet({"up": 1})
    all_of_them = table(members)
    assert all_of_them.counts()["up"] == 1
    members.add("more", "up")
    assert all_of_them.counts()["up"] == 1
    monkeypatch.setattr(fleet_table, "COUNTS_S", 0.0)
    assert all_of_them.counts()["up"] == 2


@pytest.mark.parametrize("sort", SORTS)
async def test_only_the_rows_of_the_page_are_made_whole(sort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def count(watched: WatchedTarget, now: float, wall: float) -> TargetRow:
        made.append(watched.target.key)
        return row_of(watched, now, wall)

    monkeypatch.setattr(fleet_table, "row_of", count)
    shares: list[None] = []

    async def share() -> None:
        shares.append(None)

    many = FleetTable(fleet({"up": 400, "down": 100}), share)
    await many.page(TableQuery(sort=sort, size=20, page=2))
    assert len(made) == 20
    assert len(shares) >= 500 // fleet_table.LOOKS + 20 // fleet_table.MADE
