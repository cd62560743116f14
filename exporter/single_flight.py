"""Work that is done once at a time, however many ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs `work`. Those who ask while it runs share the next turn, which begins when this one has ended: so
    each gets a result that was begun after it asked."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._running: asyncio.Future[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def run(self) -> T:
        """The result of a turn that begins from now on, or its exception. Who asked may leave: the turn
        goes on."""
        if self._next is None:
            self._next = asyncio.create_task(self._turn(self._running))
            self._next.add_done_callback(_retrieve)
        return await asyncio.shield(self._next)

    async def _turn(self, before: asyncio.Future[T] | None) -> T:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        return await self._work()


def _retrieve(task: asyncio.Task[T]) -> None:
    """An exception is that of those who asked; nobody may be left."""
    if not task.cancelled():
        task.exception()
