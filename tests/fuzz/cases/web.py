"""The HTTP side: heads, whole connections, queries."""

from __future__ import annotations

import asyncio
import math
import os
import re
import socket
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise

from multidict import CIMultiDict
from yarl import URL

from exporter.errors import RequestError
from exporter.safe_text import UNPRINTED
from exporter.web import query as queries
from exporter.web.pause import for_s
from exporter.web.request_head import HeadReader, RequestHead
from tests.fuzz.case import CUT, Case, Script
from tests.web.door import GET, Door, scrape
from tests.web.test_request_head import PLAIN, assert_read_as_by_aiohttp, first_head, head
from tests.web.test_scrape_connection import (
    CLOSING,
    METRICS,
    Answer,
    Exchange,
    assert_answered_alike,
    read_answers,
)

ANSWER_HEAD = re.compile(rb"(HTTP/1\.[01] [0-9]{3} [A-Za-z ]+)(\r\n.*?)\r\n\r\n", re.DOTALL)

WORDS = (
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\0",
        b":",
        b"?",
        b"&",
        b"=",
        b"#",
        b"%",
        b"%2F",
        b"%zz",
    ),
    *(
        b"GET /metrics HTTP/1.1\r\n",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"/scrape?target=",
        b"//",
        b"POST ",
        b"HEAD ",
        b"OPTIONS *",
    ),
    *(b"Host: x\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Connection: close\r\n", b"Connection: Upgrade\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n"),
    *(
        b"Accept-Encoding: gzip\r\n",
        b"A: b\r\n c\r\n",
        b"0\r\n\r\n",
        b"5\r\nabcde\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ),
    *(b"\x16\x03\x01", b"_: _\r\n", b";q=0", b"*"),
)
HEADS = (
    PLAIN,
    METRICS,
    CLOSING,
    scrape("redis%3A%2F%2Fa:1&check-keys=a+b&x"),
    head(b"GET /scrape?target=a HTTP/1.1", b"Connection: keep-alive", b"A: b"),
    head(b"HEAD /metrics HTTP/1.1", b"A: 1", b"a: 2"),
    head(b"POST /ok HTTP/1.1", b"Content-Length: 3") + b"abc",
    head(b"POST /ok HTTP/1.1", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    head(b"GET /metrics HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"),
    GET,
)


class RequestHeads(Case):
    """What is read as a plain scrape is what aiohttp reads, whatever was read before."""

    length_max = 1500
    words = (*WORDS, CUT)
    HEADS_MAX = 4

    def seeds(self) -> Iterable[bytes]:
        yield from HEADS
        for one, other in pairwise(HEADS):
            yield one + CUT + other

    def check(self, data: bytes) -> None:
        reader = HeadReader("/metrics", "/scrape")
        for each in map(first_head, data.split(CUT)[: self.HEADS_MAX]):
            assert_read_as_by_aiohttp(each)
            for _ in range(2):
                assert _shown(reader.read(each)) == _shown(HeadReader("/metrics", "/scrape").read(each))


def _shown(found: RequestHead | None) -> object:
    if found is None:
        return None
    kept = found.endpoint, found.path, found.closes, found.takes_gzip
    return kept, list(found.query.items()), list(found.headers.items())


class Requests(Case):
    """All that one connection sends, in some pieces: it is answered as by aiohttp alone."""

    length_max = 1500
    words = WORDS
    #: seconds in which a connection ends at last
    PATIENCE_S = 15.0

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        self._doors = [self._loop.run_until_complete(self._open(alone)) for alone in (False, True)]

    async def _open(self, alone: bool) -> tuple[Door, str]:
        path = os.path.join(self._folder.name, f"{alone}")
        door = Door(big=b"x" * 100, address=f"unix:{path}", aiohttp_alone=alone)
        door.let_go.set()
        await door.__aenter__()
        return door, path

    def seeds(self) -> Iterable[bytes]:
        for data in HEADS:
            yield b"\0" + data
            yield b"\2\0\x0a\0\x30" + METRICS + data + METRICS

    def close(self) -> None:
        for door, _ in self._doors:
            self._loop.run_until_complete(door.__aexit__())
        self._loop.close()
        self._folder.cleanup()

    def check(self, data: bytes) -> None:
        pieces = Script(data).pieces()
        ours, of_aiohttp = (
            self._loop.run_until_complete(self._ask(door, path, pieces)) for door, path in self._doors
        )
        assert_answered_alike(b"".join(pieces), ours, of_aiohttp)

    async def _ask(self, door: Door, path: str, pieces: list[bytes]) -> Exchange:
        before = dict(door.incidents.counts)
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            await self._loop.sock_connect(client, path)
            with suppress(OSError):  # it may be closed already
                for piece in pieces:
                    await self._loop.sock_sendall(client, piece)
                    await door.take_in()
                client.shutdown(socket.SHUT_WR)
            received = b""
            async with asyncio.timeout(self.PATIENCE_S):
                with suppress(ConnectionResetError):
                    while piece := await self._loop.sock_recv(client, 65536):
                        received += piece
        async with asyncio.timeout(self.PATIENCE_S):
            while len(door.guard):
                await asyncio.sleep(0)
        if any(b"HEAD" in piece for piece in pieces):  # lengths are not those of bodies then
            answers = [
                Answer(found[1], b"\r\nConnection: close" in found[2], b"")
                for found in ANSWER_HEAD.finditer(received)
            ]
        else:
            answers = read_answers(received)
        counts = {reason: count - before[reason] for reason, count in door.incidents.counts.items()}
        return Exchange(answers, counts)


class Query(Case):
    """Parameters and headers of requests: each is used, or refused with what to write instead."""

    length_max = 500
    words = (
        *(
            b"part=",
            b"own",
            b"0/1",
            b"group=",
            b"name[]=",
            b"max_age=",
            b"lanes=",
            b"all",
            b"fast,standard,slow",
            b"target=",
        ),
        *(
            b"auth=",
            b"check-keys=",
            b"check-single-keys=",
            b"count-keys=",
            b"db3=",
            b"%ff",
            b"%00",
            b"+",
            b"&",
            b"=",
        ),
        *(b"nan", b"inf", b"1e308", b"-1", b"gzip;q=0", b"*;q=1", b"identity", b",", CUT),
    )

    def seeds(self) -> Iterable[bytes]:
        queries = (
            *(
                b"part=3/20&name[]=redis_up&name[]=a:b",
                b"part=own&group=%c3%a4",
                b"max_age=2&lanes=fast,slow",
            ),
            *(
                b"target=redis://h:1&check-keys=db0=a*,b&count-keys=%2a",
                b"max_age=nan",
                b"part=0/100000000",
                b"lanes=all&max_age=0",
            ),
        )
        for query in queries:
            yield CUT.join([query, b"Prometheus/3.0", b"10", b"gzip, deflate;q=0.5", b"1m30s"])

    def check(self, data: bytes) -> None:
        text, agent, timeout, encoding, pause = [*data.split(CUT, 4), *[b""] * 5][:5]
        query = URL.build(path="/", query_string=text.decode("ascii", "ignore"), encoded=True).query
        headers = CIMultiDict(
            {
                "User-Agent": agent.decode("utf-8", "surrogateescape"),
                "X-Prometheus-Scrape-Timeout-Seconds": timeout.decode("latin-1"),
            }
        )
        for read in (queries.selection, queries.max_age_s, queries.lanes, queries.asked):
            with suppress(RequestError):
                read(query)
        with suppress(RequestError):
            assert 0 < for_s(pause.decode("latin-1")) < math.inf
        assert 0 < queries.wait_s(headers) < 3600
        program = queries.scraper("192.0.2.1", headers).program
        assert len(program.encode().decode()) <= queries.PROGRAM_LENGTH_MAX
        assert set(UNPRINTED).isdisjoint(map(ord, program))
        assert queries.accepts_gzip(encoding.decode("latin-1")) in (True, False)
