"""One connection of a client as the guard sees it, whichever protocol answers its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiohttp import web

from exporter.web.activity import Activity
from exporter.web.answers import bare_answer
from exporter.web.clients import client_of
from exporter.web.guard import Guard, Visitor
from exporter.web.password_checks import Presence

#: turns of the loop after an answer, until aiohttp begins the answer to a request that has come already
TURNS = 3
#: what may wait in a TLS connection for its client: asyncio's own limit is 512 kB
TLS_BUFFER_BYTES = 64 * 1024

Awaited = TypeVar("Awaited")


async def wait_within(request: web.BaseRequest, found: Awaitable[Awaited]) -> Awaited:
    """What an answer of aiohttp needs: see `Visit.wait_for`. Another server than ours has no visits."""
    visit = getattr(request.protocol, "visit", None)
    return await (found if visit is None else visit.wait_for(found))


class Visit:
    """`wire` is the transport, None after the end. `address` identifies the client. `half_closed`: the client
    sends no more, but may still read. With TLS, this takes the place of its `handshake`."""

    __slots__ = ("_guard", "_handshake", "_waiting", "activity", "address", "half_closed", "secure", "wire")

    def __init__(self, guard: Guard, wire: asyncio.Transport, handshake: Visitor | None = None) -> None:
        self._guard = guard
        self._handshake = handshake
        self._waiting: asyncio.Task[object] | None = None
        self.wire: asyncio.Transport | None = wire
        self.activity = Activity(guard.limits, asyncio.get_running_loop().time)
        self.address = client_of(wire)
        self.secure = handshake is not None
        self.half_closed = False

    def enter(self) -> bool:
        """Take a place. If there is none, the client gets an answer that says so, and is closed."""
        assert self.wire is not None
        if self._handshake is not None:
            self.wire.set_write_buffer_limits(TLS_BUFFER_BYTES)
            entered = self._guard.replace(self._handshake, self)
            self._handshake = None
        else:
            entered = self._guard.enter(self, self.address)
        if entered:
            return True
        if self.secure:
            self.wire.abort()
        else:
            self.wire.write(bare_answer(503))
            self.wire.close()
        return False

    def leave(self) -> None:
        """The connection has ended."""
        self._guard.leave(self)
        self.wire = None
        if self._waiting is not None:
            self._waiting.cancel()

    # -- what happens to requests

    def receive(self, size: int) -> bool:
        """`size` bytes came. False if the request is too large: the connection is closed."""
        if self.activity.receive(size):
            return True
        self.end("too_large")
        return False

    def stir(self) -> None:
        """It is busy for longer than this turn of the loop: limits of time are to be checked often."""
        self._guard.stir()

    def take_up(self, *, body: bool) -> None:
        """A request is complete, but for a `body`, and its answer begins."""
        self.activity.take_up(body=body)
        if self.activity.taken_up == 1:
            self._guard.settle(self)

    async def wait_for(self, found: Awaitable[Awaited]) -> Awaited:
        """What an answer needs. The task is cancelled if the client leaves: its place is free then, so there
        may be any number of them."""
        self._waiting = asyncio.current_task()  # in no local variable: the exception would refer to its task
        if self.wire is None and self._waiting is not None:
            self._waiting.cancel()
        try:
            return await found
        finally:
            self._waiting = None

    def finish(self) -> None:
        """An answer has ended."""
        self.activity.finish()
        if self.half_closed:
            self._close_when_done(self.activity.taken_up, TURNS)

    def half_close(self) -> bool:
        """The client sends no more. Whether the connection stays for the answer to what has come. (TLS
        cannot: its end is the end of both directions.)"""
        if self.secure:
            return False
        self.half_closed = True
        self._close_when_done(self.activity.taken_up, TURNS)
        return True

    def _close_when_done(self, taken_up: int, turns: int) -> None:
        """Close unless another answer begins in the next turns of the loop."""
        if taken_up != self.activity.taken_up:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._close_when_done, taken_up, turns - 1)
        elif not self.activity.answering and self.wire is not None:
            self.wire.close()

    def note(self, reason: str, detail: str = "") -> None:
        """Count what went wrong here."""
        self._guard.incidents.note(reason, detail, client=self.address)

    # -- what others ask

    @property
    def is_open(self) -> bool:
        return self.wire is not None and not self.wire.is_closing()

    @property
    def presence(self) -> Presence:
        """Whether a client that waits for the check of its password is there."""
        if not self.is_open:
            return Presence.GONE
        return Presence.LISTENING if self.half_closed else Presence.HERE

    @property
    def moves(self) -> bool:
        """Whether an answer is running that its client reads."""
        return self.is_open and self.activity.moves(asyncio.get_running_loop().time())

    def rank(self, now: float) -> tuple[int, float] | None:
        return self.activity.rank(now)

    def overdue(self, now: float) -> str:
        # under TLS, bytes that wait below it are not seen: while it closes, some do
        wire = self.wire
        unsent = 0 if wire is None else wire.get_write_buffer_size() or int(wire.is_closing())
        return self.activity.overdue(now, unsent)

    def abort(self) -> None:
        """Close at once, without counting a reason."""
        self._guard.leave(self)
        if self.wire is not None:
            self.wire.abort()

    def end(self, reason: str) -> None:
        """Close at once. A client that has sent a part of a request gets the reason, if its buffer has room
        and the close does not wait: under TLS it waits for the client's side, and keeps a file open."""
        self.note(reason)
        self._guard.leave(self)
        wire = self.wire
        if wire is None or wire.is_closing() or self.secure:
            self.abort()
            return
        doing = self.activity
        status = {"request_timeout": 408, "too_large": 413 if doing.body else 431, "evicted": 503}.get(reason)
        if status is not None and doing.incomplete and doing.received and not wire.get_write_buffer_size():
            wire.write(bare_answer(status))
            if not wire.get_write_buffer_size():
                wire.close()
                return
        wire.abort()
