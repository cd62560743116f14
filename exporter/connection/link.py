"""One connection to one server: exchanging one pipeline for its replies, and what it means if that fails.

`Connection` holds what is the same however bytes are sent and received: `stream` does that over a transport
of the event loop, `burst` over a socket of the exchange core. It calls back, without a task. Every failure is
a `TargetError`. Its text names the server as the operator wrote it, and never a user, a password or the
server's answer to AUTH (which may repeat the arguments of AUTH).

RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from exporter.connection.failures import not_resp, os_failure
from exporter.connection.handshake import Notice, refusal
from exporter.connection.replies import (
    DEFAULT_LIMITS,
    NotRespError,
    RawReplies,
    ReplyLimits,
    ReplyReader,
    TooMuchError,
    borrow_reader,
    give_back,
    read_unasked,
)
from exporter.connection.traffic import Traffic
from exporter.errors import (
    CancelledPollError,
    InternalError,
    ProtocolError,
    ReplyError,
    ResetError,
    TargetError,
    TooLargeError,
)
from exporter.protocol.command import Reply
from exporter.targets.redaction import NOTHING, Redaction

log = logging.getLogger(__name__)

#: large replies are read in pieces of this size: one takes 3 ms at most, if it is a list of empty lists
PIECE_BYTES = 64 * 1024

Done = Callable[[list[Reply] | TargetError], None]
RawDone = Callable[[RawReplies | TargetError], None]


class Connection(ABC):
    """One connection to one server, with at most one exchange at a time.

    `where` names the server in texts. `peer` is the numeric address it is connected to, or the path of the
    socket; `addresses` are all that its name had then. `began_reply`: a byte came for the newest exchange;
    until then, the exchange may be repeated on another connection. `received` is how many bytes the replies
    of the newest complete exchange took; `traffic` counts all bytes, with those of other connections to the
    target. `notices` come from the handshake, and `ping_s` from a PING after it. Once `closed`, it stays
    closed.
    """

    def __init__(
        self, where: str, peer: str, limits: ReplyLimits = DEFAULT_LIMITS, redaction: Redaction = NOTHING
    ) -> None:
        self.closed = False
        self.where = where
        self.peer = peer
        self.addresses: tuple[str, ...] = ()
        self.began_reply = False
        self.received = 0
        self.traffic = Traffic()
        self.notices: tuple[Notice, ...] = ()
        self.ping_s: float | None = None
        self._limits = limits
        self._redaction = redaction
        self._loop = asyncio.get_running_loop()
        self._reader: ReplyReader | None = None  # of the running exchange only
        self._raw = False  # whether the running exchange is one for raw replies
        self._done: Callable[[Any], None] | None = None
        self._exchanged = False  # whether an exchange has ended well on this connection
        self._reason: TargetError = ResetError(f"{where}: the server closed the idle connection")

    @property
    def exchanging(self) -> bool:
        return self._done is not None

    def exchange(self, payload: bytes, count: int, done: Done) -> None:
        """Write `payload`, a packed pipeline of `count` > 0 commands, and call `done` once.

        `done` gets the list of replies (texts as bytes, error replies as `ReplyError` values), or the error
        that ended the exchange. It is called after this method has returned, and may start the next exchange.
        """
        self._begin(payload, count, done, raw=False)

    def exchange_raw(self, payload: bytes, count: int, done: RawDone) -> None:
        """The same, but `done` gets the replies as they came: see `RawReplies`."""
        self._begin(payload, count, done, raw=True)

    def _begin(self, payload: bytes, count: int, done: Callable[[Any], None], *, raw: bool) -> None:
        if self._done is not None:
            raise InternalError(f"{self.where}: an exchange is running already")
        self._done = done
        self.began_reply = False
        if self.closed:
            self._loop.call_soon(self._finish, self._reason)
            return
        self._raw = raw
        self.traffic.sent += len(payload)
        self._send(payload, count)

    def abort(self, error: TargetError) -> None:
        """Close, and end a running exchange with `error`."""
        self._shut(error)
        self._finish(error)

    def close(self) -> None:
        """Close. A running exchange ends as cancelled."""
        self.abort(CancelledPollError(f"{self.where}: the connection was given up"))

    # What a kind of connection does in its own way.

    @abstractmethod
    async def attach(
        self, sock: socket.socket, context: ssl.SSLContext | None = None, name: str = ""
    ) -> None:
        """Take a connected socket, and begin TLS if there is a `context`; `name` is the server's. Raises
        OSError, or ValueError for a name that TLS cannot carry."""

    @abstractmethod
    def _send(self, payload: bytes, count: int) -> None:
        """Send what an exchange begins with; `count` replies will come."""

    @abstractmethod
    def _hang_up(self) -> None:
        """Close the socket. It is called once."""

    @property
    @abstractmethod
    def _is_secured(self) -> bool:
        """Whether the connection has TLS."""

    # What the kinds have in common.

    def _shut(self, reason: TargetError) -> None:
        """Close without ending the running exchange. The first reason is kept for the next exchange."""
        if self.closed:
            return
        self.closed = True
        self._reason = reason
        self._hang_up()

    def _finish(self, outcome: list[Reply] | RawReplies | TargetError) -> None:
        # The state is idle before the callback runs, because it may start the next exchange.
        done, self._done, self._reader = self._done, None, None
        if done is None:
            return
        try:
            done(outcome)
        except Exception as error:  # the event loop would end the connection silently
            self.note_fault(error)

    def note_fault(self, error: Exception) -> None:
        """A callback has raised this: the connection is as good as before."""
        log.error("%s: internal error after an exchange (please report)", self.where, exc_info=error)

    def _take(self, reader: ReplyReader, data: bytes, more: bool = False) -> None:
        """Read what came for the running exchange. `more`: more has come after `data`."""
        try:
            complete = reader.take(data)
        except Exception as error:
            self.abort(_unreadable(self.where, self._redaction, data, error))
            return
        if not complete:
            return
        replies = reader.raw_replies if self._raw else reader.replies
        self.received = reader.received
        if reader.spare or more:
            self._shut(ProtocolError(f"{self.where}: the server sent more replies than there were commands"))
        else:
            give_back(reader)
        self._exchanged = True
        self._finish(replies)

    def _new_reader(self, count: int) -> ReplyReader:
        return borrow_reader(count, self._limits, self._redaction, raw=self._raw)

    # Why an exchange failed.

    def _end(self, exc: Exception | None) -> None:
        """The connection has come to its end, by `exc` if there was an error."""
        if self.closed:
            return
        replies: Sequence[Reply] = ()
        is_within = False
        if self._reader is not None:
            self._reader.decode()
            replies, is_within = self._reader.replies, self._reader.is_within
        self.abort(self._farewell(replies) or self._broken(exc, len(replies), is_within=is_within))

    def _broken(self, exc: Exception | None, answered: int, *, is_within: bool) -> TargetError:
        if isinstance(exc, ssl.SSLError):
            return os_failure(self.where, exc)
        if self._done is None and self._exchanged:
            return self._reason
        how = "in the middle of its replies" if self.began_reply else f"before it answered: {self._hint}"
        broken = ResetError(f"{self.where}: the server closed the connection {how}")
        if self._done is not None:
            broken.answered, broken.is_within = answered, is_within
        return broken

    @property
    def _hint(self) -> str:
        """What a server may be that hangs up in place of a reply. Several kinds look alike."""
        proxy = "a proxy that does not take these commands"
        if self._exchanged:
            return f"it may be {proxy}"
        # In TLS 1.3 a client certificate is refused after the handshake, and a reset can overtake the alert
        # that says so.
        certificate = "a client certificate that it trusts (--tls-client-cert-file)"
        wanted = certificate if self._is_secured else "TLS at this port (rediss:// or valkeys://)"
        return f"it may want {wanted}, or be {proxy} or has no server behind it"

    def _farewell(self, replies: Sequence[Reply]) -> TargetError | None:
        """A server that does not want a new connection sends the reason in one line and closes."""
        if self._exchanged or len(replies) != 1 or not isinstance(replies[0], ReplyError):
            return None
        return refusal(self.where, replies[0])

    def _unasked(self, data: bytes) -> TargetError:
        try:
            replies = read_unasked(data)
        except Exception as error:
            return _unreadable(self.where, self._redaction, data, error)
        return self._farewell(replies) or ProtocolError(
            f"{self.where}: the server sent a reply to no command"
        )


def _unreadable(where: str, redaction: Redaction, data: bytes, error: Exception) -> TargetError:
    match error:
        case NotRespError():
            return not_resp(where, data, redaction.clean(str(error)))
        case TooMuchError():
            return TooLargeError(f"{where}: {error}")
    log.error("%s: internal error while reading replies (please report)", where, exc_info=error)
    return TargetError(f"{where}: {type(error).__name__} while reading replies")
