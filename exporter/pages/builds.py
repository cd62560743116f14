"""Builds of cached pages: at most one of each page at once, and only as many at once as make sense."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

from exporter.errors import PageError
from exporter.pages.build_queue import BuildQueue, Rank
from exporter.pages.exposition import Exposition
from exporter.pages.page import Page
from exporter.pages.selection import WHOLE
from exporter.pages.selection_pages import CachedPage

#: builds that wait; beyond it, pages without a steady scraper are refused
WAITING_MAX = 256
#: how soon a build that was quicker than the ones before counts
BUILD_GAIN = 0.1
#: builds of one page that requests for fresh values cause are this far apart, in seconds and in builds
FRESH_GAP_S, FRESH_GAP_BUILDS = 0.1, 3
#: builds that a request for fresh values waits for: one that already runs, which may be too early, and the
#: next one
BUILDS_MAX = 2
#: how long a request waits for a newer page while there is an older one
NEWER_S = 1.0
#: a build that failed is tried again after this time
RETRY_S = 1.0

#: ranks of builds
_FIRST, _STEADY, _TARGET, _ODD = 0.0, 1.0, 2.0, 3.0

log = logging.getLogger(__name__)


class PageBuilds:
    """Puts the results of builds into their cached pages. `on_built` gets each page and the seconds that it
    took; `on_end` is called when a cached page has no build any more."""

    def __init__(
        self,
        exposition: Exposition,
        on_built: Callable[[Page, float], None],
        on_end: Callable[[CachedPage], None],
    ) -> None:
        self.closed = False
        #: how long a build is expected to take; bursts depend on it, so it changes slowly
        self.build_s = 0.0
        self._exposition = exposition
        self._on_built = on_built
        self._on_end = on_end
        self._builder = BuildQueue()
        self._building: dict[asyncio.Future[Page | None], CachedPage] = {}

    def start(self, cached: CachedPage) -> asyncio.Future[Page | None] | None:
        """Request a build. None: one has failed just now, or there are too many."""
        now = time.monotonic()
        if self.closed or now - cached.failed_at < RETRY_S:
            return None
        rank = self._rank(cached, now)
        if rank[0] == _ODD and self._builder.waiting >= WAITING_MAX:
            cached.failure = (
                "too many different pages are requested at once: ask again later, or for the whole page"
            )
            return None
        building: asyncio.Future[Page | None] = asyncio.get_running_loop().create_future()
        cached.building = building
        self._building[building] = cached
        self._builder.request(
            rank,
            lambda: self._exposition.gather(cached.selection),
            cached.page,
            lambda page, took_s, error: self._finish(cached, building, page, took_s, error),
        )
        return building

    async def of_generation(self, cached: CachedPage, at_least: int) -> Page:
        """A page that shows a generation; after a build that failed, the page that is there. PageError if
        there is none."""
        page = cached.page
        for _ in range(BUILDS_MAX):  # the second build at the latest begins after that generation
            if cached.building is None and page is not None:
                await asyncio.sleep(self.fresh_gap_s(page))
            building = cached.building or self.start(cached)
            built = await asyncio.shield(building) if building is not None else None
            if built is None:
                break
            page = built
            if page.generation >= at_least:
                return page
        if page is None:
            raise PageError(cached.failure or "the page could not be built")
        return page

    async def newer(self, cached: CachedPage, page: Page) -> Page:
        """For a scrape that was not expected now: a new page, or `page` if the build fails or has to wait."""
        building = cached.building or self.start(cached)
        if building is None:
            return page
        if not building.done():
            await asyncio.wait([building], timeout=NEWER_S)
        return (building.result() if building.done() else None) or page

    def fresh_gap_s(self, page: Page) -> float:
        """How long to wait before the next build for a request for fresh values. The number of such requests
        must not decide how often a page is built."""
        return page.gathered_at + max(FRESH_GAP_S, FRESH_GAP_BUILDS * self.build_s) - time.monotonic()

    async def close(self) -> None:
        """Build no more. Requests that wait for a page go on without one."""
        self.closed = True
        await self._builder.close()
        for building, cached in list(self._building.items()):
            self._finish(cached, building, None, 0.0, PageError("the program is stopping"))

    def _rank(self, cached: CachedPage, now: float) -> Rank:
        """Which build comes first: the whole page, then pages with steady scrapers, the oldest first. Among
        the others, those of an address that waits for fewer pages."""
        if cached.selection == WHOLE:
            return (_FIRST,)
        if cached.selection.addr is not None:
            return (_TARGET,)
        steady_since = cached.scrapers.steady_since(now)
        if steady_since < math.inf:
            return (_STEADY, steady_since)
        return (_ODD, sum(other.address == cached.address for other in self._building.values()))

    def _finish(
        self,
        cached: CachedPage,
        building: asyncio.Future[Page | None],
        page: Page | None,
        took_s: float,
        error: BaseException | None,
    ) -> None:
        """Store the page, unless a newer build has replaced this one; then wake those who wait for it."""
        if building.done():
            return
        del self._building[building]
        is_current = cached.building is building
        if is_current:
            cached.building = None
        if page is None:
            self._fail(cached, error)
        else:
            self.build_s = max(took_s, self.build_s + BUILD_GAIN * (took_s - self.build_s))
            if is_current:
                cached.page = page
                cached.failure = ""
            self._on_built(page, took_s)
        building.set_result(page)
        if is_current:
            self._on_end(cached)

    def _fail(self, cached: CachedPage, error: BaseException | None) -> None:
        cached.failed_at = time.monotonic()
        text = f"{type(error).__name__}: {error}"
        if not self.closed and text != cached.failure:
            log.error("a page could not be built", extra={"err": text})
        cached.failure = text
