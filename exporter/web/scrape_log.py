"""Who scrapes, with which path, and how often.

Anybody can ask, under any name and for any path, so the memory is bounded: in all, and for each address. Who
was not seen for the longest time makes room.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from exporter.pages.rhythm import ArrivalHistory
from exporter.pages.scrapers import Scraper
from exporter.pages.selection import Selection

#: scrapers that are remembered, and those of them at one address
SCRAPERS_MAX, ADDRESS_MAX = 64, 16
#: a target whose scrapes show the rhythm of a scraper is replaced if it was not scraped for this long
SAMPLE_S = 900.0


@dataclass(slots=True, eq=False)
class ScraperVisits:
    """How often one scraper came. `selection` is the page it asks for; None for single targets. `first_at`
    and `last_at` are wall-clock seconds. `history` is of one target, `sample`, if it asks for single ones."""

    scraper: Scraper
    selection: Selection | None
    first_at: float
    last_at: float
    requests: int = 0
    sample: str = ""
    sampled_at: float = 0.0  # monotonic
    history: ArrivalHistory = field(default_factory=ArrivalHistory)


class ScrapeLog:
    """The newest scrapers."""

    def __init__(self) -> None:
        #: least recently seen first
        self._visits: OrderedDict[tuple[Scraper, Selection | None], ScraperVisits] = OrderedDict()

    def visits(self) -> Sequence[ScraperVisits]:
        """Who came last is first."""
        return list(reversed(self._visits.values()))

    def note(self, scraper: Scraper, selection: Selection | None, target: str = "") -> None:
        """Note a scrape of a page, or of one `target`."""
        wall, key = time.time(), (scraper, selection)
        visits = self._visits.get(key)
        if visits is None:
            self._make_room(scraper.address)
            visits = self._visits[key] = ScraperVisits(scraper, selection, wall, wall)
        else:
            self._visits.move_to_end(key)
        visits.requests += 1
        visits.last_at = wall
        if target:
            _note_target(visits, target, time.monotonic())

    def _make_room(self, address: str) -> None:
        own = [key for key in self._visits if key[0].address == address]
        if len(own) >= ADDRESS_MAX:
            del self._visits[own[0]]
        elif len(self._visits) >= SCRAPERS_MAX:
            del self._visits[next(iter(self._visits))]


def _note_target(visits: ScraperVisits, target: str, now: float) -> None:
    if visits.sample != target:
        if visits.sample and now - visits.sampled_at < SAMPLE_S:
            return
        visits.sample, visits.history = target, ArrivalHistory()
    visits.sampled_at = now
    visits.history.arrive(now)
