"""One connection of a client: aiohttp's own handler, within the limits of the guard."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import StreamReader

from exporter.web.activity import Activity
from exporter.web.clients import client_of
from exporter.web.guard import Guard, Visitor
from exporter.web.incidents import place_of

#: turns of the loop after an answer, until aiohttp begins the answer to a request that has come already
TURNS = 3
#: after an answer to a head, an unread body is thrown away for this time; then the connection closes
LINGER_S = 1.0
#: what may wait in a TLS connection for its client: asyncio's own limit is 512 kB
TLS_BUFFER_BYTES = 64 * 1024

_ERRORS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


def bare_answer(status: int) -> bytes:
    """A whole answer, after which the connection is closed. It repeats nothing of the request."""
    text = _ERRORS[status] + b"\n"
    head = (
        b"HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    )
    return head % (status, _ERRORS[status], len(text)) + text


class _AnsweredError(ConnectionError):
    """The answer is written already: aiohttp has nothing more to send, and closes."""


class HttpConnection(web.RequestHandler):
    """`address` identifies the client. `half_closed`: the client sends no more, but may still read."""

    __slots__ = ("_activity", "_guard", "_handshake", "_secure", "_wire", "address", "half_closed")

    def __init__(
        self,
        server: web.Server,
        guard: Guard,
        *,
        loop: asyncio.AbstractEventLoop,
        handshake: Visitor | None = None,
    ) -> None:
        # aiohttp's own limit comes after the guard's, which counts what it closes
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=guard.limits.idle_s + 60,
            lingering_time=LINGER_S,
            access_log=None,  # type: ignore[arg-type]
        )
        self._guard = guard
        self._handshake = handshake
        self._wire: asyncio.Transport | None = None
        self._secure = handshake is not None
        self.address = ""
        self.half_closed = False

    # -- what happens to the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = self._wire = cast(asyncio.Transport, transport)
        self._activity = Activity(self._guard.limits, asyncio.get_running_loop().time)
        self.address = client_of(transport)
        if self._handshake is not None:
            wire.set_write_buffer_limits(TLS_BUFFER_BYTES)
            entered = self._guard.replace(self._handshake, self)
            self._handshake = None
        else:
            entered = self._guard.enter(self, self.address)
        if entered:
            super().connection_made(transport)
        elif self._secure:
            wire.abort()
        else:
            wire.write(bare_answer(503))
            wire.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._guard.leave(self)
        self._wire = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._activity.receive(len(data)):
            super().data_received(data)
        else:
            self.end("too_large")

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for the answer to what has come. (TLS cannot: its end is the end of both
        directions.)"""
        super().eof_received()
        if self._secure:
            return False
        self.half_closed = True
        self._close_when_done(self._activity.taken_up, TURNS)
        return True

    def _close_when_done(self, taken_up: int, turns: int) -> None:
        """Close unless another answer begins in the next turns of the loop."""
        if taken_up != self._activity.taken_up:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._close_when_done, taken_up, turns - 1)
        elif not self._activity.answering and self._wire is not None:
            self._wire.close()

    # -- what happens to a request

    def begin(self, payload: StreamReader) -> None:
        """A request is complete, but for its body, and its answer begins."""
        self._activity.take_up(body=not payload.is_eof())
        if self._activity.taken_up == 1:
            self._guard.settle(self)

    def log_access(self, request: web.BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """aiohttp calls it at the end of an answer. Nothing is logged."""
        self._activity.finish()
        if self.half_closed:
            self._close_when_done(self._activity.taken_up, TURNS)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not a request, and a bug of this program, with the bare status: the exception's text
        may hold the request's bytes."""
        if isinstance(exc, _AnsweredError):
            raise exc
        if isinstance(exc, ConnectionError) and (self._wire is None or self._wire.is_closing()):
            raise _AnsweredError  # the client has left
        if status >= 500:
            self._guard.incidents.note("internal", place_of(exc), client=self.address)
            self._answer_barely(500, started=request.writer.output_size > 0)
        too_large = isinstance(exc, LineTooLong)
        self._guard.incidents.note("too_large" if too_large else "malformed", client=self.address)
        self._answer_barely(431 if too_large else 400, started=False)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Of an exception that aiohttp did not expect, only type and place."""
        self._guard.incidents.note("internal", place_of(kw.get("exc_info")), client=self.address)

    def _answer_barely(self, status: int, *, started: bool) -> NoReturn:
        if not started and self._wire is not None and not self._wire.is_closing():
            self._wire.write(bare_answer(status))
        raise _AnsweredError

    # -- what the guard asks

    def rank(self, now: float) -> tuple[int, float] | None:
        return self._activity.rank(now)

    def overdue(self, now: float) -> str:
        # under TLS, bytes that wait below it are not seen: while it closes, some do
        wire = self._wire
        unsent = 0 if wire is None else wire.get_write_buffer_size() or int(wire.is_closing())
        return self._activity.overdue(now, unsent)

    @property
    def moves(self) -> bool:
        """Whether an answer is running that its client reads."""
        if self._wire is None or self._wire.is_closing():
            return False
        return self._activity.moves(asyncio.get_running_loop().time())

    def abort(self) -> None:
        """Close at once, without counting a reason."""
        self._guard.leave(self)
        if self._wire is not None:
            self._wire.abort()

    def end(self, reason: str) -> None:
        """Close at once. A client that has sent a part of a request gets the reason, if its buffer has room
        and the close does not wait: under TLS it waits for the client's side, and keeps a file open."""
        self._guard.incidents.note(reason, client=self.address)
        self._guard.leave(self)
        wire = self._wire
        if wire is None or wire.is_closing() or self._secure:
            self.abort()
            return
        doing = self._activity
        status = {"request_timeout": 408, "too_large": 413 if doing.body else 431, "evicted": 503}.get(reason)
        if status is not None and doing.incomplete and doing.received and not wire.get_write_buffer_size():
            wire.write(bare_answer(status))
            if not wire.get_write_buffer_size():
                wire.close()
                return
        wire.abort()
