"""Who scrapes the exporter, how old the values are that each gets, and whose requests were refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from exporter.fleet.alignment import Rhythms, scraper_name
from exporter.pages.rhythm import Rhythm, intervals_in
from exporter.pages.selection import Selection
from exporter.web.incidents import RefusedRequest
from exporter.web.scrape_log import ScraperVisits

#: names of families that a path shows
NAMES_SHOWN = 3

SPREAD = "--poll.align=off: polls do not follow scrapers"
NO_RHYTHM = "it did not come three times in a row at equal distances yet"
NO_FIT = "it comes every {period_s:g} s, which does not fit the polling interval of {interval_s:g} s"
TOO_MANY = "the page shows no target, or more than can be polled in a short time just before a scrape"


@dataclass(frozen=True, slots=True)
class ScraperRow:
    """One program at one address that scrapes one path; it chooses `agent` itself. Moments (`first_seen`,
    `last_seen`) are wall-clock seconds. `interval_s` is None while it has no rhythm. `is_in_step`: its
    targets are polled just before it comes; if not, `why_not` says why. `expected_age_s` is the age of the
    oldest values that it will find, None if that is not known.
    """

    address: str
    agent: str
    path: str
    requests: int
    first_seen: float
    last_seen: float
    interval_s: float | None
    is_in_step: bool
    why_not: str
    expected_age_s: float | None


@dataclass(frozen=True, slots=True)
class ScraperReport:
    """Who was seen last is first in `scrapers`, the newest is first in `refusals`."""

    scrapers: Sequence[ScraperRow]
    refusals: Sequence[RefusedRequest]


@dataclass(frozen=True, slots=True)
class ScraperSources:
    """What is known of scrapers. `visits` and `refusals` have the newest first; `rhythms` are those at a
    monotonic moment, by page; `expected_ages_s` is by the name of a scraper. `aligns`: whether polls follow
    scrapers."""

    visits: Callable[[], Sequence[ScraperVisits]]
    refusals: Callable[[], Sequence[RefusedRequest]]
    rhythms: Callable[[float], Rhythms]
    expected_ages_s: Callable[[], Mapping[str, float]]
    interval_s: Callable[[], float]
    telemetry_path: str
    aligns: bool


class ScraperTable:
    """Makes the report. It is small: what it is made of is bounded."""

    def __init__(self, sources: ScraperSources) -> None:
        self._sources = sources

    def report(self) -> ScraperReport:
        sources, now = self._sources, time.monotonic()
        rhythms, ages_s = sources.rhythms(now), sources.expected_ages_s()
        rows = [self._row(visits, rhythms, ages_s, now) for visits in sources.visits()]
        return ScraperReport(rows, sources.refusals())

    def _row(
        self, visits: ScraperVisits, rhythms: Rhythms, ages_s: Mapping[str, float], now: float
    ) -> ScraperRow:
        scraper, selection = visits.scraper, visits.selection
        if selection is None:
            visits.history.forget(now)
            own, path = visits.history.rhythms, "/scrape"
        else:
            own = list(rhythms.get(selection, {}).get(scraper, ()))
            path = self._sources.telemetry_path + selection_text(selection)
        age_s = ages_s.get(scraper_name(scraper, selection)) if selection is not None else None
        why_not = self._why_not(own, is_met=selection is None or age_s is not None)
        return ScraperRow(
            address=scraper.address,
            agent=scraper.program,
            path=path,
            requests=visits.requests,
            first_seen=visits.first_at,
            last_seen=visits.last_at,
            interval_s=min((rhythm.period_s for rhythm in own), default=None),
            is_in_step=not why_not,
            why_not=why_not,
            expected_age_s=None if age_s is None else max(0.0, age_s),
        )

    def _why_not(self, rhythms: Sequence[Rhythm], *, is_met: bool) -> str:
        """Why polls do not follow these rhythms; "" if they do."""
        interval_s = self._sources.interval_s()
        if not self._sources.aligns:
            return SPREAD
        if not rhythms:
            return NO_RHYTHM
        if not any(intervals_in(rhythm, interval_s) for rhythm in rhythms):
            period_s = min(rhythm.period_s for rhythm in rhythms)
            return NO_FIT.format(period_s=round(period_s, 2), interval_s=interval_s)
        return "" if is_met else TOO_MANY


def selection_text(selection: Selection) -> str:
    """The parameters that ask for a page: `?part=0/2`, or "" for the whole one."""
    asked = (("part", selection.part), ("group", selection.group))
    pairs = [(name, text) for name, text in asked if text is not None]
    names = sorted(selection.names or ())
    pairs += [("name[]", name) for name in names[:NAMES_SHOWN]]
    more = len(names) - NAMES_SHOWN
    text = urlencode(pairs, safe="/[]")
    return f"?{text}{f' and {more} more names' if more > 0 else ''}" if pairs else ""
