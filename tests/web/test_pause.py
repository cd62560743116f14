"""Requests that pause a target, over real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from exporter.errors import ConfigError, RequestError
from exporter.web.pause import FOR_MAX_S, answer, for_s
from tests.servers import PATIENCE_S

ADDR = "redis://a:6379/2"


class Paused:
    """One target, which is called first."""

    def __init__(self) -> None:
        self.ends: dict[str, float] = {}

    def find(self, text: str) -> str | None:
        if text.startswith("redis://:"):
            raise ConfigError("no host")
        return ADDR if text in ("first", ADDR) else None

    def until(self, addr: str) -> float | None:
        return self.ends.get(addr)

    def begin(self, addr: str, for_s: float) -> float:
        self.ends[addr] = time.time() + for_s
        return self.ends[addr]

    def end(self, addr: str) -> None:
        self.ends.pop(addr, None)


class Site:
    def __init__(self) -> None:
        self.pauses = Paused()
        self.is_allowed = True

    async def start(self) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return answer(request, self.pauses, is_allowed=self.is_allowed)
            except RequestError as error:
                return web.Response(status=400, text=str(error))

        app = web.Application()
        app.router.add_route("*", "/api/v1/targets/{name}/pause", handle)
        self.server = TestServer(app)
        await self.server.start_server()
        self.client = ClientSession()

    async def ask(self, method: str, name: str = "first", more: str = "", **headers: str) -> tuple[int, str]:
        url = str(self.server.make_url("/")) + f"api/v1/targets/{quote(name, safe='')}/pause{more}"
        async with self.client.request(method, URL(url, encoded=True), headers=headers) as response:
            return response.status, await response.text()

    async def state(self, method: str, name: str = "first", more: str = "") -> dict[str, object]:
        status, text = await self.ask(method, name, more)
        assert status == 200, text
        found: dict[str, object] = json.loads(text)
        return found


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.start()
    yield site
    await site.client.close()
    await site.server.close()


@pytest.mark.asyncio
class TestAnswers:
    async def test_post_pauses_get_shows_and_delete_ends(self, site: Site) -> None:
        assert await site.state("GET") == {"addr": ADDR, "paused": False}
        paused = await site.state("POST", more="?for=30m")
        assert paused == await site.state("GET")
        assert (paused["addr"], paused["paused"]) == (ADDR, True)
        assert str(paused["until"]).endswith("+00:00")
        assert site.pauses.ends[ADDR] == pytest.approx(time.time() + 1800, abs=PATIENCE_S)
        assert await site.state("DELETE") == {"addr": ADDR, "paused": False}
        assert await site.state("DELETE") == {"addr": ADDR, "paused": False}

    async def test_the_name_may_be_an_address_whose_slashes_are_escaped(self, site: Site) -> None:
        assert (await site.state("POST", ADDR))["paused"] is True

    async def test_without_a_time_it_is_ten_minutes(self, site: Site) -> None:
        await site.state("POST")
        assert site.pauses.ends[ADDR] == pytest.approx(time.time() + 600, abs=PATIENCE_S)

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    async def test_a_wrong_name_is_not_found(self, site: Site, method: str) -> None:
        assert (await site.ask(method, "nobody"))[0] == 404
        assert (await site.ask(method, "redis://:x"))[0] == 404

    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    async def test_without_the_flag_nothing_changes_and_the_answer_names_it(
        self, site: Site, method: str
    ) -> None:
        site.is_allowed = False
        status, text = await site.ask(method)
        assert status == 403
        assert "--web.enable-lifecycle" in text
        assert (await site.state("GET"))["paused"] is False

    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    async def test_web_pages_may_not_change_anything(self, site: Site, method: str) -> None:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "same-site"},
            {"User-Agent": "Mozilla/5.0 (X11)"},
        ):
            status, text = await site.ask(method, **headers)
            assert status == 403
            assert "web pages" in text
        assert site.pauses.ends == {}

    @pytest.mark.parametrize("text", ["", "x", "30", "-5m", "0", "25h", "100ms"])
    async def test_a_wrong_time_changes_nothing_and_says_what_to_write(self, site: Site, text: str) -> None:
        status, said = await site.ask("POST", more=f"?for={text}")
        assert status == 400
        assert said.startswith("for: ")
        assert site.pauses.ends == {}


class TestFor:
    @pytest.mark.parametrize(("text", "seconds"), [("1s", 1.0), ("1h30m", 5400.0), ("24h", FOR_MAX_S)])
    def test_is_a_go_duration(self, text: str, seconds: float) -> None:
        assert for_s(text) == seconds
