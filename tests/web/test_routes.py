"""The endpoints, over real sockets of the loopback address."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession
from aiohttp.test_utils import TestServer, make_mocked_request

from exporter import engine
from exporter.errors import NotAllowedError, PageError
from exporter.metrics.lane import Lane
from exporter.options.endpoints import routes
from exporter.pages.cache import PageCache
from exporter.pages.page import CONTENT_TYPE, Draft, Page
from exporter.pages.scrapers import Scraper
from exporter.pages.selection import Selection
from exporter.targets.address import parse_address
from exporter.targets.asked import Asked
from exporter.telemetry.own_series import OwnSeries
from exporter.web import cluster_discovery
from exporter.web.auth import BasicAuth, auth_of
from exporter.web.entrance import Entrance, EntranceRules
from exporter.web.guard import Guard
from exporter.web.incidents import Incidents
from exporter.web.limits import HttpLimits
from exporter.web.listener import Listener
from exporter.web.reload import Reloaded
from exporter.web.routes import Web
from exporter.web.scrape_log import ScrapeLog
from exporter.web.scrapes import Settings, Sources
from tests.store_fixture import PATIENCE_S, SELF, StoreFixture, gunzip_one, samples_of, until, values_of
from tests.web.fleet import FakeFleet, FakeWatch, OtherAnswers

A, B = "redis://a:6379", "redis://b:6379"
SETTINGS = Settings(
    telemetry_path="/metrics",
    health_strict=False,
    scrape_endpoint=True,
    plain_targets=True,
    fail_when_stale=False,
    ready_after_s=3600.0,
)


class Site:
    """A program with two targets, one in group blue, that polls nothing; and a client of it."""

    def __init__(self) -> None:
        self.store_fixture = StoreFixture()
        self.store_fixture.add(A, group="blue", clients=1)
        self.store_fixture.add(B, clients=2)
        self.fleet = FakeFleet(
            [
                FakeWatch(dataclasses.replace(parse_address(A), alias="first"), True),
                FakeWatch(parse_address(B), True),
            ]
        )
        self.own_series = OwnSeries("redis", "1.2.3", "compiled")
        self.pages = PageCache(self.store_fixture.exposition)
        self.turned_at = time.monotonic()
        self.stale: set[str] = set()
        self.scraped: list[str] = []
        self.scrape_log, self.incidents = ScrapeLog(), Incidents()
        self.auth: BasicAuth | None = None
        self.reload: Callable[[], Reloaded] = lambda: Reloaded(False, "")
        self.adopt: Callable[[Asked, float], Awaitable[FakeWatch | None]] | None = None
        self.owners: dict[str, int] = {}  # other shards by what names a target
        self.refusals: dict[str, str] = {}  # of targets that are not polled, by what names them
        self._server: TestServer | None = None
        self._client: ClientSession | None = None

    async def start(self, host: str = "127.0.0.1", **settings: object) -> None:
        await self.stop_serving()
        web = self.web = Web(
            dataclasses.replace(SETTINGS, **settings),  # type: ignore[arg-type]
            Sources(
                self.pages,
                self.fleet,
                self.own_series,
                turned_at=lambda: self.turned_at,
                stale=self.stale.__contains__,
                generation=lambda: self.store_fixture.store.generation,
                reload=self._reloaded,
                adopt=self.adopt,
                note_scrape=self.scraped.append,
                other_owner=self.owners.get,
                refuse=self._refuse,
                scrape_log=self.scrape_log,
            ),
            entrance=Entrance(lambda: EntranceRules(self.auth)),
            incidents=self.incidents,
            others=[OtherAnswers()],
        )
        self._server = TestServer(web.app(), host=host)
        await self._server.start_server()
        self._client = ClientSession(auto_decompress=False, headers={"Accept-Encoding": "identity"})

    @property
    def server(self) -> TestServer:
        assert self._server is not None
        return self._server

    def _refuse(self, text: str) -> None:
        if text in self.refusals:
            raise NotAllowedError(self.refusals[text])

    async def _reloaded(self) -> Reloaded:
        return self.reload()

    async def stop_serving(self) -> None:
        if self._client is not None and self._server is not None:
            await self._client.close()
            await self._server.close()

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[ClientResponse, bytes]:
        assert self._client is not None
        assert self._server is not None
        async with self._client.request(method, self._server.make_url(path), headers=headers) as response:
            return response, await response.read()

    async def text(self, path: str, status: int = 200, **headers: str) -> str:
        response, body = await self.ask(path, **headers)
        assert response.status == status, body
        return body.decode()

    def count(self, name: str) -> float:
        return samples_of(self.own_series.render().decode())[name, frozenset()]


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.start()
    yield site
    await site.stop_serving()
    await site.pages.close()


class TestMetrics:
    async def test_all_targets_and_the_exporter_s_own_series(self, site: Site) -> None:
        text = await site.text("/metrics")
        assert values_of(text, "redis_connected_clients") == {A: 1, B: 2}
        assert values_of(text, "redis_up") == {A: 1, B: 1}
        assert SELF.decode() in text
        assert 'redis_exporter_snapshot_age_seconds{addr="redis://a:6379"' in text

    @pytest.mark.parametrize("encoding", ["identity", "gzip"])
    async def test_the_headers_are_exact(self, site: Site, encoding: str) -> None:
        response, body = await site.ask("/metrics", **{"Accept-Encoding": encoding})
        assert response.headers["Content-Type"] == CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
        assert response.headers["Content-Length"] == str(len(body))
        assert response.headers.get("Content-Encoding", "identity") == encoding
        assert response.headers["Vary"] == "Accept-Encoding"

    async def test_openmetrics_is_answered_with_the_text_format(self, site: Site) -> None:
        response, _ = await site.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert response.headers["Content-Type"] == CONTENT_TYPE

    async def test_the_compressed_page_is_one_member_of_the_plain_one(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("exporter.pages.page.Page.plain_tail", lambda page, now: b"# as of one moment\n")
        _, plain = await site.ask("/metrics")
        _, compressed = await site.ask("/metrics", **{"Accept-Encoding": "gzip"})
        assert gunzip_one(compressed) == plain

    @pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
    @pytest.mark.parametrize("path", ["/metrics", f"/scrape?target={A}"])
    async def test_a_step_of_the_wall_clock_moves_no_age(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, step_s: float, path: str
    ) -> None:
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + step_s)
        samples = samples_of(await site.text(path))
        ages = [age for (name, _), age in samples.items() if name == "redis_exporter_snapshot_age_seconds"]
        assert ages
        assert all(0 <= age < PATIENCE_S for age in ages)

    async def test_a_page_of_megabytes_comes_whole(self, site: Site) -> None:
        text = b"# HELP x X.\n# TYPE x gauge\n" + b"".join(b'x{n="%d"} 1\n' % n for n in range(200_000))
        site.store_fixture.exposition._self_series = lambda: text
        _, compressed = await site.ask("/metrics", **{"Accept-Encoding": "gzip"})
        response, plain = await site.ask("/metrics")
        assert text in plain
        assert text in gunzip_one(compressed)
        assert response.headers["Content-Length"] == str(len(plain))

    async def test_a_page_that_cannot_be_built_is_503_with_the_reason(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(site.store_fixture.exposition, "_self_series", lambda: 1 / 0)
        assert "division by zero" in await site.text("/metrics", 503)

    async def test_a_program_whose_name_is_no_text_harms_nobody(self, site: Site) -> None:
        assert site._server is not None
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", site._server.port)
            writer.write(
                b"GET /metrics HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\xfe\r\nConnection: close\r\n\r\n"
            )
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()
        [habit] = site.pages._whole.scrapers.habits
        assert habit == ("127.0.0.1", "\ufffd\ufffd")

    @pytest.mark.parametrize("encoding", ["identity", "gzip"])
    async def test_head_is_get_without_a_body(self, site: Site, encoding: str) -> None:
        got, _ = await site.ask("/metrics", **{"Accept-Encoding": encoding})
        head, body = await site.ask("/metrics", "HEAD", **{"Accept-Encoding": encoding})
        assert (head.status, body) == (200, b"")
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
        assert int(head.headers["Content-Length"]) == pytest.approx(
            int(got.headers["Content-Length"]), abs=50
        )

    async def test_a_scrape_makes_its_tail_and_nothing_else(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await site.ask("/metrics")
        made: list[str] = []
        tail = Page.tail

        def counted_tail(page: Page, now: float) -> bytes:
            made.append("tail")
            return tail(page, now)

        monkeypatch.setattr(Page, "tail", counted_tail)
        monkeypatch.setattr(Draft, "build", lambda draft: made.append("page"))
        monkeypatch.setattr(engine, "Assembler", lambda *args: made.append("assembling"))
        rendered = site.store_fixture.self_renders
        for _ in range(5):
            await site.ask("/metrics", **{"Accept-Encoding": "gzip"})
        assert made == ["tail"] * 5
        assert site.store_fixture.self_renders == rendered

    async def test_parts_together_are_the_whole(self, site: Site) -> None:
        parts = [values_of(await site.text(f"/metrics?part={i}/3"), "redis_up") for i in range(3)]
        assert sorted(addr for part in parts for addr in part) == [A, B]

    async def test_groups_and_names(self, site: Site) -> None:
        text = await site.text("/metrics?group=blue&name[]=redis_connected_clients&name[]=redis_up")
        assert {name for name, _ in samples_of(text)} == {"redis_connected_clients", "redis_up"}
        assert values_of(text, "redis_up") == {A: 1}

    @pytest.mark.parametrize(
        ("query", "says"), [("part=3/3", "part=0/20"), ("part=x", "part=0/20"), ("max_age=soon", "max_age=2")]
    )
    async def test_what_cannot_be_understood_is_answered_with_an_example(
        self, site: Site, query: str, says: str
    ) -> None:
        response, body = await site.ask(f"/metrics?{query}")
        assert response.status == 400
        assert response.content_type == "text/plain"
        assert says in body.decode()

    async def test_scrapes_are_counted_and_timed(self, site: Site) -> None:
        for _ in range(3):
            await site.ask("/metrics")
        assert site.count("redis_exporter_scrapes_total") == 3
        samples = samples_of(site.own_series.render().decode())
        name = "redis_exporter_http_request_duration_seconds_count"
        assert samples[name, frozenset({("endpoint", "metrics")})] == 3

    async def test_an_endpoint_has_series_from_its_first_request_on(self, site: Site) -> None:
        await site.ask("/metrics")
        assert set(site.own_series.seconds_by_endpoint) == {"metrics"}
        await site.ask("/-/healthy")
        assert set(site.own_series.seconds_by_endpoint) == {"metrics", "healthy"}

    async def test_the_routes_are_those_of_the_table(self, site: Site) -> None:
        found = {
            (route.method, route.resource.canonical)
            for route in site.web.app().router.routes()
            if route.resource is not None
        }
        assert found == {(method, row.path) for row in routes("/metrics") for method in row.methods}

    async def test_the_path_is_a_setting(self, site: Site) -> None:
        await site.start(telemetry_path="/values")
        assert "redis_up" in await site.text("/values")
        await site.text("/metrics", 404)


class TestMaxAge:
    async def test_what_is_older_is_polled_and_the_page_shows_it(self, site: Site) -> None:
        await site.text("/metrics")
        for clients, watched in enumerate(site.fleet.watched_targets.values(), 10):
            watched.poll = lambda addr=watched.target.addr, clients=clients: site.store_fixture.add(
                addr, clients=clients
            )  # type: ignore[misc]
        assert values_of(await site.text("/metrics?max_age=0"), "redis_connected_clients") == {A: 10, B: 11}
        assert [watched.asked[0][0] for watched in site.fleet.watched_targets.values()] == [0.0, 0.0]

    async def test_only_the_targets_on_the_page_are_polled(self, site: Site) -> None:
        await site.text("/metrics?group=blue&max_age=3")
        assert [len(watched.asked) for watched in site.fleet.watched_targets.values()] == [1, 0]

    async def test_of_which_lanes(self, site: Site) -> None:
        watched = site.fleet.watched_targets[A]
        for path in ("/metrics?max_age=0", f"/scrape?target={A}&max_age=0"):
            await site.text(path)
            assert {*watched.lanes} == {Lane.FAST}
            await site.text(f"{path}&lanes=all")
            assert {*watched.lanes} == {Lane.FAST, Lane.STANDARD, Lane.SLOW}
            assert "lanes: write all" in await site.text(f"{path}&lanes=scan", 400)

    async def test_the_wait_is_bounded_by_the_scraper_s_timeout(self, site: Site) -> None:
        ended = asyncio.get_running_loop().create_future()
        site.fleet.watched_targets[A].polling = ended
        before = time.monotonic()
        text = await site.text("/metrics?max_age=3", 200, **{"X-Prometheus-Scrape-Timeout-Seconds": "0.5"})
        assert 0.4 <= time.monotonic() - before < PATIENCE_S
        assert values_of(text, "redis_connected_clients") == {A: 1, B: 2}
        ended.set_result(None)

    async def test_so_is_that_of_a_request_for_one_target(self, site: Site) -> None:
        before = time.monotonic()
        await site.text(
            f"/scrape?target={A}&max_age=3", 200, **{"X-Prometheus-Scrape-Timeout-Seconds": "100"}
        )
        [(_, deadline)] = site.fleet.watched_targets[A].asked
        assert before + 80 <= deadline <= time.monotonic() + 80

    async def test_without_it_nothing_is_polled(self, site: Site) -> None:
        await site.text("/metrics")
        assert site.fleet.watched_targets[A].asked == []


class TestFirstPolls:
    async def test_a_scrape_waits_for_its_end(self, site: Site) -> None:
        site.fleet.first_round.polled.clear()
        scrape = asyncio.ensure_future(site.text("/metrics"))
        await until(lambda: site.fleet.first_round.waited_s)
        assert not scrape.done()
        site.store_fixture.add(A, group="blue", clients=7)
        site.fleet.first_round.polled.set()
        assert values_of(await scrape, "redis_connected_clients")[A] == 7

    @pytest.mark.parametrize(
        ("timeout", "at_least", "at_most"),
        [({}, 0.0, 2.0), ({"X-Prometheus-Scrape-Timeout-Seconds": "100"}, 2.0, 80.0)],
    )
    async def test_but_no_longer_than_the_scraper_would(
        self, site: Site, timeout: dict[str, str], at_least: float, at_most: float
    ) -> None:
        site.fleet.first_round.polled.clear()
        scrape = asyncio.ensure_future(site.text("/metrics", 200, **timeout))
        await until(lambda: site.fleet.first_round.waited_s)
        site.fleet.first_round.polled.set()
        await scrape
        assert at_least < site.fleet.first_round.waited_s[0] <= at_most

    async def test_nor_for_a_client_that_has_left(self, site: Site) -> None:
        site.fleet.first_round.polled.clear()
        incidents = Incidents()
        guard = Guard(HttpLimits(), incidents)
        listener = Listener(site.web.app(), guard, site.web.source())
        await listener.start("127.0.0.1:0")
        seconds = site.own_series.request_seconds("metrics")
        try:
            with socket.create_connection(listener.addresses[0]) as client:
                client.sendall(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")  # aiohttp reads what is no GET
                await until(lambda: site.fleet.first_round.waited_s)
                assert (len(guard), sum(seconds.counts)) == (1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await until(lambda: sum(seconds.counts) == 1)
            assert (len(guard), incidents.counts["internal"]) == (0, 0)
        finally:
            await listener.stop()

    async def test_who_comes_during_it_sees_what_is_there_by_now(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def give_up(timeout_s: float) -> None:
            pass

        monkeypatch.setattr(site.fleet.first_round, "wait", give_up)
        site.fleet.first_round.polled.clear()
        await site.text("/metrics")
        site.store_fixture.add(B, clients=9)
        assert values_of(await site.text("/metrics"), "redis_connected_clients")[B] == 9

    async def test_it_waits_for_the_first_scans_too(self, site: Site) -> None:
        site.fleet.first_round.scanned.clear()
        scrape = asyncio.ensure_future(site.text("/metrics"))
        await until(lambda: site.fleet.first_round.waited_s)
        assert not scrape.done()
        site.store_fixture.add(A, group="blue", clients=7)
        site.fleet.first_round.scanned.set()
        assert values_of(await scrape, "redis_connected_clients")[A] == 7

    async def test_but_not_for_scans_where_it_asks_for_fresh_values(self, site: Site) -> None:
        site.fleet.first_round.scanned.clear()
        await site.text("/metrics?max_age=0")
        assert site.fleet.first_round.waited_s == []

    async def test_afterwards_nobody_waits(self, site: Site) -> None:
        await site.text("/metrics")
        assert site.fleet.first_round.waited_s == []


class TestWhoAsks:
    """What the status pages know of clients."""

    async def test_pages_and_programs_are_noted(self, site: Site) -> None:
        await site.ask("/metrics?group=blue", **{"User-Agent": "Prometheus/3.0 \u202e"})
        (visits,) = site.scrape_log.visits()
        assert visits.scraper == Scraper("127.0.0.1", "Prometheus/3.0 ")
        assert visits.selection == Selection(group="blue")

    async def test_refused_requests_are_noted_without_what_they_held(self, site: Site) -> None:
        await site.text("/scrape?target=redis://u:secret@unknown:1", 403)
        site.auth = auth_of("prometheus", "right")
        await site.start()
        for path in ("/metrics?secret=1", "/secret/path", "/api/v1/targets/secret/pause"):
            await site.text(path, 401)
        found = [(each.status, each.address, each.path) for each in site.incidents.refused]
        assert found == [
            (401, "127.0.0.1", "/api/v1/targets/{name}/pause"),
            (401, "127.0.0.1", ""),
            (401, "127.0.0.1", "/metrics"),
            (403, "127.0.0.1", "/scrape"),
        ]


class TestSd:
    async def test_lists_all_targets_for_prometheus(self, site: Site) -> None:
        response, body = await site.ask("/sd")
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert [each["targets"] for each in json.loads(body)] == [[A], [B]]
        assert json.loads(await site.text("/sd?group=blue")) == []

    async def test_a_list_that_may_miss_some_is_an_error_until_they_had_their_time(self, site: Site) -> None:
        site.fleet.first_round.polled.clear()
        assert await site.text("/sd", 503) == "not every target was attempted yet\n"
        await site.start(ready_after_s=0.0)
        assert len(json.loads(await site.text("/sd"))) == 2

    async def test_a_group_that_is_too_long_is_refused(self, site: Site) -> None:
        assert "group: at most" in await site.text(f"/sd?group={'x' * 2000}", 400)


class TestScrape:
    @pytest.mark.parametrize("target", ["first", A, "a", "REDIS://A", "redis://user:secret@a:6379/0"])
    async def test_one_target_by_alias_or_address_without_its_labels(self, site: Site, target: str) -> None:
        text = await site.text(f"/scrape?target={target}")
        assert values_of(text, "redis_connected_clients") == {"": 1}
        assert "blue" not in text
        assert SELF.decode() not in text
        assert 'redis_exporter_snapshot_age_seconds{lane="fast"}' in text
        assert site.count("redis_exporter_scrapes_total") == 1

    async def test_its_scrapes_are_noted_and_not_those_that_are_refused(self, site: Site) -> None:
        for target, status in (("first", 200), (B, 200), ("redis://unknown:1", 403)):
            await site.text(f"/scrape?target={target}", status)
        assert site.scraped == [A, B]
        (visits,) = site.scrape_log.visits()
        assert (visits.selection, visits.requests, visits.sample) == (None, 2, A)
        assert visits.scraper.address == "127.0.0.1"

    async def test_with_its_labels_where_that_is_asked_for(self, site: Site) -> None:
        await site.start(plain_targets=False)
        text = await site.text(f"/scrape?target={A}")
        assert values_of(text, "redis_connected_clients") == {A: 1}

    async def test_gzip_is_one_member(self, site: Site) -> None:
        response, body = await site.ask(f"/scrape?target={A}", **{"Accept-Encoding": "gzip"})
        assert response.headers["Content-Type"] == CONTENT_TYPE
        assert b"redis_connected_clients 1\n" in gunzip_one(body)

    @pytest.mark.parametrize(
        ("path", "status", "says"),
        [
            ("/scrape", 400, "/scrape?target=redis://"),
            ("/scrape?target=", 400, "/scrape?target=redis://"),
            ("/scrape?target=http://a", 400, "redis://"),
            ("/scrape?target=://nope", 400, "redis://"),
            ("/scrape?target=redis://a:6379x", 400, "port"),
            (f"/scrape?target={A}&check-streams=1=2=3=4", 400, "check-streams"),
            (f"/scrape?target={A}&max_age=soon", 400, "max_age=2"),
            ("/scrape?target=redis://elsewhere:6379", 403, "--redis.addr"),
        ],
    )
    async def test_what_cannot_be_answered_says_what_to_write_and_is_counted(
        self, site: Site, path: str, status: int, says: str
    ) -> None:
        assert says in await site.text(path, status)
        assert site.count("redis_target_scrape_request_errors_total") == 1
        assert site.count("redis_exporter_scrapes_total") == 0

    async def test_a_target_that_is_switched_off_is_refused_with_the_reason(self, site: Site) -> None:
        site.refusals = {"redis://off:6379": "it is off", "an alias": "so is this"}
        site.adopt = lambda asked, deadline: pytest.fail("it may not be polled")
        await site.start(discover_clusters=True)
        assert await site.text("/scrape?target=redis://off:6379", 403) == "it is off\n"
        assert await site.text("/scrape?target=an%20alias", 403) == "so is this\n"
        assert site.count("redis_target_scrape_request_errors_total") == 2
        assert await site.text("/discover-cluster-nodes?target=an%20alias", 403) == "so is this\n"

    async def test_a_target_of_another_shard_is_misdirected(self, site: Site) -> None:
        site.owners = {"redis://there:6379": 3, "an alias": 0}
        await site.start()
        assert "shard 3" in await site.text("/scrape?target=redis://there:6379", 421)
        assert "shard 0" in await site.text("/scrape?target=an%20alias", 421)
        assert site.count("redis_target_scrape_request_errors_total") == 2
        await site.text("/scrape?target=redis://elsewhere:6379", 403)
        await site.text(f"/scrape?target={A}")

    @pytest.mark.parametrize(
        "target", ["http://user:s3cret@a", "redis://user:s3cret@elsewhere", "redis://user:s3cret/x@a"]
    )
    async def test_no_refusal_repeats_a_password(self, site: Site, target: str) -> None:
        response, body = await site.ask(f"/scrape?target={target}")
        assert response.status in (400, 403)
        assert b"s3cret" not in body

    async def test_a_node_of_a_cluster_is_adopted(self, site: Site) -> None:
        site.store_fixture.add("redis://node:7000", clients=7)
        asked: list[str] = []

        async def adopt(request: Asked, deadline: float) -> FakeWatch:
            asked.append(request.text)
            return FakeWatch(parse_address(request.text), None)

        await site.text("/scrape?target=redis://node:7000", 403)
        site.adopt = adopt
        await site.start()
        assert values_of(await site.text("/scrape?target=redis://node:7000"), "redis_connected_clients") == {
            "": 7
        }
        await site.text(f"/scrape?target={A}")
        assert asked == ["redis://node:7000"]

    @pytest.mark.parametrize(
        ("error", "status"), [(NotAllowedError("see --discover.allow"), 403), (PageError("too many"), 503)]
    )
    async def test_a_node_that_is_not_adopted_is_refused_with_the_reason(
        self, site: Site, error: Exception, status: int
    ) -> None:
        async def adopt(asked: Asked, deadline: float) -> FakeWatch:
            raise error

        site.adopt = adopt
        await site.start(discover_clusters=True)
        assert str(error) in await site.text("/scrape?target=redis://node:7000", status)
        assert site.count("redis_target_scrape_request_errors_total") == 1

    async def test_a_node_that_is_asked_for_in_the_first_round_waits_for_the_target_that_names_it(
        self, site: Site
    ) -> None:
        node = "redis://node:7000"
        site.store_fixture.add(node, clients=7)
        polled = site.fleet.first_round.polled
        polled.clear()

        async def adopt(asked: Asked, deadline: float) -> FakeWatch | None:
            return FakeWatch(parse_address(node), None) if polled.is_set() and asked.text == node else None

        site.adopt = adopt
        await site.start(discover_clusters=True)
        timeout = {"X-Prometheus-Scrape-Timeout-Seconds": "100"}
        scrape = asyncio.ensure_future(site.text(f"/scrape?target={node}", 200, **timeout))
        await until(lambda: bool(site.fleet.first_round.waited_s))
        assert not scrape.done()
        polled.set()
        assert values_of(await scrape, "redis_connected_clients") == {"": 7}
        [waited_s] = site.fleet.first_round.waited_s
        assert 70 < waited_s <= 80
        await site.text("/scrape?target=redis://other:7000", 403)

    async def test_a_node_that_nobody_can_name_yet_is_no_stranger(self, site: Site) -> None:
        async def adopt(asked: Asked, deadline: float) -> FakeWatch | None:
            return None

        async def wait_polls(timeout_s: float) -> None:
            """The time is up."""

        site.adopt = adopt
        site.fleet.first_round.polled.clear()
        site.fleet.first_round.wait_polls = wait_polls  # type: ignore[method-assign]
        await site.start(discover_clusters=True)
        assert "not every target" in await site.text("/scrape?target=redis://node:7000", 503)
        assert site.count("redis_target_scrape_request_errors_total") == 1

    async def test_switched_off_it_names_the_flag(self, site: Site) -> None:
        await site.start(scrape_endpoint=False)
        assert "--disable-scrape-endpoint" in await site.text(f"/scrape?target={A}", 404)

    async def test_a_target_that_is_down_is_answered_all_the_same(self, site: Site) -> None:
        site.store_fixture.add(A, group="blue", up=False)
        site.fleet.watched_targets[A].up = False
        assert values_of(await site.text(f"/scrape?target={A}"), "redis_up") == {"": 0}

    async def test_with_the_fail_policy_what_is_stale_is_503(self, site: Site) -> None:
        site.stale.add(A)
        assert "redis_up" in await site.text(f"/scrape?target={A}")
        await site.start(fail_when_stale=True)
        assert "too old" in await site.text(f"/scrape?target={A}", 503)
        assert "redis_up" in await site.text(f"/scrape?target={B}")

    async def test_a_target_that_was_never_tried_is_polled_first(self, site: Site) -> None:
        watched = site.fleet.watched_targets[A]
        watched.up = None
        watched.poll = lambda: site.store_fixture.add(A, clients=8)
        assert values_of(await site.text(f"/scrape?target={A}"), "redis_connected_clients") == {"": 8}
        assert len(watched.asked) == 1
        assert site.fleet.watched_targets[B].asked == []

    async def test_one_whose_first_scan_has_not_ended_is_waited_for(self, site: Site) -> None:
        watched = site.fleet.watched_targets[A]
        watched.scanned = False
        watched.poll = lambda: site.store_fixture.add(A, clients=8)
        assert values_of(await site.text(f"/scrape?target={A}"), "redis_connected_clients") == {"": 8}
        assert [max_age_s for max_age_s, _ in watched.asked] == [None]

    async def test_max_age_polls_what_is_older(self, site: Site) -> None:
        watched = site.fleet.watched_targets[A]
        watched.poll = lambda: site.store_fixture.add(A, clients=8)
        assert values_of(await site.text(f"/scrape?target={A}&max_age=1.5"), "redis_connected_clients") == {
            "": 8
        }
        assert [max_age_s for max_age_s, _ in watched.asked] == [1.5]


class TestHealth:
    OK = '{"status":"ok"}'
    ERROR = '{"status":"error","message":"Cannot connect to Redis"}'

    @pytest.mark.parametrize(
        ("ups", "body"),
        [
            ((True, True), OK),
            ((True, False), OK),
            ((None, False), OK),
            ((None, None), OK),
            ((False, False), ERROR),
        ],
    )
    async def test_is_ok_unless_no_target_can_be_reached(
        self, site: Site, ups: tuple[bool | None, bool | None], body: str
    ) -> None:
        for watched, up in zip(site.fleet.watched_targets.values(), ups, strict=True):
            watched.up = up
        response, got = await site.ask("/health")
        assert (response.status, got.decode()) == (200, body)
        assert response.content_type == "application/json"

    @pytest.mark.parametrize(("path", "setting"), [("/health?strict=1", False), ("/health", True)])
    async def test_is_503_then_if_asked_to_be_strict(self, site: Site, path: str, setting: bool) -> None:
        await site.start(health_strict=setting)
        assert await site.text(path, 200) == self.OK
        for watched in site.fleet.watched_targets.values():
            watched.up = False
        assert await site.text(path, 503) == self.ERROR

    async def test_healthy_while_the_loop_turns(self, site: Site) -> None:
        assert await site.text("/-/healthy") == "ok\n"
        site.turned_at = time.monotonic() - 1
        assert await site.text("/-/healthy") == "ok\n"
        site.turned_at = time.monotonic() - 6  # more than the 5 seconds that are allowed
        assert "event loop" in await site.text("/-/healthy", 503)

    async def test_ready_once_every_target_was_attempted(self, site: Site) -> None:
        site.fleet.first_round.polled.clear()
        await site.text("/-/ready", 503)
        site.fleet.first_round.polled.set()
        assert await site.text("/-/ready") == "ok\n"

    async def test_ready_also_once_a_deadline_has_passed(self, site: Site) -> None:
        site.fleet.first_round.polled.clear()
        await site.start(ready_after_s=0.0)
        assert await site.text("/-/ready") == "ok\n"


class TestReload:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    async def test_can_be_switched_off(self, site: Site, method: str) -> None:
        def fail() -> Reloaded:
            raise AssertionError("it is not to be called")

        site.reload = fail
        await site.start(reload_requests=False)
        response, _ = await site.ask("/-/reload", method)
        assert response.status == 403

    async def test_is_refused_to_web_pages_and_that_is_noted(self, site: Site) -> None:
        response, _ = await site.ask("/-/reload", "POST", Origin="http://evil.example")
        assert response.status == 403
        assert [(each.status, each.path) for each in site.incidents.refused] == [(403, "/-/reload")]


class TestAll:
    @pytest.mark.parametrize(
        "path", ["/nothing", "/metrics2", "/scrape2", "/foo/bar", "/metrics/", "/-/nothing"]
    )
    async def test_what_is_not_there_is_404_as_text(self, site: Site, path: str) -> None:
        response, _ = await site.ask(path)
        assert (response.status, response.content_type) == (404, "text/plain")

    @pytest.mark.parametrize(
        "head", [b"OPTIONS * HTTP/1.1", b"CONNECT h:80 HTTP/1.1", b"CONNECT /metrics HTTP/1.1"]
    )
    async def test_requests_that_name_no_path_of_a_page_are_404(self, site: Site, head: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(head + b"\r\nHost: x\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), PATIENCE_S)).startswith(b"HTTP/1.1 404 ")
        writer.close()

    @pytest.mark.parametrize("path", ["/metrics", "/scrape", "/health", "/-/healthy", "/-/ready"])
    async def test_only_get_and_head_are_answered(self, site: Site, path: str) -> None:
        for method in ("POST", "PUT", "DELETE"):
            response, _ = await site.ask(path, method)
            assert response.status == 405
        head, body = await site.ask(f"{path}?target={A}", "HEAD")
        assert (head.status, body) == (200, b"")

    @pytest.mark.parametrize("answer", ["health", "discover_cluster_nodes"])
    async def test_many_answers_that_look_at_all_targets_leave_turns_of_the_loop_to_others(
        self, site: Site, answer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await site.start(discover_clusters=True)
        turn, looks = 0, Counter[int]()

        def look(*args: object, **named: object) -> tuple[int, str]:
            """Of many targets it takes some milliseconds."""
            looks[turn] += 1
            time.sleep(0.003)
            return 200, "[]"

        monkeypatch.setattr(cluster_discovery, "answer", look)
        monkeypatch.setattr(FakeWatch, "up", property(lambda watched: look() and None), raising=False)
        request = make_mocked_request("GET", f"/?target={A}")
        answers = [asyncio.ensure_future(getattr(site.web, answer)(request)) for _ in range(20)]
        while not all(each.done() for each in answers):
            await asyncio.sleep(0)
            turn += 1
        assert sum(looks.values()) >= 20
        assert max(looks.values()) <= 6

    async def test_a_client_that_leaves_early_harms_nobody(self, site: Site) -> None:
        text = b"# HELP x X.\n# TYPE x gauge\n" + b"".join(b'x{n="%d"} 1\n' % n for n in range(200_000))
        site.store_fixture.exposition._self_series = lambda: text
        await site.text("/metrics")
        assert site._server is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", site._server.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(reader.readline(), PATIENCE_S)
        writer.transport.abort()
        assert "redis_up" in await site.text("/metrics")


class TestKeyParameters:
    @pytest.mark.parametrize(
        "name", ["check-keys", "check-single-keys", "check-streams", "check-single-streams", "count-keys"]
    )
    async def test_of_scrape_make_a_target_of_their_own(self, site: Site, name: str) -> None:
        asked: list[Asked] = []

        async def adopt(request: Asked, deadline: float) -> FakeWatch:
            asked.append(request)
            return FakeWatch(parse_address(B), True)

        site.adopt = adopt
        await site.start()
        text = await site.text(f"/scrape?target={A}&{name}=db3=key*")
        assert values_of(text, "redis_connected_clients") == {"": 2}
        [(flag, [key])] = asked[0].overrides
        assert (flag, key.db, key.name) == (name, 3, b"key*")
        assert values_of(await site.text(f"/scrape?target={A}"), "redis_connected_clients") == {"": 1}
        assert name in await site.text(f"/scrape?target={A}&{name}=a=b=c", 400)
        assert len(asked) == 1

    @pytest.mark.parametrize(
        "query",
        ["tls_server_name=x", "tls-server-name=x", "check-keys=", "check-keys=,,,", "other=x"],
    )
    async def test_others_and_empty_lists_are_let_pass(self, site: Site, query: str) -> None:
        assert "redis_up" in await site.text(f"/scrape?target={A}&{query}")


async def test_a_scraper_has_the_name_that_limits_know_its_client_by(site: Site) -> None:
    await site.start(host="::1")
    await site.ask("/metrics")
    (scraper,) = site.pages._whole.scrapers.habits
    assert scraper.address == "::/64"  # type: ignore[attr-defined]
