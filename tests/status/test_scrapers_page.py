"""The page of those who scrape."""

from __future__ import annotations

import time

from aiohttp.test_utils import make_mocked_request

from exporter.status.answers import HEADERS
from exporter.status.asset_files import AssetFiles
from exporter.status.scraper_rows import NO_RHYTHM, ScraperReport, ScraperRow
from exporter.status.scrapers_page import REFUSALS, ScrapersPage
from exporter.status.templates import Templates
from exporter.web.incidents import REFUSING, RefusedRequest
from tests.status.members import no_share
from tests.status.test_overview import Reader


async def texts(report: ScraperReport) -> list[str]:
    class Table:
        def report(self) -> ScraperReport:
            return report

    templates = Templates({"version": "1.2.3", "asset": AssetFiles().path}, no_share)
    answer = await ScrapersPage(Table(), templates).scrapers(make_mocked_request("GET", "/scrapers"))
    assert answer.headers.items() >= HEADERS.items()
    return Reader(answer.text).texts  # type: ignore[attr-defined]


async def test_each_scraper_has_its_rhythm_and_the_age_that_it_gets() -> None:
    now = time.time()
    steady = ScraperRow(
        "10.0.0.9", "Prometheus/3.16", "/metrics", 42, now - 30_000, now - 10_900, 15.0, True, "", 0.25
    )
    new = ScraperRow("10.0.0.8", "<script>", "/scrape", 1, now, now, None, False, NO_RHYTHM, None)
    found = await texts(ScraperReport([steady, new], []))
    at = found.index("10.0.0.9")
    assert found[at : at + 8] == [
        "10.0.0.9",
        "Prometheus/3.16",
        "/metrics",
        "15 s",
        "in step",
        "250 ms",
        "42",
        "3 h ago",
    ]
    at = found.index("10.0.0.8")
    assert found[at : at + 6] == ["10.0.0.8", "<script>", "/scrape", "—", "no", NO_RHYTHM]
    assert "No request was refused." in found


async def test_refused_requests_say_what_the_number_means() -> None:
    now = time.time()
    refusals = [
        RefusedRequest(now - 18_100, "10.0.0.7", 401, "/metrics"),
        RefusedRequest(now - 400_000, "10.0.0.7", 403, ""),
    ]
    found = await texts(ScraperReport([], refusals))
    assert "Nobody has scraped yet." in found
    at = found.index("5 h ago")
    assert found[at : at + 5] == ["5 h ago", "10.0.0.7", "401", REFUSALS[401], "/metrics"]
    assert found[-5:] == ["5 d ago", "10.0.0.7", "403", REFUSALS[403], "another path"]


def test_every_status_that_is_noted_has_a_meaning() -> None:
    assert REFUSALS.keys() == REFUSING
