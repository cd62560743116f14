"""Pages on their way to clients: how much memory slow readers may hold, and how much time of a turn of the
loop answers may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from aiohttp import web

from exporter.pages.page import CONTENT_TYPE, Page
from exporter.web.visit import Visit

Piece = bytes | bytearray | memoryview

#: the headers of a page besides those of every answer
PLAIN_HEADERS = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
GZIP_HEADERS = {**PLAIN_HEADERS, "Content-Encoding": "gzip"}
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
        while not self.is_free():
            await asyncio.sleep(0)

    def is_free(self) -> bool:
        """Whether this turn of the loop has time left: then an answer may begin now."""
        now = time.perf_counter()
        if self._until:
            return now <= self._until
        self._until = now + self._turn_s
        asyncio.get_running_loop().call_soon(self._end)
        return True

    def _end(self) -> None:
        self._until = 0.0


class Outlet(Protocol):
    """Where a page goes. `reader` is who gets it, and is closed if it reads an old page too slowly."""

    @property
    def reader(self) -> object: ...
    @property
    def is_secure(self) -> bool: ...
    async def begin_body(self, headers: Mapping[str, str], length: int) -> bool:
        """Write the head of an answer of this length. Whether its body is asked for."""
        ...

    async def write(self, piece: Piece) -> None:
        """Write more of the body; returns when the client has read enough of it."""
        ...

    async def send_whole(self, headers: Mapping[str, str], body: bytes | bytearray) -> None:
        """Write the whole answer."""
        ...


class ResponseOutlet:
    """The outlet for a request that aiohttp has read: `response` is the answer."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response = web.StreamResponse()
        self.is_secure = request.secure
        self.reader = getattr(request.protocol, "visit", request.protocol)

    async def begin_body(self, headers: Mapping[str, str], length: int) -> bool:
        self.response = web.StreamResponse(headers=headers)
        self.response.content_length = length
        await self.response.prepare(self._request)
        if self._request.method == "HEAD":
            return False
        await self.response.write(HEADERS_ALONE)
        return True

    async def write(self, piece: Piece) -> None:
        await self.response.write(piece)

    async def send_whole(self, headers: Mapping[str, str], body: bytes | bytearray) -> None:
        self.response = web.Response(body=body, headers=headers)


class BodyWriter:
    """Writes pages. A page that was replaced stays in memory while a client reads it: if such pages take more
    than `old_bytes`, the readers of the oldest are closed. `current` gives the pages that are kept for the
    next requests."""

    def __init__(self, old_bytes: int, current: Callable[[], Collection[Page]] = tuple) -> None:
        self.share = LoopShare()
        self._old_bytes = old_bytes
        self._current = current
        self._readers: dict[Page, dict[object, None]] = {}  # the oldest page first

    async def send(self, outlet: Outlet, page: Page, *, takes_gzip: bool) -> None:
        """Answer with a page and its tail. A small page goes out in one write with its headers, because each
        write is a system call; of a large one they are two writes, because joining copies megabytes."""
        await self.share.take()
        if takes_gzip:
            tail = page.tail(time.monotonic())
            if is_small(page):
                await outlet.send_whole(GZIP_HEADERS, page.body + tail)
            elif await outlet.begin_body(GZIP_HEADERS, len(page.body) + len(tail)):
                await self._write(outlet, page)
                await outlet.write(tail)
            return
        ages = page.packed_tail(time.monotonic())
        if await outlet.begin_body(PLAIN_HEADERS, page.length + ages.length):
            await self._write_plain(outlet, page)
            await outlet.write(ages.unpack())

    async def hold(self, page: Page, reader: object, reading: Awaitable[None]) -> None:
        """Wait for a client that reads a page which is written already."""
        self._begin(page, reader)
        try:
            await reading
        finally:
            self._end(page, reader)

    async def _write(self, outlet: Outlet, page: Page) -> None:
        """The static part, compressed."""
        self._begin(page, outlet.reader)
        try:
            if outlet.is_secure:
                with memoryview(page.body) as body:
                    for start in range(0, len(body), TLS_WRITE_BYTES):
                        await self.share.take()
                        await outlet.write(body[start : start + TLS_WRITE_BYTES])
            else:
                await outlet.write(page.body)  # not copied
        finally:
            self._end(page, outlet.reader)

    async def _write_plain(self, outlet: Outlet, page: Page) -> None:
        """The static part as plain text. A piece is held until the one after it is out: some of it may
        wait to be sent until then."""
        step = TLS_WRITE_BYTES if outlet.is_secure else 0
        self._begin(page, outlet.reader)
        held: list[int] = []
        try:
            for number in range(len(page.plain)):
                await self.share.take()
                held.append(number)
                text = page.plain.hold(number)
                size = step or len(text) or 1  # a piece may be empty
                for start in range(0, len(text), size):
                    await outlet.write(memoryview(text)[start : start + size])
                if len(held) > 1:
                    page.plain.release(held.pop(0))
        finally:
            for number in held:
                page.plain.release(number)
            self._end(page, outlet.reader)

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
                if isinstance(reader, Visit):
                    reader.end("old_page")


def is_small(page: Page) -> bool:
    """Whether a compressed page is sent in one write."""
    return len(page.body) <= ONE_WRITE_BYTES


def _held_bytes(page: Page) -> int:
    return len(page.body) + page.plain.held_bytes
