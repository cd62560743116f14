"""Exchanges with many servers over sockets in an epoll of our own. `_fastparse.pyi` states its use."""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from typing import Any

from exporter.engine.plain.frames import DONE, MORE, Frames
from exporter.engine.plain.tls import TLS_BYTES, Tls

#: whether this system has what an `Exchanger` needs
EPOLL = hasattr(select, "epoll")

#: what is received at once; replies that take more are handed on
HOT_BYTES = 65536
#: of one look at the epoll
EVENTS_MAX = 64


class Exchanger:
    def __init__(self, turn_s: float) -> None:
        self._epoll = select.epoll()
        self._owner = os.getpid()  # a forked child must not change the epoll, which it shares
        self._turn_s = turn_s
        self._open: dict[int, Channel] = {}  # by the number of the socket
        self._generation = 0

    @property
    def channels(self) -> int:
        return len(self._open)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def close(self) -> None:
        self._epoll.close()

    def drain(self) -> None:
        until = time.monotonic() + self._turn_s
        while not self._epoll.closed and (found := self._epoll.poll(0, EVENTS_MAX)):
            generation = self._generation
            for fd, events in found:
                channel = self._open.get(fd)
                if channel is None or channel.generation > generation:
                    continue  # it was closed meanwhile
                channel.on_event(events)
                if time.monotonic() >= until or self._epoll.closed:  # the epoll names the others again
                    return

    def add(self, channel: Channel) -> None:
        self._generation += 1
        channel.generation = self._generation
        self._open[channel.fd] = channel

    def remove(self, channel: Channel) -> None:
        del self._open[channel.fd]

    def watch(self, channel: _Wire, *, sending: bool) -> None:
        self._epoll.register(channel.fd, select.EPOLLIN | (select.EPOLLOUT if sending else 0))

    def change(self, channel: _Wire, *, sending: bool) -> None:
        self._epoll.modify(channel.fd, select.EPOLLIN | (select.EPOLLOUT if sending else 0))

    def unwatch(self, channel: _Wire) -> None:
        if os.getpid() == self._owner:
            self._epoll.unregister(channel.fd)


class Traffic:
    __slots__ = ("connections", "received", "sent")

    def __init__(self) -> None:
        self.connections = self.received = self.sent = 0


class Received:
    __slots__ = ("data", "ends", "received", "replies", "source")

    data: bytes
    ends: tuple[int, ...]
    received: int
    source: Any
    replies: list[Any] | None


class _Wire:
    """The socket of a channel, and its TLS if it has one: it sends, and receives without waiting."""

    fd = -1
    generation = 0

    _socket: socket.socket | None = None
    _core: Exchanger
    _tls: Tls | None = None
    _is_watched = False
    _unsent = b""

    def __del__(self) -> None:
        if self._socket is not None:  # nobody has closed it
            self._socket.close()

    @property
    def is_secured(self) -> bool:
        return self._tls is not None

    @property
    def failure(self) -> ssl.SSLError | None:
        return self._tls.failure if self._tls is not None else None

    def watch(self) -> None:
        if self._socket is not None and not self._is_watched:
            self._core.watch(self, sending=self._wants_to_send)
            self._is_watched = True

    def unwatch(self) -> None:
        if self._socket is not None and self._is_watched:
            self._core.unwatch(self)
            self._is_watched = False

    @property
    def _wants_to_send(self) -> bool:
        """An end that is known already is reported by the event for it too."""
        return bool(self._unsent) or (self._tls is not None and self._tls.has_ended)

    def send(self, data: bytes) -> None:
        if self._tls is not None:
            data = self._tls.encrypt(data)
            if self._tls.has_ended and self._is_watched:
                self._core.change(self, sending=True)
        self._send_as_it_is(data)

    def _send_as_it_is(self, data: bytes) -> None:
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self._send_rest()
            if self._unsent and self._is_watched:
                self._core.change(self, sending=True)

    def _send_rest(self) -> None:
        assert self._socket is not None
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the socket comes to its end, and what the server sent before counts
            self._unsent = b""

    def receive(self, most: int) -> bytes | None:
        if self._tls is None:
            return self._receive_as_it_is(most)
        if not self.has_more:
            return b"" if self._tls.has_ended else None
        data, self._tls.spare = self._tls.spare[:most], self._tls.spare[most:]
        return data

    def _receive_as_it_is(self, most: int) -> bytes | None:
        if self._socket is None:
            return b""
        try:
            return self._socket.recv(min(most, HOT_BYTES))
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    @property
    def has_more(self) -> bool:
        if self._tls is not None:
            if not self._tls.spare and (data := self._receive_tls(self._tls)):
                self._tls.spare = self._decrypt(self._tls, data)
            return bool(self._tls.spare)
        try:
            return self._socket is not None and bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _receive_tls(self, tls: Tls) -> bytes:
        """What has come, still encrypted. b"": nothing has come, or the connection has ended."""
        data = None if tls.has_ended else self._receive_as_it_is(TLS_BYTES)
        if data == b"":
            tls.has_ended = True
        return data or b""

    def _decrypt(self, tls: Tls, data: bytes) -> bytes:
        """What it is in clear. TLS may want to answer."""
        clear = tls.decrypt(data)
        if answer := tls.answer():
            self._send_as_it_is(answer)
        return clear


class Channel(_Wire):
    began_reply: bool = False

    _asking = False
    _held = b""
    _walk_limits = (0, 0, 0)

    def open(self, exchanger: Exchanger, fd: int, limits: tuple[int, int, int]) -> None:
        if self._socket is not None:
            raise ValueError("it is open already")
        self._walk_limits = limits
        self._core = exchanger
        self._socket = socket.socket(fileno=fd)
        self.fd = fd
        self._frames = Frames()
        exchanger.add(self)
        self.watch()

    def secure(
        self, session: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, early: bytes
    ) -> None:
        if self._socket is None:
            raise ValueError("it is not open")
        self._tls = Tls(session, incoming, outgoing)
        self._hear_secret(self._tls, early)

    def shut(self) -> None:
        if self._socket is None:
            return
        self.unwatch()
        self._core.remove(self)
        del self._core
        self._socket.close()
        self._socket = self._tls = None
        self.fd = -1
        self._asking = False
        self._unsent = self._held = b""

    def ask(self, payload: bytes, count: int) -> None:
        if count <= 0:
            raise ValueError("no commands")
        self._frames.expect(count, *self._walk_limits)
        self._asking = True
        self.began_reply = False
        self.send(payload)

    def take_held(self) -> bytes:
        held, self._held = self._held, b""
        self._asking = False
        return held

    def on_event(self, events: int) -> None:
        """What the exchanger calls."""
        if events & select.EPOLLOUT and self._unsent:
            self._send_rest()
            if not self._unsent:
                self._core.change(self, sending=self._wants_to_send)
            if events == select.EPOLLOUT and self._tls is None:
                return
        if self._tls is not None:
            self._hear_secret(self._tls)
            return
        data = self._receive_as_it_is(HOT_BYTES)
        try:
            if data == b"":
                self.unwatch()
                self.ended()
            elif data:
                self._hear(data, is_full=len(data) == HOT_BYTES)
        except Exception as error:
            self.failed(error)

    def _hear_secret(self, tls: Tls, data: bytes | None = None) -> None:
        """Take bytes of TLS, or what can be received, and the end if it has come."""
        try:
            self._hear_spare(tls)
            if data is None:
                data = self._receive_tls(tls) if self._is_watched else b""
            if data and (clear := self._decrypt(tls, data)):
                self._hear(clear, is_full=len(data) == TLS_BYTES)
                self._hear_spare(tls)
            if tls.has_ended and self._is_watched:
                self.unwatch()
                self.ended()
        except Exception as error:
            self.failed(error)

    def _hear_spare(self, tls: Tls) -> None:
        """A callback may look for more again and again."""
        while tls.spare and self._is_watched:
            data, tls.spare = tls.spare, b""
            self._hear(data, is_full=False)

    def _hear(self, data: bytes, *, is_full: bool) -> None:
        """Take bytes of the server. `is_full`: they filled the room for them, so more may wait in the
        socket."""
        if self._asking:
            self._walk(data, is_full=is_full)
        else:
            self.came(data)

    def _walk(self, data: bytes, *, is_full: bool) -> None:
        """Walk over what came for the running exchange."""
        self.began_reply = True
        frames, n, held = self._frames, len(data), self._held + data
        if len(held) <= HOT_BYTES:
            code = frames.scan(data)
            if code == DONE and frames.at == n and not is_full:
                self.take_held()
                self.answered(held, frames.ends)
                return
            if code == MORE and len(held) < HOT_BYTES:
                self._held = held
                return
        self.take_held()
        self.came(held)

    def answered(self, data: bytes, ends: tuple[int, ...]) -> None:
        raise NotImplementedError

    def came(self, data: bytes) -> None:
        raise NotImplementedError

    def ended(self) -> None:
        raise NotImplementedError

    def failed(self, error: Exception) -> None:
        raise NotImplementedError
