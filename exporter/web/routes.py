"""The answers to requests: one route, one method."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from aiohttp import web

from exporter.errors import PageError
from exporter.options.endpoints import PROBES, routes
from exporter.pages.page import Page
from exporter.web import pause, query, reload
from exporter.web.answers import TextAnswer, response_of
from exporter.web.body_writer import BodyWriter, ResponseOutlet
from exporter.web.clients import client_of
from exporter.web.cluster_discovery import NodeLister
from exporter.web.entrance import Entrance
from exporter.web.incidents import Incidents
from exporter.web.limits import HttpLimits
from exporter.web.request_head import HeadReader
from exporter.web.scrape_connection import ScrapeSource
from exporter.web.scrapes import (
    METRICS,
    NOT_YET,
    REFUSALS,
    SCRAPE,
    UNKNOWN_TARGET,
    ScrapeRequest,
    Scrapes,
    Settings,
    Sources,
    refusal_of,
)
from exporter.web.sd import TargetLister
from exporter.web.sign_in import Handler, SignIn, middleware, noting_refusals
from exporter.web.visit import wait_within

ALIVE_S = 5.0


class Web:
    """The answers: the method that a route names answers it, here or in one of `others`."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        *,
        entrance: Entrance | None = None,
        incidents: Incidents | None = None,
        bodies: BodyWriter | None = None,
        others: Sequence[object] = (),
    ) -> None:
        pages, fleet = sources.pages, sources.fleet
        self._settings = settings
        self._sources = sources
        self._answerers = (self, *others)
        self._fleet = fleet
        self._own_series = sources.own_series
        self._nodes = NodeLister(fleet.watched_targets.values, hostnames=settings.discover_hostnames)
        self._bodies = bodies or BodyWriter(HttpLimits().old_pages_bytes, pages.current)
        self.scrapes = Scrapes(settings, sources, self._bodies.share)
        self._lister = TargetLister(
            fleet.watched_targets.values, self._bodies.share.take, settings.instance_by, sources.role_of
        )
        self._incidents = incidents or Incidents()
        self._entrance = entrance or Entrance()
        open_paths = PROBES if settings.open_probes else ()
        is_guarded = self._entrance.is_guarded
        self._sign_in = SignIn(self._entrance, self._incidents, open_paths) if is_guarded else None
        self._started_at = time.monotonic()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[middleware(self._sign_in)] if self._sign_in is not None else [])
        for route in routes(self._settings.telemetry_path):
            answer = self._measured(route.name, _handler(self._answerers, route.name))
            handler = noting_refusals(answer, self._incidents)
            for method in route.methods:
                app.router.add_route(method, route.path.replace("{name}", "{name:[^/]+}"), handler)
        return app

    def source(self) -> ScrapeSource:
        """What answers plain scrapes, without the routes."""
        paths = {route.name: route.path for route in routes(self._settings.telemetry_path)}
        return ScrapeSource(
            self.scrapes,
            self._bodies,
            self._own_series,
            HeadReader(paths[METRICS], paths[SCRAPE]),
            self._incidents,
            self._entrance,
            self._sign_in,
        )

    def _measured(self, endpoint: str, handler: Handler) -> Handler:
        async def measured(request: web.Request) -> web.StreamResponse:
            began = time.perf_counter()
            try:
                return await handler(request)
            except REFUSALS as error:
                return response_of(refusal_of(error, self._own_series))
            finally:
                self._own_series.request_seconds(endpoint).observe(time.perf_counter() - began)

        return measured

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """All targets."""
        return await self._scraped(METRICS, request)

    async def scrape(self, request: web.Request) -> web.StreamResponse:
        """One target."""
        return await self._scraped(SCRAPE, request)

    async def _scraped(self, endpoint: str, request: web.Request) -> web.StreamResponse:
        asked = ScrapeRequest(endpoint, request.query, request.headers, client_of(request.transport))
        answer = self.scrapes.answer(asked)
        if not isinstance(answer, (Page, TextAnswer)):
            answer = await wait_within(request, answer)
        if isinstance(answer, TextAnswer):
            return response_of(answer)
        outlet = ResponseOutlet(request)
        takes_gzip = query.accepts_gzip(request.headers.get("Accept-Encoding", ""))
        await self._bodies.send(outlet, answer, takes_gzip=takes_gzip)
        return outlet.response

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
            watched = self.scrapes.find(text)
            if watched is None:
                return web.Response(status=404, text=f"{UNKNOWN_TARGET}\n")
            await self._bodies.share.take()  # a cluster may have 1,000 nodes
            status, body = self._nodes.list_of(watched)
        else:
            status, body = await self._nodes.list_all()
        return _json(body, status) if status == 200 else web.Response(status=status, text=body)

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
        return await reload.answer(
            request.method,
            request.headers,
            self._sources.reload,
            is_allowed=self._settings.reload_requests,
        )

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """Stop polling a target for a while."""
        return pause.answer(request, self._sources.pauses, is_allowed=self._settings.lifecycle)


def _handler(answerers: Iterable[object], name: str) -> Handler:
    """The method that answers, of the first that has one."""
    method = name.replace("-", "_")
    found: Handler = next(getattr(each, method) for each in answerers if hasattr(each, method))
    return found


def _json(text: str, status: int) -> web.Response:
    return web.Response(status=status, text=text, content_type="application/json")
