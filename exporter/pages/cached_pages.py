"""The pages of selections, and which of them are kept.

Anybody can ask for any selection, so their number is bounded, in all and for each address, and so is the
memory that their pages take. A page that is scraped in a rhythm is never displaced by others; among those the
one that was unused for the longest time makes room.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from exporter.metrics.store import Snapshot
from exporter.pages.page import Page
from exporter.pages.scrapers import Scrapers, address_of
from exporter.pages.selection import Selection


@dataclass(slots=True, eq=False)
class CachedPage:
    """One selection's newest page, and who asks for it. Of one target's page, the snapshots that it shows.

    `building` ends, once, with the page or with None; it is cleared in the same step, so whoever waits finds
    what is new."""

    selection: Selection
    scrapers: Scrapers = field(default_factory=Scrapers)
    page: Page | None = None
    building: asyncio.Future[Page | None] | None = None
    again: bool = False  # a `redis_up` changed while it was built
    timer: asyncio.TimerHandle | None = None
    sources: tuple[Snapshot, ...] = ()
    failed_at: float = -math.inf
    failure: str = ""
    address: Hashable = None  # of the newest scraper
    shelved: bool = False  # it may be kept up

    def rest(self) -> None:
        """Keep it up no longer."""
        self.scrapers.habits.clear()
        self.again = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class CachedPages:
    """`on_drop` is called with each selection that is kept no longer."""

    def __init__(
        self, count_max: int, bytes_max: int, on_drop: Callable[[Selection], None] = lambda selection: None
    ) -> None:
        self._count_max = count_max
        self._address_max = max(1, count_max // 2)
        self._bytes_max = bytes_max
        self._on_drop = on_drop
        self._kept: OrderedDict[Selection, CachedPage] = OrderedDict()  # least recently used first

    def __iter__(self) -> Iterator[CachedPage]:
        return iter(list(self._kept.values()))

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, selection: Selection, scraper: Hashable, now: float) -> CachedPage:
        """The one of a selection, new if need be. Where there is no room for it, one that nobody keeps."""
        kept = self._kept.get(selection)
        address = address_of(scraper)
        if kept is None:
            kept = CachedPage(selection)
            if self._make_room(address, now):
                kept.shelved = True
                self._kept[selection] = kept
        else:
            self._kept.move_to_end(selection)
        kept.address = address
        return kept

    def drop(self, kept: CachedPage) -> None:
        kept.rest()
        kept.shelved = False
        if self._kept.get(kept.selection) is kept:
            del self._kept[kept.selection]
        self._on_drop(kept.selection)

    def _make_room(self, address: Hashable, now: float) -> bool:
        if len(self._kept) < self._address_max:
            return True
        own = [kept for kept in self._kept.values() if kept.address == address]
        if len(own) >= self._address_max:
            candidates = own
        elif len(self._kept) >= self._count_max:
            candidates = list(self._kept.values())
        else:
            return True
        for kept in candidates:
            if kept.scrapers.steady_since(now) == math.inf:
                self.drop(kept)
                return True
        return False

    def trim(self, now: float) -> None:
        """Let go of pages, not of who asks for them, until all together take no more memory than they may."""
        size = sum(len(kept.page.body) for kept in self._kept.values() if kept.page is not None)
        if size <= self._bytes_max:
            return
        # the last to go is that which has been scraped in a rhythm for the longest time
        for kept in sorted(self._kept.values(), key=lambda kept: -kept.scrapers.steady_since(now)):
            if kept.page is not None and size > self._bytes_max:
                size -= len(kept.page.body)
                kept.page = None
