"""A connection over a transport of the event loop, with TLS or without."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from typing import cast

from exporter.connection.backlog import WAITING_BYTES, running_backlog
from exporter.connection.link import PIECE_BYTES, Connection
from exporter.connection.replies import DEFAULT_LIMITS, ReplyLimits
from exporter.targets.redaction import NOTHING, Redaction


class StreamConnection(Connection, asyncio.Protocol):
    """A `Connection` that is a protocol of asyncio."""

    def __init__(
        self, where: str, peer: str, limits: ReplyLimits = DEFAULT_LIMITS, redaction: Redaction = NOTHING
    ) -> None:
        super().__init__(where, peer, limits, redaction)
        self._transport: asyncio.Transport | None = None
        self._unread: deque[bytes] = deque()  # pieces that wait their turn; meanwhile nothing is received

    async def attach(
        self, sock: socket.socket, context: ssl.SSLContext | None = None, name: str = ""
    ) -> None:
        if sock.family == socket.AF_UNIX:
            await self._loop.create_unix_connection(lambda: self, sock=sock)
        elif context is None:
            await self._loop.create_connection(lambda: self, sock=sock)
        else:
            await self._loop.create_connection(lambda: self, sock=sock, ssl=context, server_hostname=name)

    def _send(self, payload: bytes, count: int) -> None:
        assert self._transport is not None, "the dial has not ended"
        self._reader = self._new_reader(count)
        self._transport.write(payload)

    def _hang_up(self) -> None:
        self._unread.clear()
        if self._transport is not None:
            self._transport.abort()  # closing TLS in full can take long, and nothing unsent matters

    @property
    def _is_secured(self) -> bool:
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is not None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.closed:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self.traffic.received += len(data)
        reader = self._reader
        if reader is None:
            if not self.closed:
                self._shut(self._unasked(data))
            return
        self.began_reply = True
        if self._unread or reader.received + len(data) > WAITING_BYTES:
            reader.decode()
            self._put_off(data)
        else:
            self._take(reader, data)

    def _put_off(self, data: bytes) -> None:
        """The beginning of large replies was read at once. The rest waits its turn with those of other
        connections."""
        waiting = bool(self._unread)
        self._unread.extend([data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)])
        if not waiting and self._transport is not None:
            self._transport.pause_reading()
            running_backlog().add(self._read_on)

    def _read_on(self) -> None:
        if not self._unread or self._reader is None:  # it was closed meanwhile
            return
        piece = self._unread.popleft()
        self._take(self._reader, piece, more=bool(self._unread))
        if self._unread:
            running_backlog().add(self._read_on)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> None:
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)

    def _lost(self, exc: Exception | None) -> None:
        while self._unread and self._reader is not None:  # what the server sent before the end counts
            piece = self._unread.popleft()
            self._take(self._reader, piece, more=bool(self._unread))
        self._end(exc)
