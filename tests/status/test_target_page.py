"""The page of one target, its JSON and its traced polls, with real servers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator

from bench.ports import free_port
from exporter.pages.plain_pieces import PlainPieces
from exporter.polling import tracer
from exporter.status import target_page, target_values, trace_door
from exporter.status.target_page import FORM_BYTES
from exporter.status.target_values import FILTER_MAX
from exporter.targets.address import parse_address
from tests.servers import Certificates, RedisServer, ScriptedServer, answers
from tests.status.target_site import TargetSite, of, token_of
from tests.store_fixture import until
from tests.watch_harness import others

RedisFactory = Callable[..., RedisServer]
ScriptFactory = Callable[..., ScriptedServer]
SECRET = "s3cret-of-mine"
HOSTILE = '../a b/"<script>alert(1)</script>\u202e?#é%2F'


@pytest.fixture
async def site() -> AsyncIterator[TargetSite]:
    site = TargetSite()
    yield site
    await site.stop()
    assert others() == set()


def texts(page: str) -> str:
    """What a reader sees."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


async def test_shows_state_polls_values_and_settings(site: TargetSite, redis_server: RedisFactory) -> None:
    server = redis_server()
    target = of(server.port, alias="orders", labels=(("team", "web"),))
    await site.start(target, flags=["--check-keys=cart:*", "--poll.standard-interval=7s"])
    await site.polled(target)
    page = await site.ask("targets/orders")
    assert page.status == 200
    seen = texts(page.text)
    for part in ("orders", "up", "master", target.addr, "Label team web", "redis_connected_clients"):
        assert part in seen
    assert "Number of client connections" in seen or "connections" in seen
    assert '<svg class="plot polls"' in page.text
    assert "--poll.standard-interval 7s flag" in seen
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert not re.search(r'(src|href|action)="(https?:)?//', page.text)
    by_address = await site.ask(f"targets/127.0.0.1:{server.port}")
    assert by_address.status == 200
    assert (await site.ask("targets/orders", "HEAD")).status == 200


async def test_values_can_be_filtered_and_are_cut(
    site: TargetSite, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = of(redis_server().port)
    await site.start(target)
    await site.polled(target)
    name = f"127.0.0.1:{target.port}"
    found = re.findall(r"<code>(redis_\w+)</code> <i>", (await site.ask(f"targets/{name}?q=uptime")).text)
    assert found
    assert all("uptime" in each for each in found)
    assert "No value fits" in (await site.ask(f"targets/{name}?q=%3Cscript%3E")).text
    assert "&lt;script&gt;" in (await site.ask(f"targets/{name}?q=%3Cscript%3E")).text
    too_long = await site.ask(f"targets/{name}?q={'x' * (FILTER_MAX + 1)}")
    assert (too_long.status, f"at most {FILTER_MAX}" in too_long.text) == (400, True)
    monkeypatch.setattr(target_values, "SHOWN_MAX", 5)
    cut = texts((await site.ask(f"targets/{name}")).text)
    assert "The first 5 are shown" in cut
    assert "all of them" in cut


async def test_a_large_page_is_inflated_while_it_is_read(
    site: TargetSite, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated: list[int] = []
    inflate, read = PlainPieces._inflate, target_values.served_values

    def count(pieces: PlainPieces, number: int) -> bytes:
        inflated.append(number)
        return inflate(pieces, number)

    async def from_the_start(pieces: Iterable[bytes], *more: Any) -> target_values.ServedValues:
        assert inflated == []
        return await read(pieces, *more)

    target = of(redis_server().port)
    await site.start(target)
    await site.polled(target)
    monkeypatch.setattr(PlainPieces, "_inflate", count)
    monkeypatch.setattr(target_page, "served_values", from_the_start)
    assert (await site.ask(f"api/v1/targets/127.0.0.1:{target.port}")).status == 200
    assert inflated


@pytest.mark.parametrize("alias", [HOSTILE, "é" * 500, "…", "a&b=c"])
async def test_a_hostile_name_is_shown_as_it_is(site: TargetSite, alias: str) -> None:
    target = of(free_port(), alias=alias)
    await site.start(target)
    await site.polled(target)
    page = await site.ask(f"targets/{quote(alias, safe='')}", headers={})
    assert page.status == 200
    assert "<script>alert" not in page.text
    data = json.loads((await site.ask(f"api/v1/targets/{quote(alias, safe='')}")).text)
    assert data["target"]["row"]["alias"] == alias
    assert (await site.trace(alias)).status == 200


@pytest.mark.parametrize("alias", ["a/b", "..", "{}", "x/trace", "a~2Fb", "50%", "a%2Fb", ""])
async def test_the_link_of_the_table_leads_there_through_proxies_that_decode(
    site: TargetSite, alias: str
) -> None:
    target = replace(parse_address(f"rediss://127.0.0.1:{free_port()}/1"), alias=alias)
    await site.start(target)
    [link] = re.findall('href="(targets/[^"]+)"', (await site.ask("")).text)
    assert "%2F" not in link
    assert "/." not in link
    answer = await site.ask(f"api/v1/{link}")
    assert answer.status == 200
    assert json.loads(answer.text)["target"]["row"]["key"] == target.key
    assert f'action="../{link}/trace' in (await site.ask(link)).text
    assert (await site.ask(f"api/v1/{link}/pause")).status == 200


async def test_each_of_several_that_requests_made_of_a_target_has_a_page(
    site: TargetSite, redis_server: RedisFactory
) -> None:
    server = redis_server()
    target = of(server.port, alias="orders")
    await site.start(target)
    await site.polled(target)
    for name in ("first", "second"):
        await site.ask(f"scrape?target=orders&check-single-keys={name}")
    rows = json.loads((await site.ask("api/v1/targets?sort=name")).text)["targets"]
    assert [row["source"] for row in rows] == ["file", "adopted", "adopted"]
    assert len({row["name"] for row in rows}) == 3
    for row in rows:
        found = json.loads((await site.ask(f"api/v1/targets/{quote(row['name'])}")).text)["target"]
        assert found["row"]["key"] == row["key"]
        keys = [each["value"] for each in found["settings"] if each["flag"] == "check-single-keys"]
        assert bool(keys[0]) is (row["source"] == "adopted")


@pytest.mark.parametrize("name", ["unknown", "redis:%2F%2Fh:1:2", "%3Cscript%3E", "a%2Fb", "%FF"])
async def test_an_unknown_one_has_a_page_in_words(site: TargetSite, name: str) -> None:
    await site.start()
    page = await site.ask(f"targets/{name}")
    assert page.status == 404
    assert "No target here has this alias or address" in page.text
    assert '<a href="../">All targets</a>' in page.text
    assert "<script>" not in page.text
    data = await site.ask(f"api/v1/targets/{name}")
    assert data.status == 404
    assert data.text.startswith("No target here")


async def test_json_is_as_the_description_says(site: TargetSite, redis_server: RedisFactory) -> None:
    target = of(redis_server().port, alias="orders")
    await site.start(target)
    await site.polled(target)
    described = json.loads((await site.ask("api/v1/openapi.json")).text)
    answers = {
        ("get", "/api/v1/targets/{name}"): await site.ask("api/v1/targets/orders"),
        ("post", "/api/v1/targets/{name}/trace"): await site.ask("api/v1/targets/orders/trace", "POST"),
    }
    for (method, path), answer in answers.items():
        content = described["paths"][path][method]["responses"]["200"]["content"]
        schema = {**content["application/json"]["schema"], "components": described["components"]}
        Draft202012Validator(schema).validate(json.loads(answer.text))
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_dead_server_is_shown_with_its_failures(site: TargetSite, redis_server: RedisFactory) -> None:
    server = redis_server()
    target = of(server.port)
    await site.start(target)
    await site.polled(target)
    server.kill()
    await until(lambda: site.watched(target).up is False)
    page = await site.ask(f"targets/127.0.0.1:{target.port}")
    seen = texts(page.text)
    assert "next try in" in seen
    assert '<b class="reason">' in page.text
    assert '<p class="advice">' in page.text
    data = json.loads((await site.ask(f"api/v1/targets/127.0.0.1:{target.port}")).text)["target"]
    assert data["row"]["state"] == "down"
    assert data["polls"][0]["reason"]
    assert data["polls"][0]["error_text"]
    assert data["polls"][-1]["reason"] == ""
    traced = await site.trace(f"127.0.0.1:{target.port}")
    assert traced.status == 200
    assert "refused" in texts(traced.text)
    assert "Connected" in traced.text


async def test_refused_commands_come_with_the_rule_that_grants_them(
    site: TargetSite, redis_server: RedisFactory
) -> None:
    server = redis_server()
    server.ask("ACL", "SETUSER", "few", "on", f">{SECRET}", "~*", "+info", "+client|setname")
    target = of(server.port, alias="few", user="few", password=SECRET)
    await site.start(target)
    await site.polled(target)
    data = json.loads((await site.ask("api/v1/targets/few")).text)["target"]
    line = data["acl_line"]
    assert line.startswith("ACL SETUSER few +")
    assert "+slowlog|get" in line.split()
    page = await site.ask("targets/few")
    assert line in unescape(page.text)
    assert SECRET not in page.text + json.dumps(data)
    server.ask(*line.split())
    site.watched(target).ask_again()
    await until(lambda: not site.watched(target).state.memory.refusals.known)
    assert "The server refuses nothing" in (await site.ask("targets/few")).text


class TestTracedPoll:
    async def test_shows_each_command(self, site: TargetSite, redis_server: RedisFactory) -> None:
        server = redis_server("--requirepass", SECRET)
        target = of(server.port, alias="orders", password=SECRET)
        await site.start(target)
        await site.polled(target)
        answer = await site.trace("orders", "fast", "standard")
        assert answer.status == 200
        assert SECRET not in answer.text
        seen = texts(answer.text)
        for part in ("It went well.", "AUTH ***", "CLIENT SETNAME redis_exporter", "INFO", "text of", "µs"):
            assert part in seen
        data = await site.ask("api/v1/targets/orders/trace?lane=fast", "POST")
        while data.status == 429:  # one a second
            await asyncio.sleep(float(data.headers["Retry-After"]))
            data = await site.ask("api/v1/targets/orders/trace?lane=fast", "POST")
        trace = json.loads(data.text)["trace"]
        assert trace["lanes"] == ["fast"]
        assert list(trace["steps_s"]) == ["dns", "connect", "auth"]
        assert trace["commands"][0]["received"] > 1000

    @pytest.mark.server
    async def test_goes_over_tls(
        self, site: TargetSite, redis_server: RedisFactory, certificates: Certificates
    ) -> None:
        target = of(redis_server(certificates=certificates).port, alias="safe", scheme="rediss")
        files = (
            f"--tls-ca-cert-file={certificates.ca}",
            f"--tls-client-cert-file={certificates.client}",
            f"--tls-client-key-file={certificates.client_key}",
        )
        await site.start(target, flags=files)
        await site.polled(target)
        assert "TLS handshake" in (await site.trace("safe")).text

    async def test_a_get_polls_nothing(self, site: TargetSite, redis_server: RedisFactory) -> None:
        target = of(redis_server().port, alias="orders")
        await site.start(target)
        assert (await site.ask("targets/orders/trace")).status == 405
        assert (await site.ask("api/v1/targets/orders/trace")).status == 405

    async def test_wants_a_token_of_a_page(self, site: TargetSite) -> None:
        target, other = of(free_port(), alias="orders"), of(free_port(), alias="users")
        await site.start(target, other)
        token = token_of((await site.ask("targets/users")).text)
        for wrong in (token, "1.2", "x" * 100):
            answer = await site.trace("orders", token=wrong)
            assert answer.status == 403
            assert '<a href="../../">All targets</a>' in answer.text
        assert (await site.ask("targets/orders/trace", "POST")).status == 403

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://other.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    async def test_is_not_for_pages_of_others(self, site: TargetSite, headers: dict[str, str]) -> None:
        await site.start(of(free_port(), alias="orders"))
        refused = await site.trace("orders", headers=headers)
        assert refused.status == 403
        assert "proxy_set_header Host" in refused.text
        assert (await site.ask("api/v1/targets/orders/trace", "POST", headers=headers)).status == 403

    async def test_one_runs_at_a_time(
        self, site: TargetSite, scripted_server: ScriptFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trace_door, "PAUSE_S", 60.0)
        silent = of(scripted_server(answers(b"+OK\r\n")).port, alias="silent")
        await site.start(silent, flags=["--connection-timeout=1s", "--scrape-timeout=1s"])
        token = token_of((await site.ask("targets/silent")).text)
        many = await asyncio.gather(*[site.trace("silent", token=token) for _ in range(10)])
        assert sorted(answer.status for answer in many) == [200, *[429] * 9]
        refused = next(answer for answer in many if answer.status == 429)
        assert refused.headers["Retry-After"] == "1"
        assert "one begins a second" in refused.text

    async def test_only_where_requests_may_poll(self, site: TargetSite) -> None:
        target = of(free_port(), alias="orders")
        await site.start(target, flags=["--disable-scrape-endpoint"])
        page = await site.ask("targets/orders")
        assert "--disable-scrape-endpoint without --web.enable-lifecycle" in page.text
        assert "token" not in page.text
        assert "scrape?target=" not in page.text
        assert (await site.ask("api/v1/targets/orders/trace", "POST")).status == 403

    async def test_a_paused_target_is_left_alone(self, site: TargetSite) -> None:
        target = of(free_port(), alias="orders")
        await site.start(target, flags=["--web.enable-lifecycle"])
        await site.polled(target)
        assert (await site.ask("api/v1/targets/orders/pause", "POST")).status == 200
        page = await site.ask("targets/orders")
        assert "The target is paused: nothing is sent to it" in page.text
        assert (await site.ask("api/v1/targets/orders/trace", "POST")).status == 403

    @pytest.mark.parametrize("query", ["?lane=scan", "?lane=all", "?lane=%3Cb%3E"])
    async def test_other_lanes_are_a_mistake(self, site: TargetSite, query: str) -> None:
        await site.start(of(free_port(), alias="orders"))
        answer = await site.ask(f"api/v1/targets/orders/trace{query}", "POST")
        assert (answer.status, answer.text) == (400, "lane: write fast, standard or slow\n")

    async def test_a_large_form_is_refused(self, site: TargetSite) -> None:
        async def pieces() -> AsyncIterator[bytes]:  # without a length in front
            yield b"token=" + b"x" * FORM_BYTES

        await site.start(of(free_port(), alias="orders"))
        for data in ({"token": "x" * FORM_BYTES * 2}, pieces()):
            answer = await site.ask("targets/orders/trace", "POST", data=data)
            assert (answer.status, answer.text) == (400, "the form is too large\n")

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("multipart/form-data", b"token=1"),
            ("multipart/form-data; boundary=b", b"no boundary"),
            ("application/x-www-form-urlencoded; charset=none", b"token=1"),
            ("application/x-www-form-urlencoded", b"token=\xff&lane=%FF"),
        ],
    )
    async def test_another_body_brings_no_token(self, site: TargetSite, kind: str, body: bytes) -> None:
        await site.start(of(free_port(), alias="orders"))
        answer = await site.ask("targets/orders/trace", "POST", data=body, headers={"Content-Type": kind})
        assert answer.status == 403

    async def test_says_that_there_is_no_room(
        self, site: TargetSite, scripted_server: ScriptFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tracer, "WAIT_S", 0.3)
        silent = of(scripted_server(answers(b"+OK\r\n")).port, alias="silent")
        await site.start(silent, flags=["--poll.max-in-flight=1", "--connection-timeout=5s"])
        await until(lambda: site.watched(silent).busy)
        answer = await site.trace("silent")
        assert answer.status == 200
