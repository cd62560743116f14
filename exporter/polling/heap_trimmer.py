"""Gives the memory of large replies back to the system.

The C library keeps freed memory for later: after a large block or two it keeps blocks of 32 MB. This works
with glibc only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import threading
import time
from collections.abc import Callable

#: smaller replies leave no memory to give back
LARGE_BYTES = 1 << 20
#: time after a large reply, by which it has been read; further replies wait for the same moment
DELAY_S = 2.0


def _find_trim() -> Callable[[int], int] | None:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes = (ctypes.c_size_t,)
    return trim


class HeapTrimmer:
    """Calls `trim`, which gives back free memory. That takes milliseconds, so a thread does it."""

    def __init__(self, trim: Callable[[int], int] | None) -> None:
        self._trim = trim
        self._due_at = -math.inf

    def note(self, received: int) -> None:
        """Note a reply of `received` bytes. Called on the event loop."""
        now = time.monotonic()
        if received >= LARGE_BYTES and self._trim is not None and now >= self._due_at:
            self._due_at = now + DELAY_S
            loop = asyncio.get_running_loop()
            loop.call_later(DELAY_S, self._begin)

    def _begin(self) -> None:
        """Use a thread of its own: at the end of the program the event loop starts none."""
        assert self._trim is not None
        with contextlib.suppress(RuntimeError):  # no thread is left: the next large reply asks again
            threading.Thread(target=self._trim, args=(0,), name="trim", daemon=True).start()


HEAP_TRIMMER = HeapTrimmer(_find_trim())
