"""A thread that notices when the event loop is blocked, and writes where.

A blocked event loop polls no target and answers no request, `/-/healthy` included, so a supervisor can
restart the process. The log cannot say why, because logging may be blocked too. So the thread writes to the
file descriptor itself.

Compiled code can block the interpreter, and with it this thread. `faulthandler` has a thread that needs no
interpreter: it writes the stacks, in its own form, if this thread is blocked for a while longer.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

LIMIT_S = 10.0
#: looks within the limit: few, because an idle process costs what its wakeups cost
LOOKS = 3
#: limits after which `faulthandler` writes, unless this thread postpones it: once a limit, because each time
#: makes a new thread
LAST_RESORT = 2.5
#: frames of the stack that are shown, the innermost first
FRAMES_MAX = 40
#: parts of a module's path that are shown: what comes before them depends on the machine
_PARTS = 3


class Watchdog:
    """Writes one line when the loop is blocked for `limit_s`, and no other before it has run again.

    `write` gets the finished line as bytes, with its line end. The watchdog's thread calls it, and holds no
    lock then. `last_resort` is the descriptor that `faulthandler` writes to; None means stderr. `stop` closes
    it. `turned_at` gives when the loop turned last, as far as that is known (monotonic). While that is news,
    the loop is not asked. A loop that nothing holds brings news between any two looks, or never.
    """

    def __init__(
        self,
        formatter: logging.Formatter,
        write: Callable[[bytes], object] | None = None,
        limit_s: float = LIMIT_S,
        last_resort: int | None = None,
        turned_at: Callable[[], float] = lambda: -math.inf,
    ) -> None:
        self._formatter = formatter
        self._write = write or _write_to_stderr
        self._limit_s = limit_s
        self._turned_at = turned_at
        self._loop: asyncio.AbstractEventLoop | None = None
        self._silent_since: float | None = None  # None: the loop has answered
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_resort = _own_stderr() if last_resort is None else last_resort
        self._arming = threading.Lock()
        self._armed_at = 0.0

    def start(self) -> None:
        """Watch the running loop of the calling thread."""
        self._loop = asyncio.get_running_loop()
        self._arm()
        self._thread = threading.Thread(
            target=self._look, args=(threading.get_ident(),), name="watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer. This waits for nothing, because a full pipe may block the thread."""
        self._stopping.set()
        with self._arming:
            descriptor, self._last_resort = self._last_resort, None
            if descriptor is not None:
                faulthandler.cancel_dump_traceback_later()
                os.close(descriptor)

    def _arm(self) -> None:
        """Postpone the last resort: this thread runs."""
        self._armed_at = time.monotonic()
        with self._arming:
            if self._last_resort is not None:
                faulthandler.dump_traceback_later(LAST_RESORT * self._limit_s, file=self._last_resort)

    def _look(self, watched: int) -> None:
        reported: float | None = None  # the silence that was reported
        turned_at = -math.inf
        news_due_at = math.inf  # inf: none came last time
        pause_s = self._limit_s / LOOKS
        while not self._stopping.wait(pause_s):
            if time.monotonic() - self._armed_at >= self._limit_s * (1 - 0.5 / LOOKS):
                self._arm()
            pause_s = self._limit_s / LOOKS
            silent_since = self._silent_since
            if silent_since is None:
                turned_before, turned_at = turned_at, self._turned_at()
                if turned_at > turned_before:
                    news_due_at = turned_at + pause_s
                else:
                    self._ask(min(news_due_at, time.monotonic()))
                    news_due_at = math.inf
            elif silent_since != reported:
                left_s = silent_since + self._limit_s - time.monotonic()
                if left_s <= 0:
                    reported = silent_since
                    self._report(watched, self._limit_s - left_s)
                else:
                    pause_s = min(pause_s, left_s)

    def _ask(self, silent_since: float) -> None:
        """Ask the loop to answer. It is silent until then, since this (monotonic) moment."""
        assert self._loop is not None
        self._silent_since = silent_since
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            self._stopping.set()  # the loop is closed

    def _answer(self) -> None:
        self._silent_since = None

    def _report(self, watched: int, late_s: float) -> None:
        frame = sys._current_frames().get(watched)
        stack = " < ".join(places(frame)) or "unknown"
        message = f"the event loop has not run for {late_s:.1f} s: no polls and no answers; it is at {stack}"
        record = logging.LogRecord(__name__, logging.ERROR, __file__, 0, message, None, None)
        self._write(self._formatter.format(record).encode("utf-8", "backslashreplace") + b"\n")


def places(frame: FrameType | None) -> Iterator[str]:
    """Where a thread is, from the innermost frame outwards: file, line and function. Only names of the code,
    never values."""
    for _ in range(FRAMES_MAX):
        if frame is None:
            return
        code = frame.f_code
        yield f"{'/'.join(code.co_filename.split('/')[-_PARTS:])}:{frame.f_lineno} {code.co_qualname}"
        frame = frame.f_back


def _own_stderr() -> int | None:
    """What stderr leads to, opened so that a write to it never waits; None if that is not possible."""
    try:
        return os.open("/proc/self/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _write_to_stderr(line: bytes) -> None:
    try:
        os.write(2, line)
    except OSError:
        pass  # stderr was closed
