"""The pages that somebody asks for, put together ahead of the scrapes that fetch them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Hashable, Sequence

from exporter.errors import PageError
from exporter.pages.cached_pages import CachedPage, CachedPages
from exporter.pages.exposition import Exposition
from exporter.pages.page import Page
from exporter.pages.page_builder import INLINE_BYTES, PageBuilder, Rank, timed
from exporter.pages.rhythm import Rhythm
from exporter.pages.selection import WHOLE, Selection

#: selections that are kept besides the whole, and what their pages may take together
SELECTIONS_MAX, SELECTIONS_BYTES_MAX = 256, 64 * 1024 * 1024
#: the same of the pages of one target
TARGET_PAGES_MAX, TARGET_BYTES_MAX = 64, 16 * 1024 * 1024
#: builds that wait for their turn; beyond it, pages that nobody scrapes in a rhythm are refused
WAITING_MAX = 256
#: a page is begun so long before it is expected to be asked for, and some times what the last one took: as
#: soon as no poll is under way, from the first to the last of these leads
FIRST_LEAD_S, FIRST_LEAD_BUILDS = 0.05, 3
LAST_LEAD_S, LAST_LEAD_BUILDS = 0.02, 2
QUIET_LOOK_S = 0.005
#: how soon a build that was quicker than the ones before is believed
BUILD_GAIN = 0.1
#: builds that a request for fresh values may wait for: one under way, which may be too early, and the next
#: one
BUILDS_MAX = 2
#: builds of one page that requests for fresh values cause lie so far apart, in seconds and in builds
FRESH_GAP_S, FRESH_GAP_BUILDS = 0.1, 3
#: how long a request waits for a newer page while there is an older one
NEWER_S = 1.0
#: a build that failed is tried again after this time
RETRY_S = 1.0

log = logging.getLogger(__name__)


class PageCache:
    """Keeps pages for those who ask. A page is built just before its next expected scrape, for a scrape when
    it is older than `min_interval_s`, and when a `redis_up` changed, no sooner than `min_interval_s` after
    the one before; never twice at once, and only if the store has changed. `on_built` is told the page and
    the seconds it took; `is_quiet` tells whether no poll is under way, for which a build waits a little.

    Of other selections than the whole, the pages of `selections_max` are kept, as long as they take no more
    than `selections_bytes_max`: see the shelf."""

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
        self._whole = CachedPage(WHOLE, shelved=True)
        self._others = CachedPages(selections_max, selections_bytes_max, exposition.release)
        self._targets = CachedPages(
            2 * TARGET_PAGES_MAX, TARGET_BYTES_MAX
        )  # all of them are of one address: half of it
        self._workshop = PageBuilder()
        self._building: dict[asyncio.Future[Page | None], CachedPage] = {}
        self._closed = False
        self._build_s = 0.0  # what a build is expected to take: bursts go by it, and should not move about
        #: how old the page of everything was when it was last asked for
        self.served_age_s = 0.0

    @property
    def whole(self) -> Page | None:
        """The newest page of everything, for figures about it."""
        return self._whole.page

    async def page(self, selection: Selection = WHOLE, *, at_least: int = 0, reader: Hashable = None) -> Page:
        """The newest finished page. Waits for a build only if there is none that was kept up, or none that
        shows the store's generation `at_least`. `reader` is whatever tells those who ask apart. PageError if
        there is no page."""
        now = time.monotonic()
        kept = (
            self._whole
            if selection is WHOLE or selection == WHOLE
            else self._others.of(selection, reader, now)
        )
        if kept.shelved and not self._closed:
            kept.scrapers.note(reader, now)
            self._arm(kept, now)
        page = kept.page
        if page is None or page.generation < at_least:
            page = await self._built(kept, at_least)
        elif now - page.gathered_at > self._min_interval_s and self._is_outdated(page):
            page = await self._newer(kept, page)
        if kept is self._whole:
            self.served_age_s = max(0.0, now - page.gathered_at)
        return page

    async def of_target(self, addr: str, *, plain: bool) -> Page:
        """The page of one target, made when it is asked for and kept until one of its snapshots is
        replaced. That of a target without snapshots is not kept: it may have been removed just now."""
        sources = self._exposition.sources(addr)
        if not sources:
            return self._exposition.draft(Selection(addr=addr, plain=plain)).build()
        kept = self._targets.of(Selection(addr=addr, plain=plain), None, time.monotonic())
        if kept.sources != sources:
            kept.sources = sources
            kept.page = kept.building = None  # a build under way shows the ones before
            kept.failed_at = -math.inf
        if kept.page is not None:
            return kept.page
        if kept.building is None and not self._closed:
            draft = self._exposition.draft(kept.selection)
            if not draft.is_larger_than(INLINE_BYTES):
                kept.page, took_s = timed(draft)
                self._on_built(kept.page, took_s)
                return kept.page
        return await self._built(kept, 0)

    async def _built(self, kept: CachedPage, at_least: int) -> Page:
        """A page that shows a generation; after a build that failed the one there is, if there is one."""
        page = kept.page
        for _ in range(BUILDS_MAX):  # the second one at the latest begins after that generation
            if kept.building is None and page is not None:
                await asyncio.sleep(self._fresh_gap_s(page))
            building = kept.building or self._start(kept)
            built = await asyncio.shield(building) if building is not None else None
            if built is None:
                break
            page = built
            if page.generation >= at_least:
                return page
        if page is None:
            raise PageError(kept.failure or "the page could not be built")
        return page

    def _fresh_gap_s(self, page: Page) -> float:
        """How long to wait before the next build for a request for fresh values: their number must not
        decide how often one is."""
        return page.gathered_at + max(FRESH_GAP_S, FRESH_GAP_BUILDS * self._build_s) - time.monotonic()

    async def _newer(self, kept: CachedPage, page: Page) -> Page:
        """For a scrape that was not expected now: a build takes milliseconds, and needs no server. If it
        fails or has to wait for others, the page there is."""
        building = kept.building or self._start(kept)
        if building is None:
            return page
        if not building.done():
            await asyncio.wait([building], timeout=NEWER_S)
        return (building.result() if building.done() else None) or page

    @property
    def lead_s(self) -> float:
        """How long before a page is expected to be asked for all polls should have ended."""
        return FIRST_LEAD_S + FIRST_LEAD_BUILDS * self._build_s

    def rhythms(self, now: float) -> dict[Selection, dict[Hashable, Sequence[Rhythm]]]:
        """Whose scrapes can be foretold, by the page they ask for."""
        found = {kept.selection: kept.scrapers.rhythms(now) for kept in (self._whole, *self._others)}
        return {selection: rhythms for selection, rhythms in found.items() if rhythms}

    def shows(self, selection: Selection, addr: str) -> bool:
        """Whether a target is on a page."""
        return self._exposition.shows(selection, addr)

    def current(self) -> set[Page]:
        """The newest page of each selection that is kept."""
        return {kept.page for kept in (self._whole, *self._others, *self._targets) if kept.page is not None}

    def up_changed(self) -> None:
        """A target came up or went down: whoever asks should see it soon."""
        for kept in (self._whole, *self._others):
            if kept.building is not None:
                kept.again = True
            elif kept.timer is not None:
                self._hasten(kept)

    def forget(self, addr: str) -> None:
        """A target was removed."""
        for kept in self._targets:
            if kept.selection.addr == addr:
                self._targets.drop(kept)
        self._exposition.forget(addr)

    async def close(self) -> None:
        """Build no more. Those who wait for a page go on without one."""
        self._closed = True
        for kept in (self._whole, *self._others, *self._targets):
            kept.rest()
        await self._workshop.close()
        for building, kept in list(self._building.items()):
            self._finish(kept, building, None, 0.0, PageError("the program is stopping"))

    # -- when to build

    def _arm(self, kept: CachedPage, now: float) -> None:
        """Be ready for the next who is expected."""
        lead_s = self.lead_s
        moment = kept.scrapers.expected_after(now + lead_s)
        if moment < math.inf:
            self._arm_at(kept, moment - lead_s, moment - LAST_LEAD_S - LAST_LEAD_BUILDS * self._build_s)

    def _arm_at(self, kept: CachedPage, moment: float, at_last: float = 0.0) -> None:
        """Build at a moment, or after it when no poll is under way, but no later than `at_last`."""
        if kept.timer is not None:
            kept.timer.cancel()
        delay_s = max(0.0, moment - time.monotonic())
        kept.timer = asyncio.get_running_loop().call_later(delay_s, self._expect, kept, at_last)

    def _hasten(self, kept: CachedPage) -> None:
        """Build as soon as the page is old enough, whoever is expected."""
        gathered_at = kept.page.gathered_at if kept.page is not None else 0.0
        self._arm_at(kept, gathered_at + self._min_interval_s)

    def _expect(self, kept: CachedPage, at_last: float) -> None:
        now = time.monotonic()
        if now + QUIET_LOOK_S < at_last and not self._is_quiet():
            self._arm_at(kept, now + QUIET_LOOK_S, at_last)
            return
        kept.scrapers.forget_gone(now)
        if not kept.scrapers.habits:  # nobody comes any more; whoever does again gets a new one
            kept.rest()
            kept.page = None
            if kept is not self._whole:
                self._others.drop(kept)
            return
        self._arm(kept, now)
        if kept.building is None and kept.page is not None and self._is_outdated(kept.page):
            self._start(kept)

    def _is_outdated(self, page: Page) -> bool:
        return page.generation != self._exposition.store.generation

    # -- building

    def _start(self, kept: CachedPage) -> asyncio.Future[Page | None] | None:
        """Order a build. None if one has failed just now, or if there are too many."""
        now = time.monotonic()
        if self._closed or now - kept.failed_at < RETRY_S:
            return None
        rank = self._rank(kept, now)
        if rank[0] == _ODD and self._workshop.waiting >= WAITING_MAX:
            kept.failure = (
                "too many different pages are asked for at once: ask again later, or for the whole page"
            )
            return None
        building: asyncio.Future[Page | None] = asyncio.get_running_loop().create_future()
        kept.building = building
        self._building[building] = kept
        self._workshop.order(
            rank,
            lambda: self._exposition.gather(kept.selection),
            kept.page,
            lambda page, took_s, error: self._finish(kept, building, page, took_s, error),
        )
        return building

    def _rank(self, kept: CachedPage, now: float) -> Rank:
        """Whose build comes first: the whole, then those that are scraped in a rhythm, the oldest first; of
        the others, those of an address that waits for fewer."""
        if kept is self._whole:
            return (_FIRST,)
        if kept.selection.addr is not None:
            return (_TARGET,)
        steady_since = kept.scrapers.steady_since(now)
        if steady_since < math.inf:
            return (_STEADY, steady_since)
        return (_ODD, sum(other.address == kept.address for other in self._building.values()))

    def _finish(
        self,
        kept: CachedPage,
        building: asyncio.Future[Page | None],
        page: Page | None,
        took_s: float,
        error: BaseException | None,
    ) -> None:
        """Keep what was built, unless a newer build has taken its place; then let those who wait go on."""
        if building.done():
            return
        del self._building[building]
        current = kept.building is building
        if current:
            kept.building = None
        if page is None:
            self._fail(kept, error)
        else:
            self._build_s = max(took_s, self._build_s + BUILD_GAIN * (took_s - self._build_s))
            if current:
                kept.page = page
                kept.failure = ""
            self._on_built(page, took_s)
            if current and kept is not self._whole:
                (self._others if kept.selection.addr is None else self._targets).trim(time.monotonic())
        building.set_result(page)
        if kept.again and kept.timer is not None:
            kept.again = False
            self._hasten(kept)

    def _fail(self, kept: CachedPage, error: BaseException | None) -> None:
        kept.failed_at = time.monotonic()
        text = f"{type(error).__name__}: {error}"
        if not self._closed and text != kept.failure:
            log.error("a page could not be built: %s", text)
        kept.failure = text


#: ranks of builds
_FIRST, _STEADY, _TARGET, _ODD = 0.0, 1.0, 2.0, 3.0
