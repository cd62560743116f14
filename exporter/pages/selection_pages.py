"""The pages of selections, and which of them stay in the cache.

Anybody can ask for any selection. So the number of pages is bounded, in all and for each address, and so is
the memory that they take. A page with a steady scraper never makes room for others; of the rest, the one that
was unused for the longest time does.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from exporter.metrics.store import Snapshot
from exporter.pages.page import Page
from exporter.pages.scrapers import Scrapers, address_of
from exporter.pages.selection import Selection


@dataclass(slots=True, eq=False)
class CachedPage:
    """The newest page of one selection, and its scrapers. `sources` are what the page of one target
    shows.

    `building` ends once, with the page or with None. It is cleared in the same step, so those who wait find
    what is new.
    """

    selection: Selection
    scrapers: Scrapers = field(default_factory=Scrapers)
    page: Page | None = None
    building: asyncio.Future[Page | None] | None = None
    again: bool = False  # a `redis_up` changed while it was built
    due: int = 0  # the store's generation when a build had to begin and another one ran
    timer: asyncio.TimerHandle | None = None  # the next build ahead
    scraped_at: float = math.inf  # the scrape that it is for; infinity: a `redis_up` changed
    sources: tuple[Snapshot, ...] = ()
    failed_at: float = -math.inf
    failure: str = ""
    address: Hashable = None  # of the newest scraper
    in_cache: bool = False  # it may be built ahead

    def rest(self) -> None:
        """Build it ahead no longer."""
        self.scrapers.habits.clear()
        self.again = False
        self.due = 0
        self.stop_timer()

    def set_timer(
        self, moment: float, scraped_at: float, build: Callable[[CachedPage, float], None], at_last: float
    ) -> None:
        """Let `build` take it at a (monotonic) moment."""
        self.stop_timer()
        self.scraped_at = scraped_at
        delay_s = max(0.0, moment - time.monotonic())
        self.timer = asyncio.get_running_loop().call_later(delay_s, build, self, at_last)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class SelectionPages:
    """`on_drop` gets each selection that leaves the cache."""

    def __init__(
        self, count_max: int, bytes_max: int, on_drop: Callable[[Selection], None] = lambda selection: None
    ) -> None:
        self._count_max = count_max
        self._address_max = max(1, count_max // 2)
        self._bytes_max = bytes_max
        self._on_drop = on_drop
        self._pages: OrderedDict[Selection, CachedPage] = OrderedDict()  # least recently used first

    def __iter__(self) -> Iterator[CachedPage]:
        return iter(list(self._pages.values()))

    def __len__(self) -> int:
        return len(self._pages)

    def of(self, selection: Selection, scraper: Hashable, now: float) -> CachedPage:
        """The page of a selection, new if there is none yet. If there is no room, it does not stay in the
        cache."""
        cached = self._pages.get(selection)
        address = address_of(scraper)
        if cached is None:
            cached = CachedPage(selection)
            if self._make_room(address, now):
                cached.in_cache = True
                self._pages[selection] = cached
        else:
            self._pages.move_to_end(selection)
        cached.address = address
        return cached

    def drop(self, cached: CachedPage) -> None:
        cached.rest()
        cached.in_cache = False
        if self._pages.get(cached.selection) is cached:
            del self._pages[cached.selection]
        self._on_drop(cached.selection)

    def _make_room(self, address: Hashable, now: float) -> bool:
        if len(self._pages) < self._address_max:
            return True
        own = [cached for cached in self._pages.values() if cached.address == address]
        if len(own) >= self._address_max:
            candidates = own
        elif len(self._pages) >= self._count_max:
            candidates = list(self._pages.values())
        else:
            return True
        for cached in candidates:
            if cached.scrapers.steady_since(now) == math.inf:
                self.drop(cached)
                return True
        return False

    def trim(self, now: float) -> None:
        """Drop pages, but not their scrapers, until all together take no more memory than they may."""
        size = sum(cached.page.size for cached in self._pages.values() if cached.page is not None)
        if size <= self._bytes_max:
            return
        # the last to go is the page whose steady scraper has come for the longest time
        for cached in sorted(self._pages.values(), key=lambda cached: -cached.scrapers.steady_since(now)):
            if cached.page is not None and size > self._bytes_max:
                size -= cached.page.size
                cached.page = None
