"""The pages that scrapers fetch, built before they come."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence

from exporter.metrics.catalog import Catalog
from exporter.pages.build_queue import INLINE_BYTES, timed
from exporter.pages.builds import PageBuilds
from exporter.pages.exposition import Exposition
from exporter.pages.page import Page
from exporter.pages.rhythm import Rhythm
from exporter.pages.scrapers import SOON_S
from exporter.pages.selection import WHOLE, Selection
from exporter.pages.selection_pages import CachedPage, SelectionPages

#: selections in the cache besides the whole page, and what their pages may take together
SELECTIONS_MAX, SELECTIONS_BYTES_MAX = 256, 64 * 1024 * 1024
#: the same of pages of one target
TARGET_PAGES_MAX, TARGET_BYTES_MAX = 64, 16 * 1024 * 1024
#: A page is built before it is expected to be fetched. Each lead is a time, and a number of times what the
#: last build took. The build begins between the first and the last lead, as soon as no poll runs.
FIRST_LEAD_S, FIRST_LEAD_BUILDS = 0.05, 3
LAST_LEAD_S, LAST_LEAD_BUILDS = 0.02, 2
QUIET_LOOK_S = 0.005


class PageCache:
    """Has pages ready for scrapers. If the store has changed, it builds a page just before its next expected
    scrape, for a scrape if the page is older than `min_interval_s`, and when a `redis_up` changes,
    `min_interval_s` after the page before at the soonest. `on_built` gets each page and the seconds that it
    took. `is_quiet` returns whether no poll runs, which a build waits for a little. Beside the whole page it
    has those of `selections_max` selections, of at most `selections_bytes_max` (`selection_pages`).
    """

    def __init__(
        self,
        exposition: Exposition,
        min_interval_s: float = 1.0,
        on_built: Callable[[Page, float], None] = lambda page, seconds: None,
        is_quiet: Callable[[], bool] = lambda: True,
        *,
        selections_max: int = SELECTIONS_MAX,
        selections_bytes_max: int = SELECTIONS_BYTES_MAX,
    ) -> None:
        self._exposition = exposition
        self._min_interval_s = min_interval_s
        self._on_built = on_built
        self._is_quiet = is_quiet
        self._whole = CachedPage(WHOLE, in_cache=True)
        self._others = SelectionPages(selections_max, selections_bytes_max, exposition.release)
        self._targets = SelectionPages(2 * TARGET_PAGES_MAX, TARGET_BYTES_MAX)  # one address has half of it
        self._builds = PageBuilds(exposition, on_built, self._end_build)
        #: how old the whole page was when it was requested last
        self.served_age_s = 0.0

    @property
    def whole(self) -> Page | None:
        """The newest whole page, for figures about it."""
        return self._whole.page

    async def page(
        self, selection: Selection = WHOLE, *, at_least: int = 0, scraper: Hashable = None
    ) -> Page:
        """What `fetch` finds. PageError if there is no page."""
        found = self.fetch(selection, at_least=at_least, scraper=scraper)
        return found if isinstance(found, Page) else await found

    def fetch(
        self, selection: Selection = WHOLE, *, at_least: int = 0, scraper: Hashable = None
    ) -> Page | Awaitable[Page]:
        """The newest finished page. It is a wait for a build if there is none, if it does not show the
        generation `at_least` of the store, or if it is old: just before a steady scraper comes, a little more
        than else. `scraper` distinguishes scrapers. The wait ends with a PageError if there is no page."""
        now = time.monotonic()
        cached = self._whole if selection == WHOLE else self._others.of(selection, scraper, now)
        if cached.in_cache and not self._builds.closed:
            self._note_scrape(cached, scraper, now)
        page = cached.page
        if page is None or page.generation < at_least:
            return self._served(cached, self._builds.of_generation(cached, at_least), now)
        is_soon = cached.scrapers.steady_after(now) - now <= SOON_S
        lasts_s = self._min_interval_s + (2 * SOON_S if is_soon else 0.0)
        if now - page.gathered_at > lasts_s and self._is_outdated(page):
            return self._served(cached, self._builds.newer(cached, page), now)
        self._note_age(cached, page, now)
        return page

    async def _served(self, cached: CachedPage, building: Awaitable[Page], asked_at: float) -> Page:
        page = await building
        self._note_age(cached, page, asked_at)
        return page

    def _note_age(self, cached: CachedPage, page: Page, asked_at: float) -> None:
        if cached is self._whole:
            self.served_age_s = max(0.0, asked_at - page.gathered_at)

    async def of_target(self, addr: str, *, plain: bool) -> Page:
        """What `fetch_target` finds."""
        found = self.fetch_target(addr, plain=plain)
        return found if isinstance(found, Page) else await found

    def fetch_target(self, addr: str, *, plain: bool) -> Page | Awaitable[Page]:
        """The page of one target. It is built on request and stays until one of its snapshots is replaced.
        The page of a target without snapshots does not stay: the target may be one that was just removed."""
        sources = self._exposition.sources(addr)
        selection = Selection(addr=addr, plain=plain)
        if not sources:
            return self._exposition.draft(selection).build()
        cached = self._targets.of(selection, None, time.monotonic())
        if cached.sources != sources:
            cached.sources = sources
            cached.page = cached.building = None  # a build that runs shows older ones
            cached.failed_at = -math.inf
        if cached.page is not None:
            return cached.page
        if cached.building is None and not self._builds.closed:
            draft = self._exposition.draft(cached.selection)
            if not draft.is_larger_than(INLINE_BYTES):
                cached.page, took_s = timed(draft)
                self._on_built(cached.page, took_s)
                return cached.page
        return self._builds.of_generation(cached, 0)

    # -- what others see

    @property
    def lead_s(self) -> float:
        """How long before the expected fetch of a page all polls should have ended."""
        return FIRST_LEAD_S + FIRST_LEAD_BUILDS * self._builds.build_s

    def rhythms(self, now: float) -> dict[Selection, dict[Hashable, Sequence[Rhythm]]]:
        """The rhythms of steady scrapers, by the page that they fetch."""
        found = {cached.selection: cached.scrapers.rhythms(now) for cached in (self._whole, *self._others)}
        return {selection: rhythms for selection, rhythms in found.items() if rhythms}

    def shows(self, selection: Selection, addr: str) -> bool:
        """Whether a target is on a page."""
        return self._exposition.shows(selection, addr)

    def current(self) -> set[Page]:
        """The newest page of each selection in the cache."""
        return {each.page for each in (self._whole, *self._others, *self._targets) if each.page is not None}

    def up_changed(self) -> None:
        """A target came, went, or changed its `redis_up`: scrapers should see that soon."""
        for cached in (self._whole, *self._others):
            if cached.building is not None:
                cached.again = True
            elif cached.timer is not None:
                self._hasten(cached)

    def show(self, catalog: Catalog) -> None:
        """Show these families from now on."""
        self._exposition.show(catalog)
        for cached in self._targets:
            self._targets.drop(cached)

    def forget(self, addr: str) -> None:
        """Drop what is cached of a target that was removed or has other labels."""
        for cached in self._targets:
            if cached.selection.addr == addr:
                self._targets.drop(cached)
        self._exposition.forget(addr)

    async def close(self) -> None:
        """Build no more. Requests that wait for a page go on without one."""
        for cached in (self._whole, *self._others, *self._targets):
            cached.rest()
        await self._builds.close()

    # -- when to build

    def _note_scrape(self, cached: CachedPage, scraper: Hashable, now: float) -> None:
        """Note that a scraper asks now, and be ready for the next one. A build that another scraper is about
        to need, or that a change of `redis_up` needs, is not put off."""
        cached.scrapers.note(scraper, now)
        after = now + self.lead_s
        if cached.timer is None or after < cached.scraped_at < math.inf:
            self._expect_next(cached, after)

    def _expect_next(self, cached: CachedPage, after: float) -> None:
        """Be ready for the first scrape that is expected after a moment."""
        scraped_at = cached.scrapers.expected_after(after)
        if scraped_at < math.inf:
            at_last = scraped_at - LAST_LEAD_S - LAST_LEAD_BUILDS * self._builds.build_s
            cached.set_timer(scraped_at - self.lead_s, scraped_at, self._build_ahead, at_last)

    def _hasten(self, cached: CachedPage) -> None:
        """Build as soon as the page is old enough, unless that is when a scrape is expected anyway."""
        moment = (cached.page.gathered_at if cached.page is not None else 0.0) + self._min_interval_s
        if cached.scraped_at > moment + self.lead_s:
            cached.set_timer(moment, math.inf, self._build_ahead, moment)

    def _build_ahead(self, cached: CachedPage, at_last: float) -> None:
        """Build now, or when no poll runs, but no later than `at_last`."""
        now = time.monotonic()
        if now + QUIET_LOOK_S < at_last and not self._is_quiet():
            cached.set_timer(now + QUIET_LOOK_S, cached.scraped_at, self._build_ahead, at_last)
            return
        cached.scrapers.forget_gone(now)
        if not cached.scrapers.habits:  # no scraper comes any more; the next one gets a new page
            cached.rest()
            cached.page = None
            if cached is not self._whole:
                self._others.drop(cached)
            return
        expected = cached.scraped_at < math.inf
        self._expect_next(cached, max(cached.scraped_at, now) if expected else at_last + self.lead_s)
        if cached.building is not None:  # it may show values from before the polls
            cached.due = self._exposition.store.generation
        elif cached.page is not None and self._is_outdated(cached.page):
            self._builds.start(cached)

    def _is_outdated(self, page: Page) -> bool:
        """Without targets no poll changes the store, and the page has the exporter's own series only."""
        store = self._exposition.store
        return page.generation != store.generation or store.is_empty

    def _end_build(self, cached: CachedPage) -> None:
        if cached.page is not None and cached is not self._whole:
            (self._others if cached.selection.addr is None else self._targets).trim(time.monotonic())
        if cached.again and cached.timer is not None:
            cached.again = False
            self._hasten(cached)
        if cached.page is not None and cached.page.generation < cached.due:
            self._builds.start(cached)
