"""Who scrapes, and why polls do not follow."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from exporter.fleet.alignment import scraper_name
from exporter.pages.rhythm import Rhythm
from exporter.pages.scrapers import Scraper
from exporter.pages.selection import WHOLE, Selection
from exporter.status.scraper_rows import (
    NO_RHYTHM,
    SPREAD,
    TOO_MANY,
    ScraperRow,
    ScraperSources,
    ScraperTable,
    selection_text,
)
from exporter.web.incidents import RefusedRequest
from exporter.web.scrape_log import ScraperVisits

PROMETHEUS = Scraper("10.0.0.1", "Prometheus/3.0")
INTERVAL_S = 5.0


def row(
    selection: Selection | None = WHOLE, period_s: float = 0.0, age_s: float | None = None, **sources: object
) -> ScraperRow:
    """The row of one scraper with this rhythm, which will find values of this age."""
    visits = ScraperVisits(PROMETHEUS, selection, 100.0, 200.0, 7)
    rhythms = [Rhythm(time.monotonic(), period_s)] if period_s else []
    if selection is None:
        visits.history.rhythms = rhythms
    page = selection or WHOLE
    given = ScraperSources(
        visits=lambda: [visits],
        refusals=list,
        rhythms=lambda now: {page: {PROMETHEUS: rhythms}} if rhythms else {},
        expected_ages_s=lambda: {} if age_s is None else {scraper_name(PROMETHEUS, page): age_s},
        interval_s=lambda: INTERVAL_S,
        telemetry_path="/metrics",
        aligns=True,
    )
    (found,) = ScraperTable(replace(given, **sources)).report().scrapers  # type: ignore[arg-type]
    return found


def test_in_step() -> None:
    assert row(period_s=15.0, age_s=0.2) == ScraperRow(
        "10.0.0.1", "Prometheus/3.0", "/metrics", 7, 100.0, 200.0, 15.0, True, "", 0.2
    )


@pytest.mark.parametrize(
    ("found", "why_not"),
    [
        (row(), NO_RHYTHM),
        (row(period_s=7.0, age_s=1.0), "it comes every 7 s, which does not fit the polling interval of 5 s"),
        (row(period_s=15.0), TOO_MANY),
        (row(period_s=15.0, age_s=0.2, aligns=False), SPREAD),
        (row(None), NO_RHYTHM),
    ],
)
def test_not_in_step(found: ScraperRow, why_not: str) -> None:
    assert (found.is_in_step, found.why_not) == (False, why_not)


def test_of_single_targets() -> None:
    found = row(None, period_s=10.0)
    assert (found.path, found.interval_s, found.is_in_step, found.expected_age_s) == (
        "/scrape",
        10.0,
        True,
        None,
    )


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (WHOLE, ""),
        (Selection(slice=(0, 20)), "?part=0/20"),
        (Selection(own=True), "?part=own"),
        (Selection(group="a&b <c>"), "?group=a%26b+%3Cc%3E"),
        (Selection(names=frozenset({"redis_up", "a"})), "?name[]=a&name[]=redis_up"),
        (Selection(names=frozenset("abcde")), "?name[]=a&name[]=b&name[]=c and 2 more names"),
    ],
)
def test_a_path_says_what_is_asked_for(selection: Selection, text: str) -> None:
    assert selection_text(selection) == text
    assert row(selection).path == f"/metrics{text}"


def test_refused_requests() -> None:
    table = ScraperTable(
        ScraperSources(
            list,
            lambda: [RefusedRequest(9.0, "10.0.0.9", 401, "/scrape")],
            lambda now: {},
            dict,
            float,
            "/metrics",
            True,
        )
    )
    (refusal,) = table.report().refusals
    assert (refusal.at, refusal.address, refusal.status, refusal.path) == (9.0, "10.0.0.9", 401, "/scrape")
