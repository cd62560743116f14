"""Long work on the event loop, in slices."""

from __future__ import annotations

import asyncio
from time import perf_counter

SLICE_S = 0.002


class Slices:
    """Call `rest` often: it lets the event loop go on after each slice."""

    def __init__(self) -> None:
        self._until = perf_counter() + SLICE_S

    async def rest(self) -> None:
        if perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + SLICE_S
