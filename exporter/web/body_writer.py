"""Pages on their way to clients: how much memory slow readers may hold, and how much time of a turn of the
loop answers may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

from aiohttp import web

from exporter.pages.page import CONTENT_TYPE, Page
from exporter.web.connection import HttpConnection
from exporter.web.query import accepts_gzip

#: aiohttp joins the headers with what is written first: a piece of a page would be copied for each reader
HEADERS_ALONE = b""
#: a compressed page of no more is sent in one write
ONE_WRITE_BYTES = 64 * 1024
#: a write to a TLS connection: it is encrypted, and so copied, at once
TLS_WRITE_BYTES = 64 * 1024
#: how much of one turn of the loop may be spent on beginning answers and on writing pieces of them
TURN_S = 0.005


class LoopShare:
    """Shares the loop between many answers that begin at once and all the rest."""

    def __init__(self, turn_s: float = TURN_S) -> None:
        self._turn_s = turn_s
        self._until = 0.0  # 0: no answer has begun in this turn

    async def take(self) -> None:
        """Return in a turn of the loop that has time left."""
        while self._until and time.perf_counter() > self._until:
            await asyncio.sleep(0)
        if not self._until:
            self._until = time.perf_counter() + self._turn_s
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._until = 0.0


class BodyWriter:
    """Writes pages. A page that was replaced stays in memory while a client reads it: if such pages take more
    than `old_bytes`, the readers of the oldest are closed. `current` gives the pages that are kept for the
    next requests."""

    def __init__(self, old_bytes: int, current: Callable[[], Collection[Page]] = tuple) -> None:
        self.share = LoopShare()
        self._old_bytes = old_bytes
        self._current = current
        self._readers: dict[Page, dict[object, None]] = {}  # the oldest page first

    async def send(self, request: web.Request, page: Page) -> web.StreamResponse:
        """Answer with a page and its tail. A small page goes out in one write with its headers, because each
        write is a system call; of a large one they are two writes, because joining copies megabytes."""
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        await self.share.take()
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            tail = page.tail(time.monotonic())
            headers["Content-Encoding"] = "gzip"
            if len(page.body) <= ONE_WRITE_BYTES:
                return web.Response(body=page.body + tail, headers=headers)
            response = await _begin(request, headers, len(page.body) + len(tail))
            if request.method != "HEAD":
                await self.write(request, response, page)
                await response.write(tail)
            return response
        ages = page.packed_tail(time.monotonic())
        response = await _begin(request, headers, page.length + ages.length)
        if request.method != "HEAD":
            await self.write_plain(request, response, page)
            await response.write(ages.unpack())
        return response

    async def write(self, request: web.Request, response: web.StreamResponse, page: Page) -> None:
        """The static part, compressed."""
        reader = request.protocol
        self._begin(page, reader)
        try:
            if request.secure:
                with memoryview(page.body) as body:
                    for start in range(0, len(body), TLS_WRITE_BYTES):
                        await self.share.take()
                        await response.write(body[start : start + TLS_WRITE_BYTES])
            else:
                await response.write(page.body)  # not copied
        finally:
            self._end(page, reader)

    async def write_plain(self, request: web.Request, response: web.StreamResponse, page: Page) -> None:
        """The static part as plain text. A piece is held until the one after it is out: some of it may
        wait to be sent until then."""
        reader = request.protocol
        step = TLS_WRITE_BYTES if request.secure else 0
        self._begin(page, reader)
        held: list[int] = []
        try:
            for number in range(len(page.plain)):
                await self.share.take()
                held.append(number)
                text = page.plain.hold(number)
                for start in range(0, len(text), step or len(text)):
                    await response.write(memoryview(text)[start : start + (step or len(text))])
                if len(held) > 1:
                    page.plain.release(held.pop(0))
        finally:
            for number in held:
                page.plain.release(number)
            self._end(page, reader)

    def _begin(self, page: Page, reader: object) -> None:
        self._readers.setdefault(page, {})[reader] = None
        if len(self._readers) > 1:
            self._bound(page)

    def _end(self, page: Page, reader: object) -> None:
        readers = self._readers.get(page)
        if readers is not None:
            readers.pop(reader, None)
            if not readers:
                del self._readers[page]

    def _bound(self, newest: Page) -> None:
        if sum(map(_held_bytes, self._readers)) <= self._old_bytes:
            return
        current = {newest, *self._current()}
        old = [page for page in self._readers if page not in current]
        held = sum(map(_held_bytes, old))
        for page in old:
            if held <= self._old_bytes:
                return
            held -= _held_bytes(page)
            for reader in self._readers.pop(page):
                if isinstance(reader, HttpConnection):
                    reader.end("old_page")


async def _begin(request: web.Request, headers: dict[str, str], length: int) -> web.StreamResponse:
    """Send the headers of an answer of this length."""
    response = web.StreamResponse(headers=headers)
    response.content_length = length
    await response.prepare(request)
    if request.method != "HEAD":
        await response.write(HEADERS_ALONE)
    return response


def _held_bytes(page: Page) -> int:
    return len(page.body) + page.plain.held_bytes
