"""One connection of a client: aiohttp's own handler, under the guard's eyes.

What it is doing is told from three moments: bytes came, a request was taken up, an answer ended.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import StreamReader

from exporter.web.clients import client_of
from exporter.web.guard import IDLE, INCOMPLETE, SLOW, SLOW_S, WAITING, YOUNG, YOUNG_S, Guard, Visitor
from exporter.web.incidents import place_of

#: so many turns of the loop after an answer the next request that had come by then has been taken up
TURNS = 3
#: how long what follows an answered head, a body that nobody reads, is thrown away before the connection is
#: closed
LINGER_S = 1.0
#: what waits in a TLS connection for its client: asyncio would let it be 512 kB
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
    head = b"HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, _ERRORS[status], len(text)) + text


class _AnsweredError(ConnectionError):
    """The answer was written as it stands: aiohttp has nothing more to send, and closes."""


class HttpConnection(web.RequestHandler):
    """`address` stands for the client. `half_closed`: the client sends no more, but may still read."""

    __slots__ = (
        "_answering", "_body", "_guard", "_handshake", "_moved_at", "_received", "_secure", "_since",
        "_taken",
        "_unsent",
        "_wire",
        "_writing_since", "address", "half_closed",
    )  # fmt: skip

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
        self._answering = False
        self._taken = 0  # requests that were taken up
        self._body = False  # of a request that is being answered, or was: it may still be coming
        self._received = 0  # bytes since the last request was taken up
        self._since = 0.0  # when what it does now began
        self._unsent = 0  # bytes that were not sent at the last look
        self._moved_at = 0.0  # when that number last changed
        self._writing_since = 0.0  # 0: nothing waits to be sent
        self.address = ""
        self.half_closed = False

    # -- what happens to the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = self._wire = cast(asyncio.Transport, transport)
        self._since = asyncio.get_running_loop().time()
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
        if not self._received:
            if not self._answering:
                self._since = asyncio.get_running_loop().time()
        elif self._received > self._guard.limits.request_bytes and (self._body or not self._answering):
            self.end("too_large")
            return
        self._received += len(data)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for the answer to what has come. (TLS cannot: its end is the end of both
        directions.)"""
        super().eof_received()
        if self._secure:
            return False
        self.half_closed = True
        self._close_when_done(self._taken, TURNS)
        return True

    def _close_when_done(self, taken: int, turns: int) -> None:
        """Close unless another request is taken up in the next turns of the loop."""
        if taken != self._taken:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._close_when_done, taken, turns - 1)
        elif not self._answering and self._wire is not None:
            self._wire.close()

    # -- what happens to a request

    def begin(self, payload: StreamReader) -> None:
        """A request has come whole, but for its body, and is taken up."""
        self._answering = True
        self._body = not payload.is_eof()
        self._received = 0
        self._since = asyncio.get_running_loop().time()
        self._writing_since = 0.0
        self._taken += 1
        if self._taken == 1:
            self._guard.settle(self)

    def log_access(self, request: web.BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """aiohttp calls it where an answer has ended. Nothing is logged."""
        self._answering = False
        self._since = asyncio.get_running_loop().time()
        if self._body:
            self._received = 0
        if self.half_closed:
            self._close_when_done(self._taken, TURNS)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request with the bare status, and so a mistake of ours: the exception's text
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
        """Of what aiohttp did not foresee only the kind and place."""
        self._guard.incidents.note("internal", place_of(kw.get("exc_info")), client=self.address)

    def _answer_barely(self, status: int, *, started: bool) -> NoReturn:
        if not started and self._wire is not None and not self._wire.is_closing():
            self._wire.write(bare_answer(status))
        raise _AnsweredError

    # -- what the guard asks

    @property
    def _incomplete(self) -> bool:
        return not self._answering and (self._received > 0 or not self._taken)

    def rank(self, now: float) -> tuple[int, float] | None:
        if self._unsent:
            return (SLOW, self._moved_at) if now - self._moved_at >= SLOW_S else None
        if self._answering:
            return (WAITING, self._since) if now - self._since > self._guard.limits.request_s else None
        if self._incomplete:
            return (INCOMPLETE if now - self._since >= YOUNG_S else YOUNG, self._since)
        return (IDLE, self._since)

    def overdue(self, now: float) -> str:
        limits = self._guard.limits
        # under TLS what waits below it is not seen: while it closes, something does
        unsent = (
            0 if self._wire is None else self._wire.get_write_buffer_size() or int(self._wire.is_closing())
        )
        if unsent != self._unsent:
            self._unsent = unsent
            self._moved_at = now
        if unsent:
            self._writing_since = self._writing_since or now
            if now - self._moved_at > limits.write_s:
                return "write_stalled"
            return "answer_timeout" if now - self._writing_since > limits.answer_s else ""
        if self._answering:
            return "answer_timeout" if now - self._since > limits.answer_s else ""
        self._writing_since = 0.0
        if self._incomplete:
            return "request_timeout" if now - self._since > limits.request_s else ""
        return "idle" if now - self._since > limits.idle_s else ""

    @property
    def moves(self) -> bool:
        """Whether an answer is under way that its reader takes."""
        if self._wire is None or self._wire.is_closing():
            return False
        now = asyncio.get_running_loop().time()
        if self._unsent:
            return now - self._moved_at < SLOW_S
        return self._answering and now - self._since < SLOW_S

    def abort(self) -> None:
        """Close at once, for no reason to count."""
        self._guard.leave(self)
        if self._wire is not None:
            self._wire.abort()

    def end(self, reason: str) -> None:
        """Close at once. Who sent a part of a request is told why, if there is room for that and the close
        waits for nobody: under TLS it waits for the client's own farewell, and holds a file meanwhile."""
        self._guard.incidents.note(reason, client=self.address)
        self._guard.leave(self)
        wire = self._wire
        if wire is None or wire.is_closing() or self._secure:
            self.abort()
            return
        status = {"request_timeout": 408, "too_large": 413 if self._body else 431, "evicted": 503}.get(reason)
        if status is not None and self._incomplete and self._received and not wire.get_write_buffer_size():
            wire.write(bare_answer(status))
            if not wire.get_write_buffer_size():
                wire.close()
                return
        wire.abort()
