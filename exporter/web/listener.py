"""Where clients come in: the sockets that are listened on, and what each connection is made into."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from exporter.errors import ConfigError
from exporter.options.values import UNIX
from exporter.web.clients import network_of
from exporter.web.connection import HttpConnection
from exporter.web.guard import INCOMPLETE, YOUNG, YOUNG_S, Guard
from exporter.web.listening_sockets import ListeningSockets, open_sockets
from exporter.web.scrape_connection import ScrapeConnection, ScrapeSource
from exporter.web.visit import Visit

BACKLOG = 1024
#: connections that one turn of the loop accepts
HANDFUL = 100
#: pause after a connection could not be accepted for lack of files
PAUSE_S = 0.5
#: how long a stop waits for answers that clients still read, and how often it checks
DRAIN_S = 0.65
DRAIN_LOOK_S = 0.02
#: how long it then waits for the tasks of closed connections; aiohttp does so twice
END_S = 0.05

#: the only valid expectation; aiohttp repeats any other in its answer, or fails at bytes that are not UTF-8
_CONTINUE = "100-continue"

log = logging.getLogger(__name__)


class TlsHandshake:
    """A connection during its TLS handshake. `address` identifies the client."""

    def __init__(self, guard: Guard, address: str) -> None:
        self._guard = guard
        self.address = address
        self._since = asyncio.get_running_loop().time()
        self.task: asyncio.Task[None] | None = None

    def rank(self, now: float) -> tuple[int, float] | None:
        return (INCOMPLETE if now - self._since >= YOUNG_S else YOUNG, self._since)

    def overdue(self, now: float) -> str:
        return "handshake" if now - self._since > self._guard.limits.request_s else ""

    def end(self, reason: str) -> None:
        self._guard.incidents.note(reason, client=self.address)
        self._guard.leave(self)
        if self.task is not None:
            self.task.cancel()


class Listener:
    """Answers on one address: plain scrapes from `source`, all else with `app`. If it `has_tls`, the entrance
    of the source gives the context of each handshake."""

    def __init__(
        self, app: web.Application, guard: Guard, source: ScrapeSource, *, has_tls: bool = False
    ) -> None:
        app.on_response_prepare.append(self._finish_head)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=END_S, handle_signals=False)
        self._guard = guard
        self._has_tls = has_tls
        self._source = source
        self._answers: set[asyncio.Task[None]] = set()
        self._sockets = ListeningSockets(())
        self._servers: list[asyncio.AbstractServer] = []
        #: with the socket, until it is the loop's
        self._handshakes: dict[asyncio.Task[None], socket.socket | None] = {}
        self._server: web.Server | None = None

    @property
    def addresses(self) -> list[Any]:
        """The addresses that it listens on, as a socket names them."""
        return [listening.getsockname() for listening in self._sockets]

    async def start(self, address: str, environ: Mapping[str, str] = os.environ) -> None:
        """Listen, as `--web.listen-address` says. Raises what `open_sockets` raises."""
        await self._runner.setup()
        self._server = self._runner.server
        assert self._server is not None
        make = self._server.request_factory

        def request(message: Any, payload: Any, connection: Any, writer: Any, task: Any) -> web.BaseRequest:
            connection.begin(payload)
            if message.headers.get("Expect", _CONTINUE).lower() != _CONTINUE:
                message = message._replace(headers=_without_expect(message.headers))
            return make(message, payload, connection, writer, task)

        self._server.request_factory = request
        loop = asyncio.get_running_loop()
        try:
            self._sockets = await open_sockets(address, environ)
            for listening in self._sockets:
                if not self._has_tls:
                    create = (
                        loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
                    )
                    self._servers.append(await create(self._connection, sock=listening, backlog=BACKLOG))
                else:
                    listening.listen(BACKLOG)
                    loop.add_reader(listening, self._accept, listening)
        except BaseException:
            await self.stop()
            raise

    def _connection(self, handshake: TlsHandshake | None = None) -> asyncio.Protocol:
        return ScrapeConnection(self._source, self._guard, self._http_connection, self._answers, handshake)

    def _http_connection(self, visit: Visit) -> HttpConnection:
        assert self._server is not None
        return HttpConnection(self._server, visit, idle_s=self._guard.limits.idle_s)

    async def _finish_head(self, request: web.Request, response: web.StreamResponse) -> None:
        """Clients need not know the versions of our software, and must not take an answer for another
        kind."""
        response.headers.popall("Server", None)
        response.headers.update(self._source.entrance.newest.headers.values)

    # -- TLS: with the loop's own server, a handshake could not make room for others

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(HANDFUL):
            try:
                client, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listening, error)
                return
            handshake = TlsHandshake(self._guard, network_of(peer))
            if not self._guard.enter(handshake, handshake.address):
                client.close()
                continue
            client.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._secure(client, handshake))
            handshake.task = task
            self._handshakes[task] = client
            task.add_done_callback(self._end_handshake)

    def _end_handshake(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step never runs: its socket is closed all the same."""
        client = self._handshakes.pop(task)
        if client is not None:
            client.close()

    async def _secure(self, client: socket.socket, handshake: TlsHandshake) -> None:
        limit_s = self._guard.limits.request_s
        task = handshake.task
        assert task is not None
        try:
            await self._source.entrance.freshen_all()
            self._handshakes[task] = None  # the loop closes it from here on
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._connection(handshake),
                client,
                ssl=self._source.entrance.context,
                ssl_handshake_timeout=limit_s,
                ssl_shutdown_timeout=limit_s,
            )
        except OSError as error:  # also of TLS
            self._guard.incidents.note("handshake", _why(error), client=handshake.address)
        finally:
            self._guard.leave(handshake)

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Without free files, each turn of the loop would fail again."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        self._guard.incidents.note("refused", error.strerror or "")

        def again() -> None:
            if listening.fileno() >= 0:
                loop.add_reader(listening, self._accept, listening)

        loop.call_later(PAUSE_S, again)

    # -- stopping

    async def stop(self) -> None:
        """Accept no more, finish the answers that clients still read, close everything."""
        loop = asyncio.get_running_loop()
        for server in self._servers:
            server.close()
        for listening in self._sockets:
            if self._has_tls:
                loop.remove_reader(listening)
        self._sockets.close()
        for task in list(self._handshakes):
            task.cancel()
        until = loop.time() + DRAIN_S
        while loop.time() < until and any(self._moving()):
            await asyncio.sleep(DRAIN_LOOK_S)
        for connection in self._connections():
            connection.abort()
        for task in list(self._answers):
            task.cancel()
        await self._runner.cleanup()
        self._guard.close()

    def _connections(self) -> list[Visit]:
        return [visitor for visitor in self._guard if isinstance(visitor, Visit)]

    def _moving(self) -> list[Visit]:
        now = asyncio.get_running_loop().time()
        connections = self._connections()
        for connection in connections:
            connection.overdue(now)
        return [connection for connection in connections if connection.moves]


def shown(bound: object) -> str:
    """The address of a listening socket, as host:port or unix:path."""
    if isinstance(bound, tuple):
        host, port = bound[0], bound[1]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    name = bound.decode("utf-8", "replace").replace("\0", "@") if isinstance(bound, bytes) else str(bound)
    return f"{UNIX}{name}"


def cannot_listen(address: str, error: OSError | ValueError) -> ConfigError:
    """The error for the operator."""
    if isinstance(error, ValueError):  # from the codec of host names
        why = "this is not a host name"
    else:
        why = (
            "another program uses this address"
            if error.errno == errno.EADDRINUSE
            else error.strerror or str(error)
        )
    instead = (
        "write another path, in a folder that exists and that this user may write to"
        if address.startswith(UNIX)
        else "choose another one, such as :9122"
    )
    return ConfigError(f"--web.listen-address={address}: {why}; {instead}")


def _why(error: OSError) -> str:
    """Why a handshake failed, in words of OpenSSL, which are none of the client's; "" if it did not end."""
    if not isinstance(error, ssl.SSLError):
        return ""
    reason = (error.reason or "").lower().replace("_", " ")
    return f"{reason}: {error.verify_message}" if isinstance(error, ssl.SSLCertVerificationError) else reason


def _without_expect(headers: Mapping[str, str]) -> CIMultiDictProxy[str]:
    """Without the header: a server may ignore an expectation that it does not know (RFC 9110, 10.1.1)."""
    return CIMultiDictProxy(
        CIMultiDict((name, value) for name, value in headers.items() if name.lower() != "expect")
    )
