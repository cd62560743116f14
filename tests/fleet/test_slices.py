"""Long work lets the event loop go on."""

from __future__ import annotations

import asyncio
import time

from exporter.fleet.slices import SLICE_S, Slices


async def test_the_loop_goes_on_after_each_slice() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    slices = Slices()
    await slices.rest()
    assert turns == 0  # there was no work yet
    for _ in range(3):
        time.sleep(2 * SLICE_S)
        await slices.rest()
    counting.cancel()
    assert turns == 3
