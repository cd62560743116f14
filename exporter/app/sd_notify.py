"""Says to systemd how the service is, by the protocol of sd_notify(3): one datagram for each state.

systemd names a socket in `NOTIFY_SOCKET` to services of `Type=notify`. Without that variable nothing is sent.
No message waits: what systemd does not take now goes with the next beat.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping

from exporter.systemd import is_meant_for_us

#: time between two looks at the status
STATUS_S = 10.0
#: time between two beats where no watchdog asks for more
BEAT_S = 5.0
#: messages that wait for systemd to take them
WAITING_MAX = 16

log = logging.getLogger(__name__)


class Notifier:
    """`beat` has to run in the event loop that is watched: while that loop hangs, systemd hears nothing and
    restarts the service."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address_of(environ.get("NOTIFY_SOCKET", ""))
        self._limit_s = _watchdog_limit_s(environ)
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self._waiting: list[str] = []
        self._status = ""
        self._status_at = -STATUS_S

    def ready(self) -> None:
        """The service answers requests."""
        self._say("READY=1")

    def stopping(self) -> None:
        """The service ends."""
        self._say("STOPPING=1")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """What happens in it is a reload. The service is ready again afterwards, whether it went well or
        not."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            yield
        finally:
            self.ready()

    async def beat(self, status: Callable[[], str]) -> None:
        """Run until it is cancelled: say to the watchdog that the loop turns, and every `STATUS_S` the status
        if it has changed. Returns at once if nobody listens."""
        while self._socket is not None:
            self._flush()
            now = time.monotonic()
            if now - self._status_at >= STATUS_S:
                self._status_at = now  # to count all targets takes time
                if (text := status()) != self._status:
                    self._status = text
                    self._say(f"STATUS={text}")
            if self._limit_s is not None:
                self._send("WATCHDOG=1")  # an old one is worth nothing: it does not wait
            await asyncio.sleep(BEAT_S if self._limit_s is None else min(BEAT_S, self._limit_s / 2))

    def close(self) -> None:
        """Say nothing any longer."""
        if self._socket is not None:
            self._flush()
            self._socket.close()
            self._socket = None

    def _say(self, message: str) -> None:
        if self._socket is not None:
            self._waiting = [*self._waiting, message][-WAITING_MAX:]
            self._flush()

    def _flush(self) -> None:
        """Send what waits, in order."""
        while self._waiting and self._send(self._waiting[0]):
            del self._waiting[0]

    def _send(self, message: str) -> bool:
        """Whether it is done with: False only where systemd may take it later."""
        assert self._socket is not None
        try:
            self._socket.sendto(message.encode(), self._address)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:  # nobody is there
            log.debug("systemd does not hear %s: %s", message.partition("=")[0], error.strerror)
        return True


def _address_of(text: str) -> str:
    """The address of a socket: a path, or a name that begins with @ where the kernel wants a NUL; "" for what
    this program cannot use."""
    return text.replace("@", "\0", 1) if text.startswith("@") else text if text.startswith("/") else ""


def _watchdog_limit_s(environ: Mapping[str, str]) -> float | None:
    """After which silence systemd restarts the service; None if it does not watch this process."""
    text, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not text.isascii() or not text.isdigit() or int(text) == 0 or (pid and not is_meant_for_us(pid)):
        return None
    return int(text) / 1e6
