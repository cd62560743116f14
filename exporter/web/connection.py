"""One connection of a client that aiohttp answers, within the limits of the guard."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import _ErrInfo

from exporter.web.answers import bare_answer
from exporter.web.incidents import place_of
from exporter.web.visit import Visit

#: after an answer to a head, an unread body is thrown away for this time; then the connection closes
LINGER_S = 1.0


class _WrittenAnswer(web.StreamResponse):
    """The answer is written already: aiohttp has nothing more to send, and closes. (An exception in its place
    would be one that refers to itself, through the task that raised it.)"""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        pass


class HttpConnection(web.RequestHandler):
    """aiohttp's own handler. It gets a connection that has its place already.

    Nothing of it may refer to itself after its end, as exceptions easily do: an idle exporter makes so few
    objects that its garbage collector seldom runs, and strangers would fill the memory until then.
    """

    __slots__ = ("_has_failed", "visit")

    def __init__(self, server: web.Server, visit: Visit, *, idle_s: float) -> None:
        # aiohttp's own limit comes after the guard's, which counts what it closes
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=idle_s + 60,
            lingering_time=LINGER_S,
            auto_decompress=False,  # no path reads what is compressed, and a small body may become a huge one
            access_log=None,  # type: ignore[arg-type]
        )
        self.visit = visit
        self._has_failed = False  # what came was not a request: nothing more is read

    @property
    def half_closed(self) -> bool:
        return self.visit.half_closed

    # -- what happens to the connection

    def connection_lost(self, exc: BaseException | None) -> None:
        self.visit.leave()
        if self._paused:
            self.resume_writing()  # who waits to write goes on, and sees that the client has left
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.visit.stir()
        if not self._has_failed and self.visit.receive(len(data)):
            self._feed(data)

    def take_over(self, data: bytes) -> None:
        """Handle bytes that another protocol has received and counted."""
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        super().data_received(data)
        for message, _ in self._messages:
            if isinstance(message, _ErrInfo):
                # it leads to a frame that has `data` and, again, this message
                message.exc.__traceback__ = None
                self._has_failed = True

    def eof_received(self) -> bool:  # type: ignore[override]
        super().eof_received()
        return self.visit.half_close()

    # -- what happens to a request

    def begin(self, payload: StreamReader) -> None:
        """A request is complete, but for its body, and its answer begins."""
        self.visit.take_up(body=not payload.is_eof())

    def log_access(self, request: web.BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """aiohttp calls it at the end of an answer. Nothing is logged."""
        if isinstance(response, web.HTTPException):
            response.__traceback__ = None  # it leads to a frame that has this response
        self.visit.finish()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not a request, and a bug of this program, with the bare status: the exception's text
        may hold the request's bytes."""
        if isinstance(exc, ConnectionError) and not self.visit.is_open:
            return _WrittenAnswer()  # the client has left
        if status >= 500:
            self.visit.note("internal", place_of(exc))
            return self._answer_barely(500, started=request.writer.output_size > 0)
        too_large = isinstance(exc, LineTooLong)
        self.visit.note("too_large" if too_large else "malformed")
        return self._answer_barely(431 if too_large else 400, started=False)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Of an exception that aiohttp did not expect, only type and place."""
        self.visit.note("internal", place_of(kw.get("exc_info")))

    def _answer_barely(self, status: int, *, started: bool) -> web.StreamResponse:
        wire = self.visit.wire
        if not started and wire is not None and not wire.is_closing():
            wire.write(bare_answer(status))
        return _WrittenAnswer()
