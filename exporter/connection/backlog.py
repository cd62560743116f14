"""Reading that takes long, of all polls together: what waits its turn goes on in the order in which it came.

A poll that has much to read gives way after a slice. With many such polls the slices of one turn of the event
loop would add up, so they wait here, and in each turn the loop spends a bounded time on them. Polls that read
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

#: how long the steps of one turn may take; the one that is under way then is the last
TURN_S = 0.005
#: what an exchange receives beyond so many bytes waits its turn; an ordinary poll has some 10 kB
WAITING_BYTES = 64 * 1024

Step = Callable[[], None]


class Backlog:
    """Runs steps, first in, first out. A step that is no longer wanted sees that for itself: it is called
    all the same."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turn_s: float = TURN_S) -> None:
        self._loop = loop
        self._turn_s = turn_s
        self._steps: deque[Step] = deque()
        self._running = False  # whether a turn is under way, or is to come

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
            except Exception:  # the steps of others must not wait for ever
                log.exception("a mistake in this program, while reading replies")
            if perf_counter() >= until:
                break
        self._running = bool(steps)
        if steps:
            self._loop.call_soon(self._turn)


_backlogs: WeakKeyDictionary[asyncio.AbstractEventLoop, Backlog] = WeakKeyDictionary()


def running_backlog() -> Backlog:
    """That of the running event loop: one for all polls."""
    loop = asyncio.get_running_loop()
    backlog = _backlogs.get(loop)
    if backlog is None:
        backlog = _backlogs[loop] = Backlog(loop)
    return backlog
