"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from tests.web.door import Door, Opened


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Opened]:
    """Opens doors: `await opened(request_s=0.1)`. They are closed with the test."""
    async with AsyncExitStack() as cleanup:

        async def open_door(**transform: object) -> Door:
            return await cleanup.enter_async_context(Door(**transform))  # type: ignore[arg-type]

        yield open_door
