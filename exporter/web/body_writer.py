"""Pages on their way to clients: what slow readers may hold, and how much of a turn of the loop answers
may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

from aiohttp import web

from exporter.pages.page import Page
from exporter.web.connection import HttpConnection

#: a write to a TLS connection: it is encrypted, and so copied, at once
TLS_WRITE_BYTES = 64 * 1024
#: how much of one turn of the loop may be spent on beginning answers and on writing pieces of them
TURN_S = 0.005


class LoopShare:
    """Shares the loop between many answers that begin at once and all the rest."""

    def __init__(self, turn_s: float = TURN_S) -> None:
        self._turn_s = turn_s
        self._until = 0.0  # 0: nobody has begun in this turn

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
    """Writes pages. A page that was replaced stays in memory while anybody reads it: if such pages take more
    than `old_bytes`, the readers of the oldest are closed. `current` tells which pages are kept for whoever
    asks next."""

    def __init__(self, old_bytes: int, current: Callable[[], Collection[Page]] = tuple) -> None:
        self.share = LoopShare()
        self._old_bytes = old_bytes
        self._current = current
        self._readers: dict[Page, dict[object, None]] = {}  # the oldest page first

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
                await response.write(page.body)  # which is not copied
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
            return  # whichever are old
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


def _held_bytes(page: Page) -> int:
    return len(page.body) + page.plain.held_bytes
