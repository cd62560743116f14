"""A listener on loopback with limits that tests can wait for, and clients of it that say what they like."""

from __future__ import annotations

import asyncio
import fcntl
import random
import socket
import ssl
import struct
import termios
from array import array
from collections.abc import Awaitable, Callable
from typing import Any, Self, cast

from aiohttp import web

from exporter.pages.page import Draft, Page
from exporter.telemetry.own_series import OwnSeries
from exporter.web.answers import TextAnswer, response_of
from exporter.web.auth import BasicAuth
from exporter.web.body_writer import BodyWriter, ResponseOutlet
from exporter.web.connection import HttpConnection
from exporter.web.entrance import Entrance, EntranceRules
from exporter.web.guard import Guard
from exporter.web.incidents import Incidents
from exporter.web.limits import HttpLimits
from exporter.web.listener import Listener
from exporter.web.query import accepts_gzip
from exporter.web.request_head import HeadReader
from exporter.web.scrape_connection import ScrapeSource
from exporter.web.scrapes import SCRAPE, Answering, ScrapeRequest, Scrapes
from exporter.web.sign_in import SignIn, middleware
from exporter.web.visit import Visit
from tests.store_fixture import PATIENCE_S

GET = b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"


def scrape(what: str, *headers: str) -> bytes:
    """A plain scrape, which aiohttp does not see."""
    return "\r\n".join([f"GET /scrape?target={what} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


class EntranceWith(Entrance):
    """One whose `context` and `freshen` may be any."""

    def __init__(
        self,
        admission: EntranceRules,
        context: ssl.SSLContext | None,
        freshen: Callable[[], Awaitable[None]] | None,
    ) -> None:
        super().__init__(lambda: admission)
        self._given = context
        self._freshen = freshen

    @property
    def context(self) -> ssl.SSLContext:
        return self._given or super().context

    async def freshen_all(self) -> None:
        await (self._freshen() if self._freshen is not None else super().freshen_all())


class Door:
    """`/ok` answers at once, `/wait` when `let_go` is set, `/big` with megabytes, `/wrong` with a mistake
    of ours; POST is for /ok. `/scrape?target=ok` and so on answer the same as scrapes do, `/metrics` with
    `page`: by aiohttp, if `aiohttp_alone`. `admission` takes the place of one with `auth`."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        big: bytes = b"x" * 8_000_000,
        freshen: Callable[[], Awaitable[None]] | None = None,
        address: str = "127.0.0.1:0",
        aiohttp_alone: bool = False,
        auth: BasicAuth | None = None,
        admission: EntranceRules | None = None,
        **limits: Any,
    ) -> None:
        self.incidents = Incidents()
        self.guard = Guard(HttpLimits(**limits), self.incidents)
        self.let_go = asyncio.Event()
        self.answered = 0
        self._big = big
        self._address = address
        self._clients: list[socket.socket] = []
        self.page = page_of(1000)
        self.bodies = BodyWriter(self.guard.limits.old_pages_bytes)
        self.own_series = OwnSeries("redis", "1.2.3", "compiled")
        self.handed_over = 0
        entrance = EntranceWith(admission or EntranceRules(auth), context, freshen)
        is_guarded = auth is not None or admission is not None
        sign_in = SignIn(entrance, self.incidents) if is_guarded else None
        heads = HeadReader(*(() if aiohttp_alone else ("/metrics", "/scrape")))
        source = ScrapeSource(
            cast(Scrapes, self), self.bodies, self.own_series, heads, self.incidents, entrance, sign_in
        )
        app = self.app = web.Application(middlewares=[middleware(sign_in)] if sign_in is not None else [])
        app.router.add_get("/metrics", self._scraped)
        app.router.add_get("/scrape", self._scraped)
        app.router.add_get("/ok", self._ok)
        app.router.add_post("/ok", self._ok)
        app.router.add_get("/wait", self._wait)
        app.router.add_get("/big", self._answer_big)
        app.router.add_get("/wrong", self._wrong)
        has_tls = context is not None or entrance.newest.tls is not None
        self.listener = Listener(app, self.guard, source, has_tls=has_tls)
        self._count_what_is_handed_over()

    def _count_what_is_handed_over(self) -> None:
        make = self.listener._http_connection

        def counted(visit: Visit) -> HttpConnection:
            self.handed_over += 1
            return make(visit)

        self.listener._http_connection = counted  # type: ignore[method-assign]

    async def __aenter__(self) -> Self:
        await self.listener.start(self._address)
        bound = self.listener.addresses[0]
        self.port = bound[1] if isinstance(bound, tuple) else 0
        return self

    async def __aexit__(self, *args: object) -> None:
        for client in self._clients:
            client.close()
        await self.listener.stop()

    async def _ok(self, request: web.Request) -> web.Response:
        self.answered += 1
        return web.Response(text="ok")

    async def _wait(self, request: web.Request) -> web.Response:
        await self.let_go.wait()
        return web.Response(text="waited")

    def answer(self, request: ScrapeRequest) -> Answering:
        """As `Scrapes` does."""
        what = request.query.get("target", "") if request.endpoint == SCRAPE else "page"
        self.answered += 1
        if what == "wrong":
            raise ValueError(f"a mistake with {request.query}")
        if what == "wait":
            return self._answer_later()
        return self.page if what == "page" else TextAnswer(200, what)

    async def _answer_later(self) -> TextAnswer:
        await self.let_go.wait()
        return TextAnswer(200, "waited")

    async def _scraped(self, request: web.Request) -> web.StreamResponse:
        answer = self.answer(ScrapeRequest(request.path.strip("/"), request.query, request.headers, ""))
        if not isinstance(answer, (Page, TextAnswer)):
            answer = await cast(HttpConnection, request.protocol).visit.wait_for(answer)
        if isinstance(answer, TextAnswer):
            return response_of(answer)
        outlet = ResponseOutlet(request)
        takes_gzip = accepts_gzip(request.headers.get("Accept-Encoding", ""))
        await self.bodies.send(outlet, answer, takes_gzip=takes_gzip)
        return outlet.response

    async def _answer_big(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(self._big)
        await response.prepare(request)
        step = 65536 if request.secure else len(self._big)
        for start in range(0, len(self._big), step):
            await response.write(self._big[start : start + step])
        return response

    async def _wrong(self, request: web.Request) -> web.Response:
        raise ValueError(f"a mistake with {request.query_string}")

    async def take_in(self, turns: int = 20) -> None:
        """Let it read what clients have sent, as far as it reads on, and begin to answer. Two pieces that are
        sent before and after this are two for it."""
        for _ in range(turns):
            await asyncio.sleep(0)
            if not any(unread_bytes(cast(Visit, visit)) for visit in self.guard):
                break
        for _ in range(3):
            await asyncio.sleep(0)

    def count(self, reason: str) -> int:
        return self.incidents.counts[reason]

    async def client(self, send: bytes = b"", address: str = "127.0.0.1", buffer: int = 0) -> Client:
        loop = asyncio.get_running_loop()
        client = socket.socket()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small pieces wait for each other
        self._clients.append(client)
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.bind((address, 0))
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", self.port))
        if send:
            await loop.sock_sendall(client, send)
        return Client(client)

    async def ask(self, send: bytes, **transform: Any) -> bytes:
        """All that is answered until the connection is closed."""
        client = await self.client(send, **transform)
        return await client.rest()


def unread_bytes(visit: Visit) -> int:
    """What has come on a connection and was not read."""
    if visit.wire is None or visit.wire.is_closing():
        return 0
    number = array("i", [0])
    fcntl.ioctl(visit.wire.get_extra_info("socket").fileno(), termios.FIONREAD, number)
    return number[0]


def page_of(size: int) -> Page:
    """A page with a plain text of about `size` bytes that does not compress well, and no ages."""
    return Draft(
        (), (), (), random.Random(size).randbytes(size // 2).hex().encode(), b"", (), (), 0, 0.0
    ).build()


class Client:
    """One end of a connection."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    async def read(self, at_most: int = 65536) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, at_most), PATIENCE_S)

    async def rest(self) -> bytes:
        """Everything until the end; a reset is one too."""
        found = b""
        try:
            while piece := await self.read():
                found += piece
        except ConnectionResetError:
            pass
        return found

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def is_closed_while_sending(self, piece: bytes, pause_s: float = 0.0) -> bool:
        """Send without an end, and whether the other side made one."""
        give_up = asyncio.get_running_loop().time() + PATIENCE_S
        try:
            while asyncio.get_running_loop().time() < give_up:
                await asyncio.wait_for(self.send(piece), PATIENCE_S)
                await asyncio.sleep(pause_s)
        except (ConnectionResetError, BrokenPipeError):
            return True
        return False

    def reset(self) -> None:
        """Leave without a farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Opened = Callable[..., Awaitable[Door]]
