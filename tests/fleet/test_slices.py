"""Long work lets the event loop go on."""

from __future__ import annotations

import asyncio

import pytest

from exporter.fleet import slices as slices_module
from exporter.fleet.slices import SLICE_S, Slices


async def test_the_loop_goes_on_after_each_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, now_s = 0, 1000.0
    monkeypatch.setattr(slices_module, "perf_counter", lambda: now_s)

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
        now_s += 2 * SLICE_S
        await slices.rest()
    counting.cancel()
    assert turns == 3
