"""The page at `/`: what it shows of targets, and how large it gets."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from aiohttp.test_utils import make_mocked_request

from exporter.errors import RequestError
from exporter.status.answers import HEADERS
from exporter.status.asset_files import AssetFiles
from exporter.status.fleet_table import FleetTable
from exporter.status.overview import COLUMNS, ORDERS, Link, OverviewPage, _numbers, usual_limits
from exporter.status.rows import LaneAge
from exporter.status.table_query import SORTS
from exporter.status.templates import Templates
from exporter.targets.path_names import names_meant
from tests.status.members import Members, fleet, no_share
from tests.status.test_row_texts import row

LINKS = (Link("metrics", "/metrics", "all targets"), Link('"><script>', "/<script>", "<script>"))
VOID = {"meta", "link", "img", "input", "col"}
OPTIONAL_END = {"li", "option", "p", "tr", "td", "th", "thead", "tbody"}
PAGE_BYTES = 50_000


class Reader(HTMLParser):
    """Sees that what is opened is closed, and keeps texts and links by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not any(name == "style" or name.startswith("on") for name, _ in attrs), "the policy forbids it"
        if tag not in VOID | OPTIONAL_END:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in OPTIONAL_END:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += [text] if (text := " ".join(data.split())) else []


Ask = Callable[..., Awaitable[str]]


async def ask(members: Members, query: str = "") -> str:
    """The page of this query."""
    templates = Templates({"version": "1.2.3", "asset": AssetFiles().path}, no_share)
    page = OverviewPage(FleetTable(members, no_share), templates, LINKS)
    answer = await page.overview(make_mocked_request("GET", f"/{query}"))
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert answer.headers.items() >= HEADERS.items()
    text = answer.text  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def names_in(text: str) -> list[str]:
    return [
        names_meant(unquote(link.removeprefix("targets/")))[0]
        for link in Reader(text).links
        if link.startswith("targets/")
    ]


async def test_counts_are_links_that_filter() -> None:
    members = fleet({"up": 3, "down": 1, "stale": 2, "unknown": 1})
    text = await ask(members)
    assert "<title>Redis Exporter</title>" in text
    assert "redpoll 1.2.3" in text
    found = re.findall(r'<a href="(\?[^"]*)"[^>]*><b>(\d+)</b>(?:<span[^>]*>)?(\w+)', text)
    assert found == [
        ("?", "7", "targets"),
        ("?state=down", "1", "down"),
        ("?state=unknown", "1", "unknown"),
        ("?state=stale", "2", "stale"),
        ("?state=up", "5", "up"),
    ]
    assert names_in(await ask(members, "?state=stale")) == ["stale 0000", "stale 0001"]


async def test_the_worst_are_first_and_say_what_is_wrong() -> None:
    text = await ask(fleet({"up": 1, "stale": 1, "down": 1, "paused": 1}))
    assert names_in(text) == ["down 0000", "stale 0000", "paused 0000", "up 0000"]
    texts = Reader(text).texts
    assert "refused" in texts
    assert "down-0000:6379: nobody listens" in texts
    assert "redis://down-0000:6379" in texts
    at = texts.index("stale 0000")
    assert texts[at - 2] == "stale"
    assert texts[at - 1].endswith(" ago")


async def test_without_targets_it_says_so() -> None:
    assert "There is no target yet." in await ask(Members())
    assert "No target fits." in await ask(fleet({"up": 1}), "?q=nothing")


@pytest.mark.parametrize("query", ["?state=dead", "?sort=size", "?page=0", "?page=x"])
async def test_what_cannot_be_read_says_what_to_write(query: str) -> None:
    with pytest.raises(RequestError, match="write "):
        await ask(Members(), query)


async def test_a_long_table_has_pages() -> None:
    members = fleet({"up": 250})
    text = await ask(members, "?q=up&page=2&sort=name")
    reader = Reader(text)
    assert "101 to 200 of 250" in reader.texts
    assert {"?q=up&sort=name", "?q=up&sort=name&page=3"} <= {link for link in reader.links if "q=up" in link}
    assert names_in(text)[0] == "up 0100"


@pytest.mark.parametrize(
    ("page", "pages", "numbers"),
    [(1, 1, [1]), (1, 3, [1, 2, 3]), (10, 20, [1, 0, 8, 9, 10, 11, 12, 0, 20]), (20, 20, [1, 0, 18, 19, 20])],
)
def test_pages_that_are_linked(page: int, pages: int, numbers: list[int]) -> None:
    assert _numbers(page, pages) == numbers


async def test_a_heading_sorts_and_sorts_back() -> None:
    members = fleet({"up": 1})
    assert 'aria-sort="descending"' in await ask(members, "?sort=series")
    text = await ask(members, "?sort=name")
    assert 'aria-sort="ascending"' in text
    links = Reader(text).links
    assert {"?sort=-name", "?sort=series", "?sort=age"} <= set(links)
    assert 'value="-name" selected' in await ask(members, "?sort=-name")
    assert "aria-sort" not in await ask(members)


def test_all_that_the_table_sorts_by_can_be_chosen() -> None:
    assert set(ORDERS) == set(SORTS)
    assert {column.sort for column in COLUMNS} <= set(SORTS)


async def test_a_page_of_2000_targets_that_are_down_is_small() -> None:
    members = fleet({"down": 1990, "up": 10})
    for watched in members.watched.values():
        watched.health.error_text = "no answer within 5 s: " + "long " * 200
    text = await ask(members)
    assert len(names_in(text)) == 100
    assert len(text.encode()) <= PAGE_BYTES


HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "a/b?c#d%2Fe&amp;",
    "\u202egpj.exe",
    "{{ 7 * 7 }}",
    "x" * 1000,
    "\U0001d54f" * 1000,
    "..",
    ".",
]


async def test_hostile_names_stay_texts() -> None:
    members = Members()
    for number, name in enumerate(HOSTILE):
        members.add(f"host-{number}", "down", alias=name, labels=((name[:50], name),))
    text = await ask(members)
    reader = Reader(text)
    assert "script" not in reader.tags[reader.tags.index("body") :]
    assert reader.tags.count("img") == 1
    assert len(text.encode()) <= PAGE_BYTES
    linked = names_in(text)
    assert len(linked) == len(HOSTILE)
    for name, watched in zip(HOSTILE, members.watched.values(), strict=True):
        assert linked.count(name) + linked.count(watched.target.addr.removeprefix("redis://")) == 1


def test_the_limit_of_most_rows_is_said_once() -> None:
    usual, own = LaneAge("fast", 1.0, 16.0, False), LaneAge("fast", 1.0, 60.0, False)
    rows = [row(lanes=(each,)) for each in (own, usual, usual)]
    assert usual_limits(rows) == {"fast": 16.0}
