"""Who scrapes is remembered, within bounds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from exporter.pages.scrapers import Scraper
from exporter.pages.selection import WHOLE, Selection
from exporter.web import scrape_log
from exporter.web.scrape_log import ADDRESS_MAX, SAMPLE_S, SCRAPERS_MAX, ScrapeLog

PROMETHEUS = Scraper("10.0.0.1", "Prometheus/3.0")


class Clock:
    """The time of both clocks, which a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        fake = SimpleNamespace(time=lambda: 5000.0 + self.now, monotonic=lambda: self.now)
        monkeypatch.setattr(scrape_log, "time", fake)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_each_path_of_a_scraper_is_counted_by_itself_and_the_last_one_is_first(clock: Clock) -> None:
    log = ScrapeLog()
    blue = Selection(group="blue")
    for selection in (WHOLE, blue, WHOLE):
        clock.now += 1
        log.note(PROMETHEUS, selection)
    found = [(each.selection, each.requests, each.first_at, each.last_at) for each in log.visits()]
    assert found == [(WHOLE, 2, 6001.0, 6003.0), (blue, 1, 6002.0, 6002.0)]


def test_one_target_shows_the_rhythm_of_scrapes_of_many(clock: Clock) -> None:
    log = ScrapeLog()
    for _ in range(4):
        for target in ("a", "b", "c"):
            log.note(PROMETHEUS, None, target)
            clock.now += 1
        clock.now += 12
    (visits,) = log.visits()
    assert (visits.requests, visits.sample) == (12, "a")
    assert [rhythm.period_s for rhythm in visits.history.rhythms] == [pytest.approx(15.0)]


def test_a_target_that_is_scraped_no_more_is_replaced(clock: Clock) -> None:
    log = ScrapeLog()
    log.note(PROMETHEUS, None, "a")
    clock.now += SAMPLE_S - 1
    log.note(PROMETHEUS, None, "b")
    assert log.visits()[0].sample == "a"
    clock.now += 2
    log.note(PROMETHEUS, None, "b")
    assert log.visits()[0].sample == "b"


def test_strangers_make_room_for_each_other() -> None:
    log = ScrapeLog()
    for number in range(1000):
        log.note(Scraper(f"10.0.{number % 7}.1", f"agent {number}"), WHOLE)
    assert len(log.visits()) == SCRAPERS_MAX
    assert log.visits()[0].scraper.program == "agent 999"


def test_one_address_does_not_push_out_others() -> None:
    log = ScrapeLog()
    log.note(PROMETHEUS, WHOLE)
    for number in range(1000):
        log.note(Scraper("10.6.6.6", f"agent {number}"), WHOLE)
    visits = log.visits()
    assert len(visits) == ADDRESS_MAX + 1
    assert visits[-1].scraper is PROMETHEUS
