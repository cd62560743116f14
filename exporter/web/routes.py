"""The answers to requests: one route, one method."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

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
from exporter.options.endpoints import routes
from exporter.pages.cache import PageCache
from exporter.pages.scrapers import Scraper
from exporter.targets.asked import Asked
from exporter.telemetry.own_series import OwnSeries
from exporter.web import pause, query, reload
from exporter.web.auth import BasicAuth, Handler, noting_refusals, sign_in
from exporter.web.body_writer import BodyWriter
from exporter.web.clients import client_of
from exporter.web.cluster_discovery import ClusterMember, NodeLister
from exporter.web.freshness import Freshener, Pollable
from exporter.web.incidents import Incidents
from exporter.web.limits import HttpLimits
from exporter.web.scrape_log import ScrapeLog
from exporter.web.sd import ListedTarget, TargetLister

ALIVE_S = 5.0
#: characters of an error that an answer shows
ERROR_MAX = 500
NOT_YET = "not every target was attempted yet"
UNKNOWN_TARGET = (
    "target: not configured here, and --scrape.allow names nothing that requests may ask for; see also "
    "--redis.addr, --config.file, and --is-cluster for nodes of clusters"
)


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


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the options matters here. `plain_targets`: `/scrape` leaves the target's labels off;
    `discover_clusters`: cluster nodes are listed, with `discover_hostnames` by the names that they announce.
    `instance_by`: what the label instance is made of, address or alias. `lifecycle`: requests may change what
    is polled.
    """

    version: str
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


@dataclass(frozen=True, slots=True)
class Sources:
    """What answers are made of. `turned_at` gives when the event loop last went round (monotonic), `stale`
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
    adopt: Callable[[Asked, float], Awaitable[TargetView | None]] | None = None
    other_owner: Callable[[str], int | None] = lambda text: None
    pauses: pause.PausesView | None = None
    refuse: Callable[[str], None] = lambda text: None
    role_of: Callable[[str], str] = lambda addr: ""
    note_scrape: Callable[[str], None] = lambda addr: None
    scrape_log: ScrapeLog = field(default_factory=ScrapeLog)


class Web:
    """The answers: the method that a route names answers it, here or in one of `others`."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        *,
        auth: BasicAuth | None = None,
        incidents: Incidents | None = None,
        bodies: BodyWriter | None = None,
        others: Sequence[object] = (),
    ) -> None:
        pages, fleet = sources.pages, sources.fleet
        self._settings = settings
        self._sources = sources
        self._answerers = (self, *others)
        self._pages = pages
        self._fleet = fleet
        self._own_series = sources.own_series
        self._freshener = Freshener(
            lambda: fleet.watched_targets, pages.shows, sources.generation, sources.max_age_floor_s
        )
        self._nodes = NodeLister(fleet.watched_targets.values, hostnames=settings.discover_hostnames)
        self._bodies = bodies or BodyWriter(HttpLimits().old_pages_bytes, pages.current)
        self._lister = TargetLister(
            fleet.watched_targets.values, self._bodies.share.take, settings.instance_by, sources.role_of
        )
        self._incidents = incidents or Incidents()
        self._middlewares = [sign_in(auth, self._incidents)] if auth is not None else []
        self._started_at = time.monotonic()

    def app(self) -> web.Application:
        app = web.Application(middlewares=self._middlewares)
        for route in routes(self._settings.telemetry_path):
            answer = self._measured(route.name, _handler(self._answerers, route.name))
            handler = noting_refusals(answer, self._incidents)
            for method in route.methods:
                app.router.add_route(method, route.path.replace("{name}", "{name:[^/]+}"), handler)
        return app

    def _measured(self, endpoint: str, handler: Handler) -> Handler:
        async def measured(request: web.Request) -> web.StreamResponse:
            began = time.perf_counter()
            try:
                return await handler(request)
            except RequestError as error:
                return web.Response(status=400, text=f"{error}\n")
            except NotAllowedError as error:
                return self._refuse(403, safe_text.one_line(str(error), ERROR_MAX))
            except MisdirectedError as error:
                return self._refuse(421, str(error))
            except (PageError, StoppingError) as error:
                return web.Response(status=503, text=f"{safe_text.one_line(str(error), ERROR_MAX)}\n")
            finally:
                self._own_series.request_seconds(endpoint).observe(time.perf_counter() - began)

        return measured

    def _find(self, text: str) -> TargetView | None:
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

    async def _asked(self, asked: Asked, deadline: float) -> TargetView | None:
        """The target that a request asks for, configured or not. Which nodes there are is known when every
        target was polled for the first time: PageError if that is not so before the deadline."""
        found = self._find(asked.text)
        adopt, first_round = self._sources.adopt, self._fleet.first_round
        if adopt is None or (found is not None and not asked.overrides):
            return found
        await self._bodies.share.take()  # it may look at all nodes of all clusters
        found = await adopt(asked, deadline)
        if found is None and self._settings.discover_clusters and not first_round.polls_done:
            await first_round.wait_polls(deadline - time.monotonic())
            found = await adopt(asked, deadline)
            if found is None and not first_round.polls_done:
                raise PageError(NOT_YET)
        return found

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """All targets."""
        selection = query.selection(request.query)
        max_age_s, lanes = query.max_age_s(request.query), query.lanes(request.query)
        deadline = time.monotonic() + query.wait_s(request.headers)
        self._own_series.scrapes += 1
        at_least, first_round = 0, self._fleet.first_round
        if max_age_s is not None:
            if not first_round.polls_done:
                await first_round.wait_polls(deadline - time.monotonic())
            at_least = await self._freshener.freshen(selection, max_age_s, deadline, lanes)
        elif not first_round.done:
            await first_round.wait(deadline - time.monotonic())
            at_least = self._sources.generation()
        scraper = _scraper_of(request)
        self._sources.scrape_log.note(scraper, selection)
        return await self._bodies.send(
            request, await self._pages.page(selection, at_least=at_least, scraper=scraper)
        )

    async def scrape(self, request: web.Request) -> web.StreamResponse:
        """One target."""
        if not self._settings.scrape_endpoint:
            return self._refuse(404, "switched off by --disable-scrape-endpoint")
        deadline = time.monotonic() + query.wait_s(request.headers)
        try:
            max_age_s, lanes = query.max_age_s(request.query), query.lanes(request.query)
            watched = await self._asked(query.asked(request.query), deadline)
        except RequestError as error:
            return self._refuse(400, str(error))
        except PageError as error:
            return self._refuse(503, safe_text.one_line(str(error), ERROR_MAX))
        if watched is None:
            return self._refuse(403, UNKNOWN_TARGET)
        self._own_series.scrapes += 1
        self._sources.note_scrape(watched.target.key)
        self._sources.scrape_log.note(_scraper_of(request), None, watched.target.key)
        if max_age_s is not None or not watched.whole:
            await watched.fresh(max_age_s, deadline, lanes)
        if self._settings.fail_when_stale and self._sources.stale(watched.target.key):
            return web.Response(status=503, text="the target's newest values are too old to be served\n")
        return await self._bodies.send(
            request, await self._pages.of_target(watched.target.key, plain=self._settings.plain_targets)
        )

    async def sd(self, request: web.Request) -> web.StreamResponse:
        """All targets. While some are missing, Prometheus keeps the list that it has."""
        group = query.selection(request.query).group
        if not self.is_ready():
            raise PageError(NOT_YET)
        return _json(await self._lister.written(group), 200)

    async def discover_cluster_nodes(self, request: web.Request) -> web.StreamResponse:
        """The nodes of one target's cluster, or of all clusters."""
        if not self._settings.discover_clusters:
            return web.Response(
                status=400, text="start the exporter with --is-cluster to list the nodes of clusters\n"
            )
        text = request.query.get("target", "")
        if text:
            watched = self._find(text)
            if watched is None:
                return web.Response(status=404, text=f"{UNKNOWN_TARGET}\n")
            await self._bodies.share.take()  # a cluster may have 1,000 nodes
            status, body = self._nodes.list_of(watched)
        else:
            status, body = await self._nodes.list_all()
        return _json(body, status) if status == 200 else web.Response(status=status, text=body)

    def _refuse(self, status: int, text: str) -> web.Response:
        self._own_series.request_errors += 1
        return web.Response(status=status, text=f"{text}\n")

    async def health(self, request: web.Request) -> web.StreamResponse:
        """ok, or an error if no target can be reached."""
        await self._bodies.share.take()  # it looks at all targets
        targets = self._fleet.watched_targets.values()
        if not targets or any(watched.up is not False for watched in targets):
            return _json('{"status":"ok"}', 200)
        strict = self._settings.health_strict or request.query.get("strict") == "1"
        return _json('{"status":"error","message":"Cannot connect to Redis"}', 503 if strict else 200)

    async def healthy(self, request: web.Request) -> web.StreamResponse:
        """The process is alive: its event loop turned a short time ago."""
        late_s = time.monotonic() - self._sources.turned_at()
        if late_s <= ALIVE_S:
            return web.Response(text="ok\n")
        return web.Response(status=503, text=f"the event loop last turned {late_s:.1f} s ago\n")

    async def ready(self, request: web.Request) -> web.StreamResponse:
        """Every target was tried, or had its time."""
        if self.is_ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text=f"{NOT_YET}\n")

    def is_ready(self) -> bool:
        started_s = time.monotonic() - self._started_at
        return self._fleet.first_round.polls_done or started_s >= self._settings.ready_after_s

    async def reload(self, request: web.Request) -> web.StreamResponse:
        """Read options, targets and files again."""
        return await reload.answer(request.method, self._sources.reload)

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """Stop polling a target for a while."""
        return pause.answer(request, self._sources.pauses, is_allowed=self._settings.lifecycle)


def _handler(answerers: Iterable[object], name: str) -> Handler:
    """The method that answers, of the first that has one."""
    method = name.replace("-", "_")
    found: Handler = next(getattr(each, method) for each in answerers if hasattr(each, method))
    return found


def _scraper_of(request: web.Request) -> Scraper:
    return query.scraper(client_of(request.transport), request.headers)


def _refuse_unwatched(sources: Sources, text: str) -> None:
    """Raise MisdirectedError if another shard polls this target, and NotAllowedError if nobody does."""
    owner = sources.other_owner(text)
    if owner is not None:
        raise MisdirectedError(f"shard {owner} polls this target: send the request there")
    sources.refuse(text)


def _json(text: str, status: int) -> web.Response:
    return web.Response(status=status, text=text, content_type="application/json")
