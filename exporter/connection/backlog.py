"""A queue for reading large replies, shared by all polls: first in, first out.

A poll that has much to read stops after a slice. With many such polls the slices of one turn of the event
loop would add up. So they wait here, and the loop spends a bounded time on them in each turn. Polls that read
little never come here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter
from weakref import WeakKeyDictionary

log = logging.getLogger(__name__)

#: time for the steps of one turn; the step that is running at its end is the last
TURN_S = 0.005
#: bytes that an exchange reads at once; more wait their turn. An ordinary poll has about 10 kB
WAITING_BYTES = 64 * 1024

Step = Callable[[], None]


class Backlog:
    """Runs steps, first in, first out. It also calls a step that is no longer wanted: the step checks that
    itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turn_s: float = TURN_S) -> None:
        self._loop = loop
        self._turn_s = turn_s
        self._steps: deque[Step] = deque()
        self._running = False  # whether a turn is running or planned

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: Step) -> None:
        """Call `step` in one of the next turns, never from inside this method."""
        self._steps.append(step)
        if not self._running:
            self._running = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        steps, until = self._steps, perf_counter() + self._turn_s
        while steps:
            step = steps.popleft()
            try:
                step()
            except Exception:  # the steps of others must not wait forever
                log.exception("internal error while reading replies (please report)")
            if perf_counter() >= until:
                break
        self._running = bool(steps)
        if steps:
            self._loop.call_soon(self._turn)


_backlogs: WeakKeyDictionary[asyncio.AbstractEventLoop, Backlog] = WeakKeyDictionary()


def running_backlog() -> Backlog:
    """The one of the running event loop, for all polls."""
    loop = asyncio.get_running_loop()
    backlog = _backlogs.get(loop)
    if backlog is None:
        backlog = _backlogs[loop] = Backlog(loop)
    return backlog
