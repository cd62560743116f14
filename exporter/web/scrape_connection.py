"""One connection of a client while it sends nothing but plain scrapes, which are answered right here.

The first request that is anything else goes to aiohttp with all that follows on the connection: another path
or method, a body, an unusual header, a head that comes in pieces, a head that is not valid.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import cast

from exporter.pages.page import Page
from exporter.telemetry.own_series import OwnSeries
from exporter.web.answers import TextAnswer, bare_answer, head_bytes, text_bytes
from exporter.web.body_writer import GZIP_HEADERS, BodyWriter, Piece, is_small
from exporter.web.connection import HttpConnection
from exporter.web.entrance import Entrance
from exporter.web.guard import Guard, Visitor
from exporter.web.incidents import REFUSING, Incidents, place_of
from exporter.web.request_head import END, HeadReader, RequestHead
from exporter.web.scrapes import Answer, ScrapeRequest, Scrapes
from exporter.web.sign_in import SignIn
from exporter.web.visit import Visit

#: bytes of further requests that may wait while one is answered, until no more are read
WAITING_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class ScrapeSource:
    """What answers plain scrapes. Without `sign_in` all are let in."""

    scrapes: Scrapes
    bodies: BodyWriter
    own_series: OwnSeries
    heads: HeadReader
    incidents: Incidents
    entrance: Entrance
    sign_in: SignIn | None = None


class ScrapeConnection(asyncio.Protocol):
    """`pass_on` makes aiohttp's protocol for a connection; `tasks` gets the answers that have to wait."""

    def __init__(
        self,
        source: ScrapeSource,
        guard: Guard,
        pass_on: Callable[[Visit], HttpConnection],
        tasks: set[asyncio.Task[None]],
        handshake: Visitor | None = None,
    ) -> None:
        self.visit: Visit
        self._source = source
        self._guard = guard
        self._pass_on = pass_on
        self._tasks = tasks
        self._handshake = handshake
        self._waiting = b""  # what has come, answered up to `_answered_n`
        self._answered_n = 0
        self._is_busy = False
        self._lets_others = False  # goes on in the next turn of the loop
        self._is_reading = True
        #: more is to be written than the client reads
        self.is_paused = False
        self._drained: asyncio.Future[None] | None = None

    # -- what happens to the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.visit = Visit(self._guard, cast(asyncio.Transport, transport), self._handshake)
        self._handshake = None
        if self.visit.enter() and self.visit.secure:
            tls = self._source.entrance.newest.tls
            if tls is not None and not tls.admits(transport.get_extra_info("peercert")):
                self.visit.end("certificate_name")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.visit.leave()
        self._waiting = b""
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if not self.visit.is_open or not self.visit.receive(len(data)):
            return
        self._waiting = self._waiting[self._answered_n :] + data if self._waiting else data
        self._answered_n = 0
        if not (self._is_busy or self._lets_others):
            self._go_on()
        elif self._is_reading and len(self._waiting) > WAITING_MAX:
            self.wire.pause_reading()
            self._is_reading = False

    def eof_received(self) -> bool:
        return self.visit.half_close()

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # -- one request after the other

    def _go_on(self) -> None:
        """Answer what has come, until an answer has to wait. Where many requests came at once, others have
        their turn between them."""
        is_first = True
        while self._waiting and not self._is_busy and self.visit.is_open:
            if not (is_first or self._source.bodies.share.is_free()):
                self._lets_others = True
                asyncio.get_running_loop().call_soon(self._go_on_again)
                return
            is_first = False
            begin = self._answered_n
            stop = self._waiting.find(END, begin) + len(END)
            head = self._source.heads.read(self._waiting[begin:stop]) if stop >= len(END) else None
            if head is None:
                self._hand_over()
                return
            self._answered_n = stop
            if stop == len(self._waiting):
                self._waiting, self._answered_n = b"", 0
            self.visit.take_up(body=False)
            self._is_busy = True
            _ScrapeAnswer(self, self._source, head).begin()
        if not self._is_reading and not self._is_busy and self.visit.is_open:
            self._is_reading = True
            self.wire.resume_reading()

    def _go_on_again(self) -> None:
        self._lets_others = False
        self._go_on()

    def _hand_over(self) -> None:
        """Let aiohttp answer what has come, and all that follows."""
        waiting, self._waiting = self._waiting[self._answered_n :], b""
        self.visit.stir()
        wire, connection = self.wire, self._pass_on(self.visit)
        wire.set_protocol(connection)
        if not self._is_reading:
            wire.resume_reading()
        connection.connection_made(wire)
        connection.take_over(waiting)

    def finish(self, *, closes: bool) -> None:
        """An answer has ended."""
        self._is_busy = False
        self.visit.finish()
        wire = self.visit.wire
        if wire is None:
            return
        if wire.get_write_buffer_size():  # a little waits for the client
            self.visit.stir()
        if closes:
            wire.close()

    def go_on_later(self, work: Coroutine[None, None, None]) -> None:
        """Finish an answer in a task, and then go on with the next one."""
        self.visit.stir()
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not (self._is_busy or self._lets_others):
            self._go_on()

    # -- what an answer needs

    @property
    def wire(self) -> asyncio.Transport:
        """ConnectionResetError if the connection has ended."""
        if self.visit.wire is None:
            raise ConnectionResetError
        return self.visit.wire

    async def drain(self) -> None:
        """Wait until the client has read enough. ConnectionResetError if it has left."""
        if self.is_paused:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        if not self.visit.is_open:
            raise ConnectionResetError


class _ScrapeAnswer:
    """One answer, from the head of its request to the last byte; it is the outlet of its page."""

    def __init__(self, connection: ScrapeConnection, source: ScrapeSource, head: RequestHead) -> None:
        self._connection = connection
        self._source = source
        self._head = head
        self._began_at = 0.0  # 0: the sign-in is not checked yet
        self._has_begun = False

    def begin(self) -> None:
        """Answer at once, or begin a task that does."""
        later = None
        try:
            later = self._begin()
        except Exception as error:
            self._fail(error)
        if later is not None:
            self._connection.go_on_later(self._complete(later))
        elif self._connection.is_paused:
            self._connection.go_on_later(self._complete(self._connection.drain()))
        else:
            self._finish()

    def _begin(self) -> Awaitable[None] | None:
        sign_in, head, visit = self._source.sign_in, self._head, self._connection.visit
        if sign_in is not None:
            refusal = sign_in.refusal(head.headers.get("Authorization", ""), visit, head.path)
            if isinstance(refusal, TextAnswer):
                self._send_text(refusal)
                return None
            if refusal is not None:
                return self._sign_in(refusal)
        return self._ask()

    async def _sign_in(self, checking: Awaitable[TextAnswer | None]) -> None:
        refusal = await self._connection.visit.wait_for(checking)
        if refusal is not None:
            self._send_text(refusal)
            return
        later = self._ask()
        if later is not None:
            await later

    def _ask(self) -> Awaitable[None] | None:
        self._began_at = time.perf_counter()
        head = self._head
        request = ScrapeRequest(head.endpoint, head.query, head.headers, self._connection.visit.address)
        answering = self._source.scrapes.answer(request)
        if isinstance(answering, (Page, TextAnswer)):
            return self._send(answering)
        return self._send_awaited(answering)

    async def _send_awaited(self, answering: Awaitable[Answer]) -> None:
        later = self._send(await self._connection.visit.wait_for(answering))
        if later is not None:
            await later

    def _send(self, answer: Answer) -> Awaitable[None] | None:
        if isinstance(answer, TextAnswer):
            if answer.status in REFUSING:
                self._source.incidents.note_refusal(
                    answer.status, self._connection.visit.address, self._head.path
                )
            self._send_text(answer)
            return None
        bodies = self._source.bodies
        takes_gzip = self._head.takes_gzip
        if takes_gzip and (is_small(answer) or not self.is_secure) and bodies.share.is_free():
            return self._send_at_once(answer)
        return bodies.send(self, answer, takes_gzip=takes_gzip)

    def _send_at_once(self, page: Page) -> Awaitable[None] | None:
        """Write a compressed page; what the client has not read yet is waited for."""
        tail = page.tail(time.monotonic())
        self._write(GZIP_HEADERS, len(page.body) + len(tail), page.body, tail)
        connection = self._connection
        if not connection.is_paused:
            return None
        return self._source.bodies.hold(page, connection.visit, connection.drain())

    def _send_text(self, answer: TextAnswer) -> None:
        self._has_begun = True
        common = self._source.entrance.newest.headers
        self._connection.wire.write(text_bytes(answer, closes=self._head.closes, common=common))

    async def _complete(self, later: Awaitable[None]) -> None:
        try:
            await later
            await self._connection.drain()
        except ConnectionError:
            pass  # the client has left
        except Exception as error:
            self._fail(error)
        finally:
            self._finish()

    def _fail(self, error: Exception) -> None:
        """A bug of this program."""
        visit = self._connection.visit
        visit.note("internal", place_of(error))
        if visit.wire is not None and not visit.wire.is_closing():
            if not self._has_begun:
                visit.wire.write(bare_answer(500))
            visit.wire.close()

    def _finish(self) -> None:
        if self._began_at:
            seconds = time.perf_counter() - self._began_at
            self._source.own_series.request_seconds(self._head.endpoint).observe(seconds)
        self._connection.finish(closes=self._head.closes)

    # -- the outlet

    @property
    def reader(self) -> Visit:
        return self._connection.visit

    @property
    def is_secure(self) -> bool:
        return self._connection.visit.secure

    async def begin_body(self, headers: Mapping[str, str], length: int) -> bool:
        self._write(headers, length)
        return True

    async def write(self, piece: Piece) -> None:
        self._connection.wire.write(piece)
        await self._connection.drain()

    async def send_whole(self, headers: Mapping[str, str], body: bytes | bytearray) -> None:
        self._write(headers, len(body), body)
        await self._connection.drain()

    def _write(self, headers: Mapping[str, str], length: int, *pieces: Piece) -> None:
        """Write the head and some of the body."""
        self._has_begun = True
        common = self._source.entrance.newest.headers
        head = head_bytes(200, headers, length, closes=self._head.closes, common=common)
        self._connection.wire.writelines((head, *pieces))
