"""A connection over a socket of the exchange core: many of them are served by one wakeup of the event loop.

The core gives all replies of an ordinary exchange in one piece. What is out of the ordinary it hands on as
bytes, and that is read as by any other connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from weakref import WeakKeyDictionary, ref

from exporter.connection.backlog import WAITING_BYTES, running_backlog
from exporter.connection.link import PIECE_BYTES, Connection
from exporter.connection.replies import DEFAULT_LIMITS, RawReplies, ReplyDecoder, ReplyLimits, whole_replies
from exporter.connection.tls import ClientHandshake
from exporter.engine import Channel, Exchanger
from exporter.errors import TargetError
from exporter.targets.redaction import NOTHING, Redaction

log = logging.getLogger(__name__)

#: time that replies are read in one turn of the event loop; then it goes on with other work
TURN_S = 0.005

#: of each loop that has connections. Only these connections and the loop keep an exchanger.
_exchangers: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Exchanger]] = WeakKeyDictionary()


def running_exchanger() -> Exchanger:
    """The one of the running event loop."""
    loop = asyncio.get_running_loop()
    known = _exchangers.get(loop)
    exchanger = known() if known is not None else None
    if exchanger is None:
        exchanger = Exchanger(TURN_S)
        _exchangers[loop] = ref(exchanger)
        loop.add_reader(exchanger.fileno(), exchanger.drain)
    return exchanger


def _release(loop: asyncio.AbstractEventLoop, exchanger: Exchanger) -> None:
    """Close an exchanger that has no connection any longer."""
    if exchanger.channels == 0:
        _exchangers.pop(loop, None)
        if not loop.is_closed():
            loop.remove_reader(exchanger.fileno())
        exchanger.close()


class CoreConnection(Channel, Connection):
    """A `Connection` that is a channel of the core, with TLS or without."""

    def __init__(
        self, where: str, peer: str, limits: ReplyLimits = DEFAULT_LIMITS, redaction: Redaction = NOTHING
    ) -> None:
        Connection.__init__(self, where, peer, limits, redaction)
        self._exchanger: Exchanger | None = None
        self._count = 0  # replies of the newest exchange
        self.raw_kind = RawReplies
        self.raw_source = ReplyDecoder(limits, redaction)
        self._unread = b""  # what waits its turn; meanwhile nothing is received

    async def attach(
        self, sock: socket.socket, context: ssl.SSLContext | None = None, name: str = ""
    ) -> None:
        if context is None:
            self._open(sock)
            return
        shaking = ClientHandshake(context, name)
        early = await shaking.run(sock)
        self._open(sock)
        self.secure(shaking.session, shaking.incoming, shaking.outgoing, early)

    def _open(self, sock: socket.socket) -> None:
        limits = self._limits
        exchanger = self._exchanger = running_exchanger()
        self.open(exchanger, sock.detach(), (limits.bytes_max, limits.elements_max, limits.total_max))

    def _send(self, payload: bytes, count: int) -> None:
        self._count = count
        self.ask(payload, count)

    def _hang_up(self) -> None:
        self.traffic.received += len(self.take_held())
        self._unread = b""
        self.shut()
        exchanger, self._exchanger = self._exchanger, None
        if exchanger is not None:
            _release(self._loop, exchanger)

    @property
    def _is_secured(self) -> bool:
        return self.is_secured

    # What the core calls.

    def answered(self, data: bytes, ends: tuple[int, ...]) -> None:
        self.traffic.received += len(data)
        if self._raw:
            self.received = len(data)
            self._exchanged = True
            self._finish(whole_replies(data, ends, self.raw_source))
        else:
            self._take(self._new_reader(len(ends)), data)

    def came(self, data: bytes) -> None:
        self.traffic.received += len(data)
        if self._done is None:
            self._shut(self._unasked(data))
            return
        if self._reader is None:
            self._reader = self._new_reader(self._count)
        if self._reader.received + len(data) > WAITING_BYTES:
            self._put_off(data)
        else:
            self._take(self._reader, data, more=self.has_more)

    def _put_off(self, data: bytes) -> None:
        """The replies are large: the rest waits its turn with those of other connections."""
        if self._reader is not None:
            self._reader.decode()
        self.unwatch()
        self._unread = data
        running_backlog().add(self._read_on)

    def _read_on(self) -> None:
        if self._reader is None or not self._unread:  # it was closed meanwhile
            return
        piece, self._unread = self._unread[:PIECE_BYTES], self._unread[PIECE_BYTES:]
        self._take(self._reader, piece, more=bool(self._unread) or self.has_more)
        if self._reader is None:  # the replies are complete
            self.watch()
            return
        if not self._unread:
            data = self.receive(PIECE_BYTES)
            if data is None:
                self.watch()
                return
            if not data:
                self.ended()
                return
            self.traffic.received += len(data)
            self._unread = data
        running_backlog().add(self._read_on)

    def ended(self) -> None:
        held = self.take_held()
        if held and self._done is not None:  # what the server sent before the end counts
            self.traffic.received += len(held)
            self._reader = self._new_reader(self._count)
            self._take(self._reader, held)
        self._end(self.failure)

    def failed(self, error: Exception) -> None:
        log.error("%s: internal error while reading replies (please report)", self.where, exc_info=error)
        self.abort(TargetError(f"{self.where}: {type(error).__name__} while reading replies"))
