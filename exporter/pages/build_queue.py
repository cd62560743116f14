"""Builds pages one after the other, those of lower rank first: small pages at once, and large pages in a
thread.

The event loop gathers the draft of a page just before its build, in steps of a few milliseconds, and one
draft at a time. So nothing else waits for long, however many different pages are requested. Every request
ends once.
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

#: a smaller page is built at once: to hand it to the thread would take longer
INLINE_BYTES = 128 * 1024
#: how long a stop waits for the build that runs
CLOSE_S = 0.15
#: how long a draft is gathered before the event loop goes on; the last step may end later
STEP_S = 0.002

Rank = tuple[float, ...]
Gather = Callable[[], Generator[None, None, Draft]]


@dataclass(slots=True, order=True)
class BuildRequest:
    """A page to build. `gather` returns what it is made of, step by step. `end` gets the page and the seconds
    that it took, or what went wrong."""

    rank: Rank
    number: int
    gather: Gather = field(compare=False)
    before: Page | None = field(compare=False)
    end: Callable[[Page | None, float, BaseException | None], None] = field(compare=False)


class BuildQueue:
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
        """How many requests wait."""
        return len(self._waiting)

    def request(
        self,
        rank: Rank,
        gather: Gather,
        before: Page | None,
        end: Callable[[Page | None, float, BaseException | None], None],
    ) -> None:
        """Build a page, now or after those before it."""
        self._numbers += 1
        request = BuildRequest(rank, self._numbers, gather, before, end)
        if self._closed:
            end(None, 0.0, InternalError("the program is stopping"))
            return
        heapq.heappush(self._waiting, request)
        if not self._working:
            self._begin()

    async def close(self) -> None:
        """Build no more. Requests that wait end at once, the one that is built within a moment."""
        self._closed = True
        waiting, self._waiting = self._waiting, []
        if self._gathering is not None:
            waiting.append(self._gathering)
            self._gathering = None
        for request in waiting:
            request.end(None, 0.0, InternalError("the program is stopping"))
        if self._running is not None:
            await asyncio.wait([self._running], timeout=CLOSE_S)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        """The next request, if there is one."""
        self._working = bool(self._waiting)
        if not self._waiting:
            return
        request = heapq.heappop(self._waiting)
        self._gathering = request
        self._gather(request, request.gather())

    def _gather(self, request: BuildRequest, steps: Generator[None, None, Draft]) -> None:
        """Take some more steps of the draft; the last one begins the build."""
        if request is not self._gathering:  # closed meanwhile
            return
        until = time.perf_counter() + STEP_S
        try:
            next(steps)
            while time.perf_counter() < until:
                next(steps)
        except StopIteration as end:
            self._gathering = None
            self._build(request, end.value)
        except Exception as error:
            self._gathering = None
            self._end(request, None, 0.0, error)
        else:
            asyncio.get_running_loop().call_soon(self._gather, request, steps)

    def _build(self, request: BuildRequest, draft: Draft) -> None:
        loop = asyncio.get_running_loop()
        try:
            if draft.is_larger_than(INLINE_BYTES):
                running = self._running = loop.run_in_executor(self._thread, timed, draft, request.before)
                running.add_done_callback(lambda running: self._finish(request, running))
                return
            page, took_s = timed(draft, request.before)
        except Exception as error:
            self._end(request, None, 0.0, error)
        else:
            self._end(request, page, took_s, None)

    def _finish(self, request: BuildRequest, running: asyncio.Future[tuple[Page, float]]) -> None:
        self._running = None
        if running.cancelled():
            self._end(request, None, 0.0, InternalError("the program is stopping"))
        elif (error := running.exception()) is not None:
            self._end(request, None, 0.0, error)
        else:
            self._end(request, *running.result(), None)

    def _end(
        self, request: BuildRequest, page: Page | None, took_s: float, error: BaseException | None
    ) -> None:
        asyncio.get_running_loop().call_soon(self._begin)
        request.end(page, took_s, error)


def timed(draft: Draft, before: Page | None = None) -> tuple[Page, float]:
    """The page, and how many seconds it took."""
    began = time.perf_counter()
    return draft.build(before), time.perf_counter() - began
