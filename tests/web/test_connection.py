"""What one client can do to its connection: send no end, read nothing, say nonsense, close one side."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest

from exporter.web import connection as connections
from exporter.web import guard as guards
from exporter.web.scrape_connection import ScrapeConnection
from exporter.web.visit import Visit
from tests.store_fixture import until
from tests.web.door import GET, Opened, page_of, scrape

LOOPS = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "SWEEP_S", 0.02)
    monkeypatch.setattr(connections, "LINGER_S", 0.2)


def statuses(answers: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"HTTP/(?:1\.[01]|0\.9) ([0-9]{3}) ", answers)]


class TestRequestsThatDoNotEnd:
    @pytest.mark.parametrize(
        ("sent", "answered", "reason"),
        [
            (b"", [], "request_timeout"),
            (b"G", [408], "request_timeout"),
            (b"GET /ok HTTP/1.1\r\nHost: x\r\n", [408], "request_timeout"),
            (GET + b"GET /ok HTTP/1.1\r\n", [200], "idle"),
        ],
        ids=["nothing", "a letter", "no end", "the second"],
    )
    async def test_they_are_closed_in_time(
        self, opened: Opened, sent: bytes, answered: list[int], reason: str
    ) -> None:
        door = await opened(request_s=0.1, idle_s=0.1)
        assert statuses(await door.ask(sent)) == answered
        assert door.count("request_timeout") + door.count("idle") == door.count(reason) == 1
        assert len(door.guard) == 0

    async def test_what_came_in_time_is_answered_though_the_loop_was_held(self, opened: Opened) -> None:
        door = await opened(request_s=0.1, idle_s=0.1)
        client = await door.client()
        await until(lambda: len(door.guard) == 1)
        loop = asyncio.get_running_loop()
        ours, other = socket.socketpair()

        def hold() -> None:
            """In the part of a turn in which the loop reads: it reads the rest in the next one."""
            loop.remove_reader(ours)
            client.socket.send(GET)
            time.sleep(0.2)

        with ours, other:
            loop.add_reader(ours, hold)
            other.send(b"x")
            assert statuses(await client.rest()) == [200]
        assert (door.count("request_timeout"), door.count("idle")) == (0, 1)

    async def test_a_byte_at_a_time_does_not_help(self, opened: Opened) -> None:
        door = await opened(request_s=0.2)
        client = await door.client(b"GET /")
        assert await client.is_closed_while_sending(b"a", pause_s=0.01)
        assert door.count("request_timeout") == 1

    async def test_a_head_of_no_end_is_closed_soon(self, opened: Opened) -> None:
        door = await opened(request_bytes=10_000)
        client = await door.client(b"GET /ok HTTP/1.1\r\n")
        line = b"X-Filler: " + b"a" * 1000 + b"\r\n"
        assert await client.is_closed_while_sending(line * 5)
        await until(lambda: len(door.guard) == 0)
        assert door.count("too_large") == 1

    @pytest.mark.parametrize("head", [b"Content-Length: 1000000000\r\n", b"Transfer-Encoding: chunked\r\n"])
    async def test_a_body_of_no_end_is_answered_and_closed(self, opened: Opened, head: bytes) -> None:
        door = await opened(request_bytes=10_000)
        client = await door.client(b"POST /ok HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
        assert b"200 OK" in await client.read()
        piece = b"3e8\r\n" + b"a" * 1000 + b"\r\n" if b"chunked" in head else b"a" * 1000
        assert await client.is_closed_while_sending(piece * 5)
        await until(lambda: len(door.guard) == 0)

    async def test_a_body_that_does_not_come_is_not_waited_for(self, opened: Opened) -> None:
        door = await opened()
        answers = await door.ask(b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert statuses(answers) == [200]

    async def test_a_small_body_is_thrown_away_and_the_next_request_answered(self, opened: Opened) -> None:
        door = await opened(request_s=0.5, idle_s=0.3)
        answers = await door.ask(b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + GET)
        assert statuses(answers) == [200, 200]
        assert door.count("idle") == 1

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
    async def test_a_compressed_body_is_thrown_away_as_it_is(self, opened: Opened, encoding: str) -> None:
        door = await opened(request_s=0.5, idle_s=0.3)
        head = f"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\nContent-Length: 3\r\n\r\n"
        answers = await door.ask(head.encode() + b"abc" + GET)  # no program could unpack this
        assert statuses(answers) == [200, 200]
        assert door.count("malformed") == door.count("internal") == 0

    async def test_who_asks_no_more_is_closed(self, opened: Opened) -> None:
        door = await opened(idle_s=0.1)
        assert statuses(await door.ask(GET)) == [200]
        assert door.count("idle") == 1


class TestReadersThatDoNotRead:
    @LOOPS
    async def test_they_are_given_up(self, opened: Opened) -> None:
        door = await opened(write_s=0.15)
        await door.client(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n", buffer=4096)
        await until(lambda: door.count("write_stalled") == 1)
        assert len(door.guard) == 0

    async def test_a_trickle_is_given_up_too(self, opened: Opened) -> None:
        door = await opened(write_s=5.0, answer_s=0.4)
        client = await door.client(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n", buffer=4096)

        async def sip() -> None:
            while await client.read(1000):
                await asyncio.sleep(0.002)

        sipping = asyncio.ensure_future(sip())
        await until(lambda: door.count("answer_timeout") == 1)
        assert len(door.guard) == 0
        sipping.cancel()  # what the kernel still holds for it would take seconds
        await asyncio.wait([sipping])

    async def test_many_small_answers_that_nobody_reads_are_given_up(self, opened: Opened) -> None:
        door = await opened(write_s=0.15)
        client = await door.client(buffer=4096)
        assert await client.is_closed_while_sending(GET * 100)
        assert door.count("write_stalled") == 1

    async def test_who_reads_slowly_but_gets_on_gets_all(self, opened: Opened) -> None:
        door = await opened(write_s=0.8, big=b"x" * 40_000_000)  # more than the kernel would take in one go
        client = await door.client(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", buffer=65536)
        began, got = asyncio.get_running_loop().time(), 0
        while piece := await client.read(200_000):
            got += len(piece)
            await asyncio.sleep(0.005)
        assert got > 40_000_000
        assert asyncio.get_running_loop().time() - began > 1.2
        assert door.count("write_stalled") == door.count("answer_timeout") == 0

    async def test_a_handler_that_does_not_end_is_given_up(self, opened: Opened) -> None:
        door = await opened(answer_s=0.1)
        assert await door.ask(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        assert door.count("answer_timeout") == 1


class TestHalfClosed:
    @LOOPS
    @pytest.mark.parametrize("path", ["ok", "big", "wait"])
    async def test_who_sends_no_more_is_answered_and_then_closed(self, opened: Opened, path: str) -> None:
        door = await opened()
        client = await door.client(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        client.socket.shutdown(1)
        asyncio.get_running_loop().call_later(0.05, door.let_go.set)
        answer = await client.rest()
        assert statuses(answer) == [200]
        assert answer.endswith({"ok": b"ok", "big": b"x" * 1000, "wait": b"waited"}[path])
        assert len(door.guard) == 0

    @LOOPS
    async def test_all_that_was_asked_before_is_answered(self, opened: Opened) -> None:
        door = await opened()
        client = await door.client(GET * 100)
        client.socket.shutdown(1)
        assert statuses(await client.rest()) == [200] * 100

    @LOOPS
    @pytest.mark.parametrize("sent", [b"", b"GET /ok HTTP/1.1\r\n", GET])
    async def test_with_nothing_to_answer_the_connection_ends_at_once(
        self, opened: Opened, sent: bytes
    ) -> None:
        door = await opened()
        client = await door.client(sent)
        if sent == GET:
            await client.read()
        client.socket.shutdown(1)
        await client.rest()
        await until(lambda: len(door.guard) == 0)
        assert door.count("request_timeout") == 0


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def connections_in_memory() -> int:
    kinds = connections.HttpConnection, ScrapeConnection
    return sum(isinstance(each, kinds) for each in gc.get_objects())


class TestMemory:
    """What is large goes with the connection, and does not wait for the garbage collector."""

    @LOOPS
    @pytest.mark.usefixtures("without_collector")
    @pytest.mark.parametrize(
        "sent",
        [
            GET,
            GET * 50,
            scrape("ok"),
            scrape("ok") + GET,
            scrape("wrong"),
            scrape("page"),
            b"GET /" + b"a" * 1_000_000,
            b"GET /ok HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000,
            b"nonsense\r\n\r\n" + b"a" * 1_000_000,
            GET + b"nonsense\r\n\r\n",
            b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
            b"POST /ok HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET /wrong HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /ok HTTP/1.1\r\n",
            GET.replace(b"\r\n\r\n", b"\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n") + b"a" * 1_000_000,
        ],
        ids=lambda sent: f"{sent[:20]!r} of {len(sent)}",
    )
    async def test_nothing_of_a_connection_stays(self, opened: Opened, sent: bytes) -> None:
        door = await opened(idle_s=0.1, request_s=0.2)
        for _ in range(3):
            client = await door.client()
            with suppress(ConnectionError):
                await client.send(sent)
            await client.rest()
        await until(lambda: len(door.guard) == 0)
        await until(lambda: connections_in_memory() == 0)

    @LOOPS
    @pytest.mark.usefixtures("without_collector")
    @pytest.mark.parametrize("path", ["big", "wait", "scrape?target=wait", "scrape?target=page"])
    @pytest.mark.parametrize("aiohttp_alone", [False, True])
    async def test_nothing_stays_if_the_client_leaves(
        self, opened: Opened, path: str, aiohttp_alone: bool
    ) -> None:
        door = await opened(aiohttp_alone=aiohttp_alone)
        door.page = page_of(8_000_000)
        for _ in range(3):
            client = await door.client(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), buffer=4096)
            await until(lambda: any(cast(Visit, visit).activity.answering for visit in door.guard))
            client.reset()
            await until(lambda: len(door.guard) == 0)
        door.let_go.set()
        await until(lambda: connections_in_memory() == 0)


class TestMalformed:
    SECRET = b"c2VjcmV0"

    @pytest.mark.parametrize(
        ("sent", "answered"),
        [
            (b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + SECRET + b"\0\r\n\r\n", [400]),
            (b"GET /" + SECRET + b"\xff HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
            (SECRET + b"\r\n\r\n", [400]),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SECRET, [400]),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECRET, [400]),
            (b"GET / HTTP/9.9\r\nHost: x\r\nX: " + SECRET + b"\r\n\r\n", [400]),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + SECRET * 5000 + b"\r\n\r\n", [431]),
            (b"GET /" + SECRET * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", [431]),
            (b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"
                b"X: " + SECRET + b"\r\n\r\n0\r\n", [400]),
            (b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n"
                b"X: " + SECRET + b"\r\n\r\nabc", [400]),
            (b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\nX: " + SECRET + b"\r\n\r\nabc", [400]),
            (b"POST /ok HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n", [400]),
            (GET + SECRET + b"\r\n\r\n", [200, 400]),
        ],
    )  # fmt: skip
    async def test_it_is_answered_barely_counted_and_its_bytes_are_nowhere(
        self, opened: Opened, caplog: pytest.LogCaptureFixture, sent: bytes, answered: list[int]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        door = await opened()
        answer = await door.ask(sent)
        assert statuses(answer)[-1:] == answered[-1:]
        assert door.count("malformed") + door.count("too_large") == 1
        assert {record.name for record in caplog.records} <= {"exporter.web.incidents", "asyncio"}
        text = "".join(logging.Formatter().format(record) for record in caplog.records)
        assert "Traceback" not in text
        assert self.SECRET.decode() not in text
        assert self.SECRET not in answer
        assert b"aiohttp" not in answer
        assert b"Python" not in answer

    @pytest.mark.parametrize(
        "sent",
        [
            b"GET /ok HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
            b"POST /ok HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
            b"GET /ok HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n",
            b"GET /ok HTTP/1.1\r\nHost: x\r\nExpect: \xff\r\n\r\n",
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\nExpect: \xff\r\n\r\n",
            b"GET /ok HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
            b"websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            b"GET /ok HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "
            b"h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
            b"GET /ok HTTP/1.0\r\n\r\n",
            b"GET /ok\r\n\r\n",
            b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
            b"TRACE /ok HTTP/1.1\r\nHost: x\r\n\r\n",
            b"BREW /ok HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET http://elsewhere/ok HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET //ok HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /./ok HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /x/../ok HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /%2e%2e/ok HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /ok%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        ],
    )  # fmt: skip
    async def test_what_is_odd_is_answered_or_closed_without_a_line(
        self, opened: Opened, caplog: pytest.LogCaptureFixture, sent: bytes
    ) -> None:
        door = await opened(idle_s=0.1, request_s=0.3)
        answers = await door.ask(sent)
        assert set(statuses(answers)) <= {100, 200, 400, 404, 405, 408, 417}
        assert answers
        assert b"aiohttp" not in answers
        assert len(door.guard) == 0
        assert not [record for record in caplog.records if record.name.startswith("aiohttp")]
        assert "Traceback" not in caplog.text

    async def test_a_mistake_of_ours_is_500_with_its_kind_and_place_in_the_log(
        self, opened: Opened, caplog: pytest.LogCaptureFixture
    ) -> None:
        door = await opened()
        answer = await door.ask(b"GET /wrong?" + self.SECRET + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.endswith(b"\r\n\r\nInternal Server Error\n")
        assert "ValueError at door.py:" in caplog.text
        assert self.SECRET.decode() not in caplog.text
        assert "Traceback" not in caplog.text


@LOOPS
async def test_ten_thousand_requests_at_once_on_one_connection_are_all_answered(opened: Opened) -> None:
    door = await opened()
    client = await door.client()
    sending = asyncio.ensure_future(
        client.send(GET * 9_999 + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    )
    assert statuses(await client.rest()) == [200] * 10_000
    await sending


@LOOPS
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"GET /wrong HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 500),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET /ok HTTP/1.1\r\n", 408),
    ],
)
async def test_no_answer_names_the_software_that_answers(opened: Opened, sent: bytes, status: int) -> None:
    door = await opened(request_s=0.2)
    answers = await door.ask(sent)
    assert statuses(answers) == [status]
    head = answers.partition(b"\r\n\r\n")[0].lower()
    assert b"\r\nserver:" not in head
    assert b"aiohttp" not in answers.lower()
    assert b"python" not in answers.lower()
