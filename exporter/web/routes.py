"""One route, one function."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from exporter import files, texts
from exporter.errors import ConfigError, PageError, RequestError
from exporter.options.endpoints import routes
from exporter.pages.cache import PageCache
from exporter.pages.page import CONTENT_TYPE, Page
from exporter.protocol.facts import Facts
from exporter.single_flight import SingleFlight
from exporter.targets.target import Target
from exporter.telemetry.own_series import OwnSeries
from exporter.web import cluster_nodes, landing, query
from exporter.web.auth import CHALLENGE, BasicAuth, Presence, TooManyChecksError
from exporter.web.body_writer import BodyWriter
from exporter.web.clients import client_of
from exporter.web.freshness import Freshener
from exporter.web.incidents import Incidents
from exporter.web.limits import HttpLimits

ALIVE_S = 5.0
#: aiohttp joins the headers with what is written first: a piece of a page would be copied for each reader
HEADERS_ALONE = b""
#: a compressed page of no more is sent in one write
ONE_WRITE_BYTES = 64 * 1024
#: characters of an error that an answer shows
ERROR_MAX = 500

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TargetView(Protocol):
    """What a request needs of one target."""

    @property
    def target(self) -> Target: ...
    @property
    def up(self) -> bool | None: ...
    @property
    def facts(self) -> Facts | None: ...
    def remembered(self, name: str) -> Any: ...
    async def fresh(self, max_age_s: float, deadline: float) -> None: ...
    def refresh(self, max_age_s: float) -> asyncio.Future[None] | None: ...


class FleetView(Protocol):
    """What a request needs of all targets."""

    @property
    def watched_targets(self) -> Mapping[str, TargetView]: ...
    @property
    def first_round_done(self) -> bool: ...
    def find(self, text: str) -> TargetView | None: ...
    def states(self) -> Mapping[str, int]: ...
    async def wait_first_round(self, timeout_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the options matters here. `plain_targets`: `/scrape` leaves the target's labels off;
    `discover_clusters`: cluster nodes are listed, with `discover_hostnames` by the names that they announce.
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


class Web:
    """The answers. `turned_at` tells when the event loop last went round (monotonic), `stale` whether a
    target's values are withheld for their age, `generation` what the store is at."""

    def __init__(
        self,
        settings: Settings,
        pages: PageCache,
        fleet: FleetView,
        own_series: OwnSeries,
        *,
        turned_at: Callable[[], float],
        stale: Callable[[str], bool],
        generation: Callable[[], int],
        reload: Callable[[], Awaitable[bool]],
        auth: BasicAuth | None = None,
        max_age_floor_s: float = 1.0,
        incidents: Incidents | None = None,
        bodies: BodyWriter | None = None,
    ) -> None:
        self._settings = settings
        self._pages = pages
        self._fleet = fleet
        self._own_series = own_series
        self._turned_at = turned_at
        self._stale = stale
        self._generation = generation
        self._freshener = Freshener(lambda: fleet.watched_targets, pages.shows, generation, max_age_floor_s)
        self._reload = reload
        self._auth = auth
        self._all_clusters = SingleFlight(self._discover_all)
        self._listers = threading.Semaphore(1)  # it has turns
        self._incidents = incidents or Incidents()
        self._bodies = bodies or BodyWriter(HttpLimits().old_pages_bytes, pages.current)
        self._started_at = time.monotonic()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded] if self._auth is not None else [])
        for route in routes(self._settings.telemetry_path):
            handler = self._measured(route.name, getattr(self, route.name.replace("-", "_")))
            for method in route.methods:
                app.router.add_route(method, route.path, handler)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """No path is answered without the user and password, not even one that is not there."""
        assert self._auth is not None
        try:
            accepted = await self._auth.accepts(request.headers.get("Authorization", ""), _Sender(request))
        except TooManyChecksError:
            self._incidents.note("too_many_checks")
            return web.Response(status=429, text="Too many sign-ins at once\n", headers={"Retry-After": "1"})
        if accepted:
            return await handler(request)
        return web.Response(status=401, text="Unauthorized\n", headers={"WWW-Authenticate": CHALLENGE})

    def _measured(self, endpoint: str, handler: Handler) -> Handler:
        seconds = self._own_series.request_seconds(endpoint)

        async def measured(request: web.Request) -> web.StreamResponse:
            began = time.perf_counter()
            try:
                return await handler(request)
            except (ConfigError, RequestError) as error:
                return web.Response(status=400, text=f"{error}\n")
            except PageError as error:
                return web.Response(status=503, text=f"{texts.one_line(str(error), ERROR_MAX)}\n")
            finally:
                seconds.observe(time.perf_counter() - began)

        return measured

    # -- metrics

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """All targets."""
        selection = query.selection(request.query)
        max_age_s = query.max_age_s(request.query)
        deadline = time.monotonic() + query.wait_s(request.headers)
        self._own_series.scrapes += 1
        at_least = 0
        if not self._fleet.first_round_done:
            await self._fleet.wait_first_round(deadline - time.monotonic())
            at_least = self._generation()
        if max_age_s is not None:
            at_least = await self._freshener.freshen(selection, max_age_s, deadline)
        scraper = query.scraper(client_of(request.transport), request.headers)
        return await self._send(
            request, await self._pages.page(selection, at_least=at_least, scraper=scraper)
        )

    async def scrape(self, request: web.Request) -> web.StreamResponse:
        """One target."""
        if not self._settings.scrape_endpoint:
            return self._refuse(404, "switched off by --disable-scrape-endpoint")
        text = request.query.get("target", "")
        if not text:
            return self._refuse(400, "name a target: /scrape?target=redis://host:6379")
        try:
            max_age_s = query.max_age_s(request.query)
            query.check_keys(request.query)
            watched = self._fleet.find(text)
        except (ConfigError, RequestError) as error:
            return self._refuse(400, str(error))
        if watched is None:
            return self._refuse(404, "target: not configured here; see --redis.addr and --redis-file")
        self._own_series.scrapes += 1
        if watched.up is None or max_age_s is not None:
            await watched.fresh(max_age_s or 0.0, time.monotonic() + query.wait_s(request.headers))
        if self._settings.fail_when_stale and self._stale(watched.target.addr):
            return web.Response(status=503, text="the target's newest values are too old to be served\n")
        return await self._send(
            request, await self._pages.of_target(watched.target.addr, plain=self._settings.plain_targets)
        )

    async def discover_cluster_nodes(self, request: web.Request) -> web.StreamResponse:
        """The nodes of one target's cluster, or of all clusters."""
        if not self._settings.discover_clusters:
            return web.Response(status=400, text="clusters are looked at with --is-cluster only\n")
        text = request.query.get("target", "")
        if text:
            watched = self._fleet.find(text)
            if watched is None:
                return web.Response(
                    status=404, text="target: not configured here; see --redis.addr and --redis-file\n"
                )
            await self._bodies.share.take()  # a cluster may have 1,000 nodes
            status, body = cluster_nodes.answer([_seen(watched)], hostnames=self._settings.discover_hostnames)
        else:
            status, body = await self._all_clusters.run()
        return _json(body, status) if status == 200 else web.Response(status=status, text=body)

    async def _discover_all(self) -> tuple[int, str]:
        """In a thread: of 1,000 nodes that know 1,000 nodes each it takes more than a second. The program
        ends without it."""
        seen = [_seen(watched) for watched in self._fleet.watched_targets.values()]
        try:
            listing = files.start(
                lambda: cluster_nodes.answer(seen, hostnames=self._settings.discover_hostnames), self._listers
            )
        except files.FileError:
            raise PageError("no thread is free to list the nodes of the clusters") from None
        return await asyncio.wrap_future(listing)

    def _refuse(self, status: int, text: str) -> web.Response:
        self._own_series.request_errors += 1
        return web.Response(status=status, text=f"{text}\n")

    async def _send(self, request: web.Request, page: Page) -> web.StreamResponse:
        """The page and its tail. A small page goes out in one write with its headers, each of which is a call
        of the kernel; of a large one they are two writes: joining them would copy megabytes."""
        bodies = self._bodies
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        response = web.StreamResponse(headers=headers)
        is_head = request.method == "HEAD"
        await bodies.share.take()
        if query.accepts_gzip(request.headers.get("Accept-Encoding", "")):
            tail = page.tail(time.monotonic())
            headers["Content-Encoding"] = response.headers["Content-Encoding"] = "gzip"
            if len(page.body) <= ONE_WRITE_BYTES:
                return web.Response(body=page.body + tail, headers=headers)
            response.content_length = len(page.body) + len(tail)
            await response.prepare(request)
            if not is_head:
                await response.write(HEADERS_ALONE)
                await bodies.write(request, response, page)
                await response.write(tail)
        else:
            ages = page.packed_tail(time.monotonic())
            response.content_length = page.length + ages.length
            await response.prepare(request)
            if not is_head:
                await response.write(HEADERS_ALONE)
                await bodies.write_plain(request, response, page)
                await response.write(ages.unpack())
        return response

    # -- health

    async def health(self, request: web.Request) -> web.StreamResponse:
        """The document's bodies: ok, or an error if no target can be reached."""
        await self._bodies.share.take()  # it looks at all targets
        reachable = not self._fleet.watched_targets or any(
            watched.up is not False for watched in self._fleet.watched_targets.values()
        )
        if reachable:
            return _json('{"status":"ok"}', 200)
        strict = self._settings.health_strict or request.query.get("strict") == "1"
        return _json('{"status":"error","message":"Cannot connect to Redis"}', 503 if strict else 200)

    async def healthy(self, request: web.Request) -> web.StreamResponse:
        """The process is alive: its loop turned lately."""
        late_s = time.monotonic() - self._turned_at()
        if late_s <= ALIVE_S:
            return web.Response(text="ok\n")
        return web.Response(status=503, text=f"the event loop last turned {late_s:.1f} s ago\n")

    async def ready(self, request: web.Request) -> web.StreamResponse:
        """Every target was attempted, or had its time."""
        if (
            self._fleet.first_round_done
            or time.monotonic() - self._started_at >= self._settings.ready_after_s
        ):
            return web.Response(text="ok\n")
        return web.Response(status=503, text="not every target was attempted yet\n")

    async def reload(self, request: web.Request) -> web.StreamResponse:
        """Read the password file again. Without one that is an error, as to the Go exporter; servers are
        asked again all the same."""
        try:
            done = await self._reload()
        except ConfigError as error:
            return web.Response(status=500, text=f"{error}\n")
        if not done:
            return web.Response(
                status=400,
                text="no password file to read (see --redis.password-file); commands that servers refused "
                "are asked again\n",
            )
        return web.Response(text="ok\n")

    async def landing(self, request: web.Request) -> web.StreamResponse:
        settings = self._settings
        await self._bodies.share.take()  # it counts all targets
        text = landing.render(
            settings.version, self._fleet.states(), settings.telemetry_path, scrape=settings.scrape_endpoint
        )
        return web.Response(text=text, content_type="text/html")


def _seen(watched: TargetView) -> cluster_nodes.Seen:
    return watched.target, watched.up, watched.facts, watched.remembered(cluster_nodes.MEMORY_NAME)


def _json(text: str, status: int) -> web.Response:
    return web.Response(status=status, text=text, content_type="application/json")


class _Sender:
    """Who waits for a password's check."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.address = client_of(request.transport)

    @property
    def presence(self) -> Presence:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return Presence.GONE
        return Presence.LISTENING if getattr(self._request.protocol, "half_closed", False) else Presence.HERE
