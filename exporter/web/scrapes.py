"""Scrapes: from what a request asks for to a page, or to the words of a refusal.

Nothing here depends on how a request came in or how its answer goes out. What is there already is returned at
once; else the request gets something to wait for.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from multidict import MultiMapping

from exporter import safe_text
from exporter.errors import (
    ConfigError,
    MisdirectedError,
    NotAllowedError,
    PageError,
    RequestError,
    StoppingError,
)
from exporter.metrics.lane import Lane
from exporter.pages.cache import PageCache
from exporter.pages.page import Page
from exporter.pages.selection import Selection
from exporter.targets.asked import Asked
from exporter.telemetry.own_series import OwnSeries
from exporter.web import pause, query, reload
from exporter.web.answers import TextAnswer
from exporter.web.body_writer import LoopShare
from exporter.web.cluster_discovery import ClusterMember
from exporter.web.freshness import Freshener, Pollable
from exporter.web.scrape_log import ScrapeLog
from exporter.web.sd import ListedTarget

#: the endpoints whose requests are scrapes
METRICS, SCRAPE = "metrics", "scrape"
#: characters of an error that an answer shows
ERROR_MAX = 500
NOT_YET = "not every target was attempted yet"
UNKNOWN_TARGET = (
    "target: not configured here, and --scrape.allow names nothing that requests may ask for; see also "
    "--redis.addr, --config.file, and --is-cluster for nodes of clusters"
)
#: errors that say why a request is refused
REFUSALS = (RequestError, NotAllowedError, MisdirectedError, PageError, StoppingError)


class TargetView(ClusterMember, ListedTarget, Pollable, Protocol):
    """What a request needs of one target."""

    @property
    def whole(self) -> bool: ...
    async def fresh(self, max_age_s: float | None, deadline: float, lanes: Iterable[Lane]) -> None: ...


class FirstRoundView(Protocol):
    """What a request needs of the first polls and scans: whether they have ended, and a wait for that."""

    @property
    def polls_done(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    async def wait_polls(self, timeout_s: float) -> None: ...
    async def wait(self, timeout_s: float) -> None: ...


class FleetView(Protocol):
    """What a request needs of all targets."""

    @property
    def watched_targets(self) -> Mapping[str, TargetView]: ...
    @property
    def first_round(self) -> FirstRoundView: ...
    def find(self, text: str) -> TargetView | None: ...
    def states(self) -> Mapping[str, int]: ...


#: finds or takes in what a request asks for, until a (monotonic) deadline
Adopt = Callable[[Asked, float], Awaitable[TargetView | None]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the options matters here. `plain_targets`: `/scrape` leaves the target's labels off;
    `discover_clusters`: cluster nodes are listed, with `discover_hostnames` by the names that they announce.
    `instance_by`: what the label instance is made of, address or alias. `lifecycle`: requests may change what
    is polled; `reload_requests`: they may ask for a reload. `open_probes`: nobody has to sign in for those.
    """

    telemetry_path: str
    health_strict: bool
    scrape_endpoint: bool
    plain_targets: bool
    fail_when_stale: bool
    ready_after_s: float
    discover_clusters: bool = False
    discover_hostnames: bool = False
    instance_by: str = "address"
    lifecycle: bool = False
    reload_requests: bool = True
    open_probes: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """What answers are made of. `turned_at` gives when the event loop last turned (monotonic), `stale`
    whether a target's values are too old to be served, `generation` counts the changes of the store.
    `max_age_floor_s` gives how far apart sweeps of one page are. `adopt` finds what a request asks for, until
    a (monotonic) deadline, and polls it from then on if nobody configured it. `other_owner` gives the index
    of the other shard that polls a target, `role_of` the newest role of one that others name; `refuse` raises
    NotAllowedError for a configured one that is not polled; `pauses` has those of targets. `note_scrape`
    learns when a target is scraped by itself, `scrape_log` who scrapes."""

    pages: PageCache
    fleet: FleetView
    own_series: OwnSeries
    turned_at: Callable[[], float]
    stale: Callable[[str], bool]
    generation: Callable[[], int]
    reload: reload.Reload
    max_age_floor_s: Callable[[], float] = lambda: 1.0
    adopt: Adopt | None = None
    other_owner: Callable[[str], int | None] = lambda text: None
    pauses: pause.PausesView | None = None
    refuse: Callable[[str], None] = lambda text: None
    role_of: Callable[[str], str] = lambda addr: ""
    note_scrape: Callable[[str], None] = lambda addr: None
    scrape_log: ScrapeLog = field(default_factory=ScrapeLog)


@dataclass(frozen=True, slots=True)
class ScrapeRequest:
    """What an answer depends on. `client` is the address of the one who asks."""

    endpoint: str
    query: MultiMapping[str]
    headers: Mapping[str, str]
    client: str


#: what is sent
Answer = Page | TextAnswer
#: the same, or a wait for it
Answering = Page | TextAnswer | Awaitable[Answer]


@dataclass(frozen=True, slots=True)
class _Fresh:
    """How old values may be, None for any age; of which lanes; and until when the request waits."""

    max_age_s: float | None
    deadline: float
    lanes: Iterable[Lane]


class Scrapes:
    """Answers the requests for `METRICS` and `SCRAPE`. `share` divides the time of the loop among answers."""

    def __init__(self, settings: Settings, sources: Sources, share: LoopShare) -> None:
        pages, fleet = sources.pages, sources.fleet
        self._settings = settings
        self._sources = sources
        self._pages = pages
        self._fleet = fleet
        self._own_series = sources.own_series
        self._share = share
        self._freshener = Freshener(
            lambda: fleet.watched_targets, pages.shows, sources.generation, sources.max_age_floor_s
        )

    def answer(self, request: ScrapeRequest) -> Answering:
        """The answer, or a wait for it."""
        try:
            found = self._metrics(request) if request.endpoint == METRICS else self._scrape(request)
        except REFUSALS as error:
            return refusal_of(error, self._own_series)
        return found if isinstance(found, (Page, TextAnswer)) else self._awaited(found)

    async def _awaited(self, waiting: Awaitable[Answer]) -> Answer:
        try:
            return await waiting
        except REFUSALS as error:
            return refusal_of(error, self._own_series)

    def find(self, text: str) -> TargetView | None:
        """The target of this address or alias. Raises RequestError, MisdirectedError if another shard polls
        it, and NotAllowedError if nobody does."""
        found = mistake = None
        try:
            found = self._fleet.find(text)
        except ConfigError as error:
            mistake = RequestError(str(error))
        if found is None or found.target.elsewhere:
            _refuse_unwatched(self._sources, text)
        if mistake is not None:
            raise mistake
        return found

    # -- all targets

    def _metrics(self, request: ScrapeRequest) -> Page | Awaitable[Page]:
        selection = query.selection(request.query)
        max_age_s, lanes = query.max_age_s(request.query), query.lanes(request.query)
        deadline = time.monotonic() + query.wait_s(request.headers)
        self._own_series.scrapes += 1
        if max_age_s is not None:
            return self._fresh_page(request, selection, max_age_s, lanes, deadline)
        if not self._fleet.first_round.done:
            return self._first_page(request, selection, deadline)
        return self._page(request, selection)

    async def _fresh_page(
        self,
        request: ScrapeRequest,
        selection: Selection,
        max_age_s: float,
        lanes: Iterable[Lane],
        deadline: float,
    ) -> Page:
        first_round = self._fleet.first_round
        if not first_round.polls_done:
            await first_round.wait_polls(deadline - time.monotonic())
        at_least = await self._freshener.freshen(selection, max_age_s, deadline, lanes)
        return await _settled(self._page(request, selection, at_least))

    async def _first_page(self, request: ScrapeRequest, selection: Selection, deadline: float) -> Page:
        await self._fleet.first_round.wait(deadline - time.monotonic())
        return await _settled(self._page(request, selection, self._sources.generation()))

    def _page(
        self, request: ScrapeRequest, selection: Selection, at_least: int = 0
    ) -> Page | Awaitable[Page]:
        scraper = query.scraper(request.client, request.headers)
        self._sources.scrape_log.note(scraper, selection)
        return self._pages.fetch(selection, at_least=at_least, scraper=scraper)

    # -- one target

    def _scrape(self, request: ScrapeRequest) -> Answering:
        if not self._settings.scrape_endpoint:
            return self._refuse(404, "switched off by --disable-scrape-endpoint")
        deadline = time.monotonic() + query.wait_s(request.headers)
        try:
            max_age_s, lanes = query.max_age_s(request.query), query.lanes(request.query)
            asked = query.asked(request.query)
            watched = self.find(asked.text)
        except RequestError as error:
            return self._refuse(400, str(error))
        fresh = _Fresh(max_age_s, deadline, lanes)
        adopt = self._sources.adopt
        if adopt is None or (watched is not None and not asked.overrides):
            return self._of_target(request, watched, fresh)
        return self._of_adopted(request, asked, fresh, adopt)

    async def _of_adopted(self, request: ScrapeRequest, asked: Asked, fresh: _Fresh, adopt: Adopt) -> Answer:
        try:
            watched = await self._adopted(asked, fresh.deadline, adopt)
        except RequestError as error:
            return self._refuse(400, str(error))
        except PageError as error:
            return self._refuse(503, safe_text.one_line(str(error), ERROR_MAX))
        found = self._of_target(request, watched, fresh)
        return found if isinstance(found, (Page, TextAnswer)) else await found

    async def _adopted(self, asked: Asked, deadline: float, adopt: Adopt) -> TargetView | None:
        """The target that a request asks for, though nobody configured it so. Which nodes there are is known
        when every target was polled for the first time: PageError if that is not so before the deadline."""
        first_round = self._fleet.first_round
        await self._share.take()  # it may look at all nodes of all clusters
        found = await adopt(asked, deadline)
        if found is None and self._settings.discover_clusters and not first_round.polls_done:
            await first_round.wait_polls(deadline - time.monotonic())
            found = await adopt(asked, deadline)
            if found is None and not first_round.polls_done:
                raise PageError(NOT_YET)
        return found

    def _of_target(self, request: ScrapeRequest, watched: TargetView | None, fresh: _Fresh) -> Answering:
        if watched is None:
            return self._refuse(403, UNKNOWN_TARGET)
        self._own_series.scrapes += 1
        self._sources.note_scrape(watched.target.key)
        scraper = query.scraper(request.client, request.headers)
        self._sources.scrape_log.note(scraper, None, watched.target.key)
        if fresh.max_age_s is not None or not watched.whole:
            return self._of_polled(watched, fresh)
        return self._newest_of(watched)

    async def _of_polled(self, watched: TargetView, fresh: _Fresh) -> Answer:
        await watched.fresh(fresh.max_age_s, fresh.deadline, fresh.lanes)
        found = self._newest_of(watched)
        return found if isinstance(found, (Page, TextAnswer)) else await found

    def _newest_of(self, watched: TargetView) -> TextAnswer | Page | Awaitable[Page]:
        key = watched.target.key
        if self._settings.fail_when_stale and self._sources.stale(key):
            return TextAnswer(503, "the target's newest values are too old to be served\n")
        return self._pages.fetch_target(key, plain=self._settings.plain_targets)

    def _refuse(self, status: int, text: str) -> TextAnswer:
        self._own_series.request_errors += 1
        return TextAnswer(status, f"{text}\n")


async def _settled(found: Page | Awaitable[Page]) -> Page:
    return found if isinstance(found, Page) else await found


def refusal_of(error: Exception, own_series: OwnSeries) -> TextAnswer:
    """The answer for one of `REFUSALS`."""
    if isinstance(error, RequestError):
        return TextAnswer(400, f"{error}\n")
    if isinstance(error, NotAllowedError):
        own_series.request_errors += 1
        return TextAnswer(403, f"{safe_text.one_line(str(error), ERROR_MAX)}\n")
    if isinstance(error, MisdirectedError):
        own_series.request_errors += 1
        return TextAnswer(421, f"{error}\n")
    return TextAnswer(503, f"{safe_text.one_line(str(error), ERROR_MAX)}\n")


def _refuse_unwatched(sources: Sources, text: str) -> None:
    """Raise MisdirectedError if another shard polls this target, and NotAllowedError if nobody does."""
    owner = sources.other_owner(text)
    if owner is not None:
        raise MisdirectedError(f"shard {owner} polls this target: send the request there")
    sources.refuse(text)
