"""The pages that somebody asks for, put together ahead of the scrapes that fetch them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from exporter.cadence import Cadence, Rhythm
from exporter.exposition import WHOLE, Draft, Exposition, Page, Selection
from exporter.model import Snapshot

#: a page of less is made at once: handing it to the thread would take longer
INLINE_BYTES = 128 * 1024
#: how many different selections are kept besides the whole, pages of one target, and readers of a page
PAGES_MAX, TARGET_PAGES_MAX, READERS_MAX = 64, 64, 16
GAP_MIN_S, GAP_MAX_S, GAP_DEFAULT_S = 1.0, 300.0, 60.0
#: a page is kept up for so many of its readers' intervals
ASKED_GAPS = 3
#: a page is begun so long before it is expected to be asked for, and some times what the last one took: as soon as no poll
#: is under way, from the first to the last of these leads
FIRST_LEAD_S, FIRST_LEAD_BUILDS = 0.05, 3
LAST_LEAD_S, LAST_LEAD_BUILDS = 0.02, 2
QUIET_LOOK_S = 0.005
#: how soon a build that was quicker than the ones before is believed
BUILD_GAIN = 0.1

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Reader:
    """One who asks for a page, and how often: in a rhythm, or else by his last gaps. Two of those are kept, and expected in
    turn: so one who comes in pairs is expected as he comes, and not at the shorter gap all the time."""

    asked_at: float
    gap_s: float = GAP_DEFAULT_S
    gap_before_s: float = GAP_DEFAULT_S
    cadence: Cadence = field(default_factory=Cadence)

    def __post_init__(self) -> None:
        self.cadence.arrive(self.asked_at)

    def ask(self, now: float) -> None:
        self.cadence.arrive(now)
        self.gap_before_s = self.gap_s
        self.gap_s = min(max(now - self.asked_at, GAP_MIN_S), GAP_MAX_S)
        self.asked_at = now

    def has_gone(self, now: float) -> bool:
        return now - self.asked_at > ASKED_GAPS * max(self.gap_s, self.gap_before_s)

    def expected_after(self, moment: float) -> float:
        """When he comes next, after `moment`."""
        if self.cadence.rhythms:
            return min(rhythm.next_after(moment) for rhythm in self.cadence.rhythms)
        both_s = self.gap_before_s + self.gap_s
        begun = self.asked_at + int((moment - self.asked_at) / both_s) * both_s
        first = begun + self.gap_before_s
        return first if first > moment else begun + both_s


@dataclass(slots=True, eq=False)
class _Kept:
    """One selection's newest page, and who asks for it. Of one target's page, the snapshots that it shows."""

    page: Page | None = None
    building: asyncio.Task[Page] | None = None
    again: bool = False  # a `redis_up` changed while it was built
    readers: OrderedDict[Hashable, _Reader] = field(default_factory=OrderedDict)
    timer: asyncio.TimerHandle | None = None
    sources: tuple[Snapshot, ...] = ()
    took_s: float = 0.0  # the newest build

    def note(self, reader: Hashable, now: float) -> None:
        known = self.readers.get(reader)
        if known is None:
            self.readers[reader] = _Reader(now)
            if len(self.readers) > READERS_MAX:
                self.readers.popitem(last=False)
        else:
            known.ask(now)
            self.readers.move_to_end(reader)

    def rest(self) -> None:
        """Keep it up no longer."""
        self.readers.clear()
        self.again = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Pages:
    """Keeps pages for those who ask. A page is built just before its next expected scrape, for a scrape when it is older
    than `min_interval_s`, and when a `redis_up` changed, no sooner than
    `min_interval_s` after the one before; never twice at once, and only if the store has changed. `on_built` is told the
    page and the seconds it took; `is_quiet` tells whether no poll is under way, for which a build waits a little."""

    def __init__(
        self,
        exposition: Exposition,
        min_interval_s: float = 1.0,
        on_built: Callable[[Page, float], None] = lambda page, seconds: None,
        is_quiet: Callable[[], bool] = lambda: True,
    ) -> None:
        self._exposition = exposition
        self._min_interval_s = min_interval_s
        self._on_built = on_built
        self._is_quiet = is_quiet
        self._whole = _Kept()
        self._others: OrderedDict[Selection, _Kept] = OrderedDict()
        self._targets: OrderedDict[Selection, _Kept] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._build_s = 0.0  # what a build is expected to take: bursts go by it, and should not move about
        #: how old the page of everything was when it was last asked for
        self.served_age_s = 0.0

    @property
    def whole(self) -> Page | None:
        """The newest page of everything, for figures about it."""
        return self._whole.page

    async def page(self, selection: Selection = WHOLE, *, at_least: int = 0, reader: Hashable = None) -> Page:
        """The newest finished page. Waits for a build only if there is none that was kept up, or none that shows the
        store's generation `at_least`. `reader` is whatever tells those who ask apart."""
        now = time.monotonic()
        kept = self._whole if selection == WHOLE else _of(self._others, selection, PAGES_MAX)
        kept.note(reader, now)
        self._arm(selection, kept, now)
        page = kept.page
        if page is not None and now - page.gathered_at > self._min_interval_s and self._is_outdated(page):
            page = await self._newer(selection, kept, page)
        while page is None or page.generation < at_least:
            # the second round at the latest begins after that generation
            page = await asyncio.shield(kept.building or self._start(selection, kept))
        if kept is self._whole:
            self.served_age_s = max(0.0, now - page.gathered_at)
        return page

    async def _newer(self, selection: Selection, kept: _Kept, page: Page) -> Page:
        """For one who was not expected now: a build takes milliseconds, and needs no server. If it fails, the page there is."""
        task = kept.building or self._start(selection, kept)
        await asyncio.wait([task])
        return page if task.cancelled() or task.exception() is not None else task.result()

    async def of_target(self, addr: str, *, plain: bool) -> Page:
        """The page of one target, made when it is asked for and kept until one of its snapshots is replaced."""
        selection = Selection(addr=addr, plain=plain)
        sources = self._exposition.sources(addr)
        kept = _of(self._targets, selection, TARGET_PAGES_MAX)
        if kept.sources != sources:
            kept.sources = sources
            kept.page = kept.building = None
        if kept.page is not None:
            return kept.page
        if kept.building is None:
            draft = self._exposition.draft(selection)
            if not draft.is_larger_than(INLINE_BYTES):
                kept.page, took_s = _timed(draft)
                self._on_built(kept.page, took_s)
                return kept.page
            self._start(selection, kept, draft)
        assert kept.building is not None
        return await asyncio.shield(kept.building)

    @property
    def lead_s(self) -> float:
        """How long before a page is expected to be asked for all polls should have ended."""
        return FIRST_LEAD_S + FIRST_LEAD_BUILDS * self._build_s

    def rhythms(self, now: float) -> dict[Selection, dict[Hashable, Sequence[Rhythm]]]:
        """Whose scrapes can be foretold, by the page they ask for."""
        found: dict[Selection, dict[Hashable, Sequence[Rhythm]]] = {}
        for selection, kept in [(WHOLE, self._whole), *self._others.items()]:
            for reader, habit in kept.readers.items():
                habit.cadence.forget(now)
                if habit.cadence.rhythms:
                    found.setdefault(selection, {})[reader] = habit.cadence.rhythms
        return found

    def shows(self, selection: Selection, addr: str) -> bool:
        """Whether a target is on a page."""
        return self._exposition.shows(selection, addr)

    def up_changed(self) -> None:
        """A target came up or went down: whoever asks should see it soon."""
        for selection, kept in [(WHOLE, self._whole), *self._others.items()]:
            if kept.building is not None:
                kept.again = True
            elif kept.timer is not None:
                self._hasten(selection, kept)

    def forget(self, addr: str) -> None:
        """A target was removed."""
        for selection in [selection for selection in self._targets if selection.addr == addr]:
            del self._targets[selection]
        self._exposition.forget(addr)

    async def close(self) -> None:
        """Build no more."""
        everything = [self._whole, *self._others.values(), *self._targets.values()]
        for kept in everything:
            kept.rest()
        building = [kept.building for kept in everything if kept.building is not None]
        for task in building:
            task.cancel()
        await asyncio.gather(*building, return_exceptions=True)
        self._thread.shutdown()

    # -- when to build

    def _arm(self, selection: Selection, kept: _Kept, now: float) -> None:
        """Be ready for the next who is expected."""
        lead_s = self.lead_s
        moment = min(reader.expected_after(now + lead_s) for reader in kept.readers.values())
        self._arm_at(selection, kept, moment - lead_s, moment - LAST_LEAD_S - LAST_LEAD_BUILDS * self._build_s)

    def _arm_at(self, selection: Selection, kept: _Kept, moment: float, at_last: float = 0.0) -> None:
        """Build at a moment, or after it when no poll is under way, but no later than `at_last`."""
        if kept.timer is not None:
            kept.timer.cancel()
        delay_s = max(0.0, moment - time.monotonic())
        kept.timer = asyncio.get_running_loop().call_later(delay_s, self._expect, selection, kept, at_last)

    def _hasten(self, selection: Selection, kept: _Kept) -> None:
        """Build as soon as the page is old enough, whoever is expected."""
        gathered_at = kept.page.gathered_at if kept.page is not None else 0.0
        self._arm_at(selection, kept, gathered_at + self._min_interval_s)

    def _expect(self, selection: Selection, kept: _Kept, at_last: float) -> None:
        now = time.monotonic()
        if now + QUIET_LOOK_S < at_last and not self._is_quiet():
            self._arm_at(selection, kept, now + QUIET_LOOK_S, at_last)
            return
        for reader in [reader for reader, habit in kept.readers.items() if habit.has_gone(now)]:
            del kept.readers[reader]
        if not kept.readers:
            kept.rest()
            kept.page = None  # nobody comes any more; whoever does again gets a new one
            return
        self._refresh(selection, kept)
        self._arm(selection, kept, now)

    def _refresh(self, selection: Selection, kept: _Kept) -> None:
        """Start a build, unless one runs or nothing has changed."""
        if kept.building is None and kept.page is not None and self._is_outdated(kept.page):
            self._start(selection, kept)

    def _is_outdated(self, page: Page) -> bool:
        return page.generation != self._exposition.store.generation

    # -- building

    def _start(self, selection: Selection, kept: _Kept, draft: Draft | None = None) -> asyncio.Task[Page]:
        task = kept.building = asyncio.get_running_loop().create_task(self._made(kept, draft or self._exposition.draft(selection)))
        task.add_done_callback(lambda task: self._finish(selection, kept, task))
        return task

    async def _made(self, kept: _Kept, draft: Draft) -> Page:
        if draft.is_larger_than(INLINE_BYTES):
            page, took_s = await asyncio.get_running_loop().run_in_executor(self._thread, _timed, draft, kept.page)
        else:
            page, took_s = _timed(draft)
        kept.took_s = took_s
        self._build_s = max(took_s, self._build_s + BUILD_GAIN * (took_s - self._build_s))
        return page

    def _finish(self, selection: Selection, kept: _Kept, task: asyncio.Task[Page]) -> None:
        """Keep what was built, unless a newer build has taken its place."""
        current = kept.building is task
        if current:
            kept.building = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("a page could not be built: %s: %s", type(error).__name__, error)
            return
        if current:
            kept.page = task.result()
        self._on_built(task.result(), kept.took_s)
        if kept.again and kept.timer is not None:
            kept.again = False
            self._hasten(selection, kept)


def _timed(draft: Draft, before: Page | None = None) -> tuple[Page, float]:
    """The page, and how many seconds it took."""
    began = time.perf_counter()
    return draft.build(before), time.perf_counter() - began


def _of(pages: OrderedDict[Selection, _Kept], selection: Selection, limit: int) -> _Kept:
    """The one of a selection, new if need be; the one that was longest unused makes room."""
    kept = pages.get(selection)
    if kept is None:
        kept = pages[selection] = _Kept()
        while len(pages) > limit:
            pages.popitem(last=False)[1].rest()
    pages.move_to_end(selection)
    return kept
