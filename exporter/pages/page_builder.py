"""Where pages are built: one after the other, those of lower rank first, small ones at once and large ones in
a thread.

A draft is gathered on the event loop when its turn comes, in steps of a few milliseconds and at most one
draft in each round of the loop: however many different pages are asked for, nothing else waits for long.
Every order ends, once.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from exporter.errors import InternalError
from exporter.pages.page import Draft, Page

#: a page of less is made at once: handing it to the thread would take longer
INLINE_BYTES = 128 * 1024
#: how long a stop waits for the build under way
CLOSE_S = 0.15
#: so long a draft is gathered before the loop goes round; one step more may end later
STEP_S = 0.002

Rank = tuple[float, ...]
Gather = Callable[[], Generator[None, None, Draft]]


@dataclass(slots=True, order=True)
class BuildRequest:
    """A page to build. `gather` gives what it is made of, step by step; `end` gets the page and the seconds
    it took, or what went wrong."""

    rank: Rank
    number: int
    gather: Gather = field(compare=False)
    before: Page | None = field(compare=False)
    end: Callable[[Page | None, float, BaseException | None], None] = field(compare=False)


class PageBuilder:
    """See the module."""

    def __init__(self) -> None:
        self._waiting: list[BuildRequest] = []
        self._numbers = 0
        self._working = False
        self._gathering: BuildRequest | None = None
        self._running: asyncio.Future[tuple[Page, float]] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many orders wait for their turn."""
        return len(self._waiting)

    def order(
        self,
        rank: Rank,
        gather: Gather,
        before: Page | None,
        end: Callable[[Page | None, float, BaseException | None], None],
    ) -> None:
        """Build a page when its turn comes, which may be now."""
        self._numbers += 1
        order = BuildRequest(rank, self._numbers, gather, before, end)
        if self._closed:
            end(None, 0.0, InternalError("the program is stopping"))
            return
        heapq.heappush(self._waiting, order)
        if not self._working:
            self._begin()

    async def close(self) -> None:
        """Build no more. What waits ends at once, what is under way within a moment."""
        self._closed = True
        waiting, self._waiting = self._waiting, []
        if self._gathering is not None:
            waiting.append(self._gathering)
            self._gathering = None
        for order in waiting:
            order.end(None, 0.0, InternalError("the program is stopping"))
        if self._running is not None:
            await asyncio.wait([self._running], timeout=CLOSE_S)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        """The next order, if there is one."""
        self._working = bool(self._waiting)
        if not self._waiting:
            return
        order = heapq.heappop(self._waiting)
        self._gathering = order
        self._gather(order, order.gather())

    def _gather(self, order: BuildRequest, steps: Generator[None, None, Draft]) -> None:
        """Some steps more of its draft; the last one begins the build."""
        if order is not self._gathering:  # closed meanwhile
            return
        until = time.perf_counter() + STEP_S
        try:
            next(steps)
            while time.perf_counter() < until:
                next(steps)
        except StopIteration as end:
            self._gathering = None
            self._build(order, end.value)
        except Exception as error:
            self._gathering = None
            self._end(order, None, 0.0, error)
        else:
            asyncio.get_running_loop().call_soon(self._gather, order, steps)

    def _build(self, order: BuildRequest, draft: Draft) -> None:
        loop = asyncio.get_running_loop()
        try:
            if draft.is_larger_than(INLINE_BYTES):
                running = self._running = loop.run_in_executor(self._thread, timed, draft, order.before)
                running.add_done_callback(lambda running: self._finish(order, running))
                return
            page, took_s = timed(draft, order.before)
        except Exception as error:
            self._end(order, None, 0.0, error)
        else:
            self._end(order, page, took_s, None)

    def _finish(self, order: BuildRequest, running: asyncio.Future[tuple[Page, float]]) -> None:
        self._running = None
        if running.cancelled():
            self._end(order, None, 0.0, InternalError("the program is stopping"))
        elif (error := running.exception()) is not None:
            self._end(order, None, 0.0, error)
        else:
            self._end(order, *running.result(), None)

    def _end(
        self, order: BuildRequest, page: Page | None, took_s: float, error: BaseException | None
    ) -> None:
        asyncio.get_running_loop().call_soon(self._begin)
        order.end(page, took_s, error)


def timed(draft: Draft, before: Page | None = None) -> tuple[Page, float]:
    """The page, and how many seconds it took."""
    began = time.perf_counter()
    return draft.build(before), time.perf_counter() - began
