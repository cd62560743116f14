"""How long each step of a dial takes, and what its handshake said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import Enum

from exporter.protocol.command import Command, Reply


class DialStep(Enum):
    """The steps of a dial, in their order; the value names it for the reader."""

    __hash__ = object.__hash__

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    AUTH = "auth"


class DialTimes:
    """Seconds by step. A step that fails counts up to its failure; one that a dial does not need has no time.
    The handshake is a step of its own (AUTH), also without a password."""

    __slots__ = ("_began_at", "_running", "by_step")

    def __init__(self) -> None:
        self.by_step: dict[DialStep, float] = {}
        self._running: DialStep | None = None
        self._began_at = 0.0

    def begin(self, step: DialStep) -> None:
        """End the step that runs, and begin another one."""
        self.end()
        self._running, self._began_at = step, time.monotonic()

    def end(self) -> None:
        """End the step that runs, if there is one."""
        if self._running is not None:
            took_s = time.monotonic() - self._began_at
            self.by_step[self._running] = self.by_step.get(self._running, 0.0) + took_s
            self._running = None

    def note_handshake(self, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        """Take what the handshake sent, and what came. Only who traces a dial looks at it."""
