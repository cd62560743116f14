"""What one connection of a client is doing. Pure.

It is known from three moments: bytes came, the answer to a request began, an answer ended. From that follow
how useful the connection is to the guard, and whether a limit in time has passed.
"""

from __future__ import annotations

from collections.abc import Callable

from exporter.web.guard import IDLE, INCOMPLETE, SLOW, SLOW_S, WAITING, YOUNG, YOUNG_S
from exporter.web.limits import HttpLimits


class Activity:
    """`clock` gives seconds. `taken_up` counts requests whose answer has begun, `received` the bytes since
    the last of them. `body`: the body of a request that is being answered, or was, may still be coming."""

    __slots__ = (
        "_clock", "_limits", "_moved_at", "_since", "_unsent", "_writing_since", "answering", "body",
        "received", "taken_up",
    )  # fmt: skip

    def __init__(self, limits: HttpLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._since = clock()  # when what it does now began
        self._unsent = 0  # bytes that were not sent at the last look
        self._moved_at = 0.0  # when that number last changed
        self._writing_since = 0.0  # 0: nothing waits to be sent
        self.answering = False
        self.taken_up = 0
        self.body = False
        self.received = 0

    @property
    def incomplete(self) -> bool:
        """Whether a request is on its way, or the first is awaited."""
        return not self.answering and (self.received > 0 or not self.taken_up)

    def receive(self, size: int) -> bool:
        """`size` bytes came. False if the request is too large."""
        if not self.received:
            if not self.answering:
                self._since = self._clock()
        elif self.received > self._limits.request_bytes and (self.body or not self.answering):
            return False
        self.received += size
        return True

    def take_up(self, *, body: bool) -> None:
        """A request is complete, but for a `body`, and its answer begins."""
        self.answering = True
        self.body = body
        self.received = 0
        self._since = self._clock()
        self._writing_since = 0.0
        self.taken_up += 1

    def finish(self) -> None:
        """An answer has ended."""
        self.answering = False
        self._since = self._clock()
        if self.body:
            self.received = 0

    def rank(self, now: float) -> tuple[int, float] | None:
        """How useful it is, and since when; None if it must not make room."""
        if self._unsent:
            return (SLOW, self._moved_at) if now - self._moved_at >= SLOW_S else None
        if self.answering:
            return (WAITING, self._since) if now - self._since > self._limits.request_s else None
        if self.incomplete:
            return (INCOMPLETE if now - self._since >= YOUNG_S else YOUNG, self._since)
        return (IDLE, self._since)

    def overdue(self, now: float, unsent: int) -> str:
        """The reason why it must end now, "" if it may stay. `unsent` bytes wait for the client."""
        limits = self._limits
        if unsent != self._unsent:
            self._unsent = unsent
            self._moved_at = now
        if unsent:
            self._writing_since = self._writing_since or now
            if now - self._moved_at > limits.write_s:
                return "write_stalled"
            return "answer_timeout" if now - self._writing_since > limits.answer_s else ""
        if self.answering:
            return "answer_timeout" if now - self._since > limits.answer_s else ""
        self._writing_since = 0.0
        if self.incomplete:
            return "request_timeout" if now - self._since > limits.request_s else ""
        return "idle" if now - self._since > limits.idle_s else ""

    def moves(self, now: float) -> bool:
        """Whether an answer is running that its client reads."""
        if self._unsent:
            return now - self._moved_at < SLOW_S
        return self.answering and now - self._since < SLOW_S
