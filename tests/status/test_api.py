"""The JSON API, over real sockets of the loopback address."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer
from jsonschema import Draft202012Validator

from exporter.errors import RequestError
from exporter.fleet.fleet import STATES
from exporter.options.endpoints import ROUTES
from exporter.status.api import OPERATIONS, TABLES_MAX, ApiAnswers, ApiSources
from exporter.status.api_answers import BuildStatus, ExporterStatus, ProcessStatus, ReloadStatus, ShardStatus
from exporter.status.cardinality import Cardinality, CardinalitySources
from exporter.status.fleet_table import FleetTable
from exporter.status.scraper_rows import ScraperSources, ScraperTable
from tests.status.members import Members, no_share
from tests.store_fixture import StoreFixture, until

STATUS = ExporterStatus(
    version="1.2.3",
    build=BuildStatus("c0ffee", "20261129", "3.11", "compiled"),
    started_at=1.0,
    uptime_s=2.0,
    is_ready=True,
    counts={"up": 1},
    adopted=0,
    reload=ReloadStatus(True, 3.0),
    listen_addresses=["127.0.0.1:9121"],
    config_files=[],
    shard=ShardStatus(0, 2, 5),
    process=ProcessStatus(None, 1.5, 7),
)


class Api:
    """The answers alone, and a client of them."""

    def __init__(self) -> None:
        self.members = Members()
        stored = StoreFixture()
        table = FleetTable(self.members, no_share)
        reports = Cardinality(
            CardinalitySources(
                stored.store, lambda: stored.catalog.family_sets, table.members, lambda: (1, 1), no_share
            )
        )
        scrapers = ScraperTable(ScraperSources(list, list, lambda now: {}, dict, float, "/metrics", True))
        self.noted: list[str] = []
        sources = ApiSources(
            table, scrapers, reports, lambda: STATUS, no_share, csv_bytes=100_000, note=self.noted.append
        )
        self.answers = ApiAnswers(sources, "1.2.3")

    async def start(self) -> None:
        app = web.Application(middlewares=[mistakes])
        for operation in OPERATIONS:
            (path,) = (route.path for route in ROUTES if route.name == operation.route)
            app.router.add_get(path, getattr(self.answers, operation.route.replace("-", "_")))
        self.server = TestServer(app)
        await self.server.start_server()
        self.client = ClientSession()

    async def stop(self) -> None:
        await self.client.close()
        await self.server.close()

    async def ask(self, path: str, status: int = 200) -> tuple[ClientResponse, str]:
        async with self.client.get(self.server.make_url(path)) as response:
            text = await response.text()
            assert response.status == status, text
            return response, text

    async def json(self, path: str) -> Any:
        response, text = await self.ask(path)
        assert response.content_type == "application/json"
        return json.loads(text)

    async def table(self, **query: str) -> Any:
        return await self.json(
            "/api/v1/targets?" + "&".join(f"{name}={value}" for name, value in query.items())
        )


@web.middleware
async def mistakes(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except RequestError as error:
        return web.Response(status=400, text=str(error))
    return answer


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    await api.start()
    yield api
    await api.stop()


async def test_a_page_of_the_table(api: Api) -> None:
    for number in range(7):
        api.members.add(f"h{number}", "up", alias=f"up {number}")
    api.members.add("gone", "down", alias="down")
    api.members.add("slow", "stale", alias="z")
    answer = await api.table(size="3", page="2", sort="name")
    assert answer["counts"] == {**dict.fromkeys(STATES, 0), "up": 8, "down": 1}
    assert (answer["stale"], answer["total"], answer["page"], answer["pages"], answer["size"]) == (
        1,
        9,
        2,
        3,
        3,
    )
    assert [row["name"] for row in answer["targets"]] == ["up 2", "up 3", "up 4"]
    assert answer["targets"][0]["lanes"][0]["lane"] == "fast"
    (only,) = (await api.table(state="down"))["targets"]
    assert (only["reason"], only["role"], only["poll_p50_s"]) == ("refused", "master", 0.25)


async def test_an_empty_table(api: Api) -> None:
    answer = await api.table(q="nothing")
    assert (answer["total"], answer["targets"]) == (0, [])


@pytest.mark.parametrize("path", ["/api/v1/targets", "/api/v1/targets.csv"])
async def test_a_mistake_is_told(api: Api, path: str) -> None:
    _, text = await api.ask(f"{path}?sort=colour", 400)
    assert "such as sort=age" in text


async def test_csv_has_all_rows_of_the_query(api: Api) -> None:
    for number in range(12):
        api.members.add(f"h{number}", "up", alias=f"=up {number:02}")
    api.members.add("gone", "down")
    response, text = await api.ask("/api/v1/targets.csv?state=up&sort=-name&size=2&page=3")
    assert response.headers["Content-Disposition"] == 'attachment; filename="targets.csv"'
    assert response.content_type == "text/csv"
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["name"] for row in rows] == [f"'=up {number:02}" for number in range(11, -1, -1)]


async def test_a_table_that_is_too_large_says_what_to_ask_for_instead(api: Api) -> None:
    for number in range(1000):
        api.members.add(f"h{number}", "up", alias=f"a long name {number:0100}")
    _, text = await api.ask("/api/v1/targets.csv", 400)
    assert text == (
        "the table has more than 100,000 bytes (--web.max-csv-bytes): ask for less with state= or q=, or for "
        "pages of /api/v1/targets\n"
    )
    _, text = await api.ask("/api/v1/targets.csv?q=999")
    assert len(text.splitlines()) == 2


async def test_some_tables_are_written_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, waiting = asyncio.Event(), []

    async def wait(request: web.Request, query: object) -> web.Response:
        waiting.append(query)
        await let_go.wait()
        return web.Response(text="done")

    monkeypatch.setattr(api.answers, "_send_table", wait)
    tables = [asyncio.ensure_future(api.ask("/api/v1/targets.csv")) for _ in range(TABLES_MAX)]
    await until(lambda: len(waiting) == TABLES_MAX)
    response, _ = await api.ask("/api/v1/targets.csv", 429)
    assert response.headers["Retry-After"] == "1"
    assert api.noted == ["too_many_tables"]
    let_go.set()
    await asyncio.gather(*tables)
    monkeypatch.undo()
    await api.ask("/api/v1/targets.csv")
    assert api.noted == ["too_many_tables"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.route)
async def test_answers_are_as_described_and_are_kept_nowhere(api: Api, operation: Any) -> None:
    api.members.add("h", "up", alias="up", labels=(("a", "b"),))
    api.members.add("gone", "down")
    api.members.add("still", "paused")
    (path,) = (route.path for route in ROUTES if route.name == operation.route)
    response, text = await api.ask(path)
    assert response.headers["Cache-Control"] == "no-store"
    described = await api.json("/api/v1/openapi.json")
    content = described["paths"][path]["get"]["responses"]["200"]["content"]
    assert list(content) == [response.content_type]
    if response.content_type == "application/json":
        schema = {**content["application/json"]["schema"], "components": described["components"]}
        Draft202012Validator(schema).validate(json.loads(text))


async def test_the_exporter_itself(api: Api) -> None:
    answer = await api.json("/api/v1/status")
    assert answer["shard"] == {"index": 0, "total": 2, "targets": 5}
    assert answer["process"] == {"resident_bytes": None, "cpu_seconds": 1.5, "open_files": 7}
