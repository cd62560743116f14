"""The admission of a dial whose password may have to be obtained first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from exporter.connection.command_passwords import TIMEOUT_S
from exporter.connection.dialer import Dialer
from exporter.connection.limiter import Admission, Rank
from exporter.polling.poll_context import PollContext

#: longer than a command may run: it may have to wait for others
WAIT_S = 2 * TIMEOUT_S


class DialAdmission(Admission):
    """Waits for the target's password before it enters the limiter, so that a command that hangs takes no
    place of other dials; for a limited time, because many commands may hang."""

    __slots__ = ("_dialer", "_target", "_timer")

    def __init__(
        self, dialer: Dialer, context: PollContext, start: Callable[[], None], rank: Rank = Rank.UP
    ) -> None:
        super().__init__(dialer.limiter, start, rank)
        self._dialer = dialer
        self._target = context.target
        self._timer: asyncio.TimerHandle | None = None

    def enter(self) -> None:
        passwords = self._dialer.passwords
        if passwords.prepare(self._target):
            super().enter()
        else:
            passwords.call_when_ready(self._target, self._go_on)
            self._timer = asyncio.get_running_loop().call_later(WAIT_S, self._go_on)

    def leave(self) -> None:
        self._stop_timer()
        super().leave()

    def _go_on(self) -> None:
        if self._timer is not None:
            self._stop_timer()
            if self.waiting:
                super().enter()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
