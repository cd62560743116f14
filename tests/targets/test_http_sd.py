"""Targets from a URL of Prometheus' http_sd form."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NoReturn

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.ports import free_port
from exporter import files
from exporter.targets.http_sd import HttpSd
from exporter.targets.target import Target
from tests.servers import Certificates, Conversation, ScriptedServer
from tests.store_fixture import until
from tests.watch_harness import others

SECRET = "s3cret-of-mine"
INTERVAL_S = 20.0
CUT = "the answer ends too early, or is not packed in the way that it says"


class Inventory:
    """A server of targets. `answer` may be changed meanwhile."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answer: Callable[[], web.StreamResponse | Awaitable[web.StreamResponse]] = self.lists("a")
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self.server = TestServer(app, host="127.0.0.1")

    @staticmethod
    def lists(*hosts: str) -> Callable[[], web.StreamResponse]:
        return lambda: web.json_response([{"targets": list(hosts), "labels": {"env": "x"}}])

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        answer = self.answer()
        return answer if isinstance(answer, web.StreamResponse) else await answer


class Asking:
    """A source that runs, and what it says."""

    def __init__(self, source: HttpSd) -> None:
        self.source = source
        self.said: list[Sequence[Target]] = []
        self._task = asyncio.create_task(source.run(self.said.append))

    async def has(self, *hosts: str) -> None:
        await until(lambda: self.said and [target.host for target in self.said[-1]] == list(hosts))

    async def fails(self) -> None:
        failures = self.source.health.failures
        await until(lambda: self.source.health.failures > failures)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
async def inventory() -> AsyncIterator[Inventory]:
    inventory = Inventory()
    await inventory.server.start_server()
    yield inventory
    await inventory.server.close()


@pytest.fixture
async def asking(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asking]:
    """It asks again after a hundredth of its interval. An answer may take the whole one: on a busy machine
    it takes longer than 0.2 s at times."""
    monkeypatch.setattr(random, "uniform", lambda least, most: 0.01)
    url = f"http://reader:{SECRET}@127.0.0.1:{inventory.server.port}/redis?team=a"
    asking = Asking(HttpSd(url, INTERVAL_S, files.FileLimits(max_bytes=100_000)))
    yield asking
    await asking.stop()


async def test_asks_as_prometheus_does_again_and_again(inventory: Inventory, asking: Asking) -> None:
    await asking.has("a")
    inventory.answer = inventory.lists("a", "b")
    await asking.has("a", "b")
    request = inventory.requests[0]
    assert request.path_qs == "/redis?team=a"
    assert request.headers["X-Prometheus-Refresh-Interval-Seconds"] == "20"
    assert request.headers["Accept"] == "application/json"
    login = b64encode(f"reader:{SECRET}".encode()).decode()
    assert request.headers["Authorization"] == f"Basic {login}"
    [target, _] = asking.said[-1]
    assert (target.source, target.labels) == ("http_sd", (("env", "x"),))
    assert asking.source.health.succeeded_at is not None


def text(body: str, kind: str = "application/json", status: int = 200) -> Callable[[], web.StreamResponse]:
    return lambda: web.Response(text=body, content_type=kind, status=status)


async def hang() -> web.StreamResponse:
    await asyncio.sleep(30)
    raise AssertionError("never")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (text("[]", status=503), "the answer has status 503, not 200"),
        (text("[]", status=201), "the answer has status 201, not 200"),
        (text("[]", "text/plain"), "not application/json"),
        (text("[{]"), "not valid JSON"),
        (text("{}"), "it is no list of target groups"),
        (text(" " * 200_000), "more than 100000 bytes, the limit of --files.max-bytes"),
        (lambda: web.Response(body=b"[\xff]", content_type="application/json"), "the answer is not UTF-8"),
        (lambda: web.Response(status=302, headers={"Location": "/other"}), "the answer is a redirection"),
    ],
)
async def test_while_it_fails_the_newest_good_answer_counts(
    inventory: Inventory,
    asking: Asking,
    caplog: pytest.LogCaptureFixture,
    answer: Callable[[], web.StreamResponse],
    why: str,
) -> None:
    await asking.has("a")
    said = len(asking.said)
    inventory.answer = answer
    await asking.fails()
    await asking.fails()
    assert len(asking.said) <= said + 1  # an answer from before may have been on its way
    [line] = caplog.records  # once, however often it fails
    assert line.getMessage() == "the targets that were found before stay"
    assert why in vars(line)["err"]
    assert SECRET not in vars(line)["err"]
    assert {request.path for request in inventory.requests} == {"/redis"}
    inventory.answer = inventory.lists("b")
    await asking.has("b")


async def test_an_answer_that_hangs_is_given_up(
    inventory: Inventory, caplog: pytest.LogCaptureFixture
) -> None:
    inventory.answer = hang
    asking = Asking(HttpSd(f"http://127.0.0.1:{inventory.server.port}/", 0.2))
    await asking.fails()
    await asking.fails()
    await asking.stop()
    [line] = caplog.records
    assert vars(line)["err"].endswith(": no whole answer in time")


async def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    asking = Asking(HttpSd(f"http://reader:{SECRET}@127.0.0.1:{free_port()}/", INTERVAL_S))
    await asking.fails()
    await asking.stop()
    assert asking.said == []
    assert SECRET not in caplog.text + asking.source.name + repr(asking.source)
    assert others() == set()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "the server closed the connection before it answered"),
        (b"SSH-2.0-OpenSSH_9.2 " + SECRET.encode() + b"\r\n", "the answer is no HTTP/1.x that can be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[", CUT),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 4\r\n\r\nabcd",
            CUT,
        ),
    ],
    ids=["nothing", "another protocol", "cut", "packed"],
)
async def test_what_is_wrong_is_said_in_our_words(
    caplog: pytest.LogCaptureFixture, answer: bytes, why: str
) -> None:
    def script(talk: Conversation) -> None:
        talk.receive()
        talk.send(answer)
        talk.close()

    server = ScriptedServer(script)
    asking = Asking(HttpSd(f"http://127.0.0.1:{server.port}/", INTERVAL_S))
    try:
        await asking.fails()
        await asking.stop()
    finally:
        server.close()
    [line] = caplog.records
    assert vars(line)["err"].removeprefix(f"{asking.source.name}: ") == why
    assert SECRET not in caplog.text


async def test_a_server_that_is_not_there_or_cannot_be_trusted(
    caplog: pytest.LogCaptureFixture, certificates: Certificates
) -> None:
    server = ScriptedServer(Conversation.silence, certificates=certificates)
    for url, why in {
        f"http://127.0.0.1:{free_port()}/": "no connection: Connection refused",
        f"https://127.0.0.1:{server.port}/": "the server's certificate cannot be trusted: ",
    }.items():
        caplog.clear()
        asking = Asking(HttpSd(url, INTERVAL_S))
        await asking.fails()
        await asking.stop()
        assert f": {why}" in vars(caplog.records[0])["err"]
    server.close()


async def test_a_name_that_stands_for_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_name(*args: object, **more: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    asking = Asking(HttpSd("http://inventory/", INTERVAL_S))
    await asking.fails()
    await asking.stop()
    why = "--targets.http-sd=http://inventory/: the name cannot be resolved: Name or service not known"
    assert vars(caplog.records[0])["err"] == why


async def test_a_utf8_charset_is_fine(inventory: Inventory, asking: Asking) -> None:
    inventory.answer = lambda: web.Response(
        body=json.dumps([{"targets": ["utf"]}]).encode(),
        headers={"Content-Type": 'application/json; charset="UTF-8"'},
    )
    await asking.has("utf")


def test_equal_ones_go_on_at_a_reload() -> None:
    assert HttpSd("http://h/", 60) == HttpSd("http://h/", 60)
    assert HttpSd("http://h/", 60) != HttpSd("http://h/other", 60)
