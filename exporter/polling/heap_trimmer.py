"""Memory that large replies took is given back to the system.

The C library keeps what was freed for later, and after a large block or two it keeps blocks of 32 MB. Where
it is not glibc, nothing is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import threading
import time
from collections.abc import Callable

#: replies of fewer bytes leave nothing to be given back
LARGE_BYTES = 1 << 20
#: so long after a large reply, by when it has been read; further ones wait for the same moment
DELAY_S = 2.0


def _find_trim() -> Callable[[int], int] | None:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes = (ctypes.c_size_t,)
    return trim


class HeapTrimmer:
    """`trim` gives back what is free at the end of the heap and within it; it takes milliseconds, so a
    thread does it."""

    def __init__(self, trim: Callable[[int], int] | None) -> None:
        self._trim = trim
        self._due_at = -math.inf

    def note(self, received: int) -> None:
        """A reply of so many bytes has been read. Called on the event loop."""
        now = time.monotonic()
        if received >= LARGE_BYTES and self._trim is not None and now >= self._due_at:
            self._due_at = now + DELAY_S
            loop = asyncio.get_running_loop()
            loop.call_later(DELAY_S, self._begin)

    def _begin(self) -> None:
        """Not in the event loop's own threads: at the end of the program there are no more of them."""
        assert self._trim is not None
        with contextlib.suppress(
            RuntimeError
        ):  # the system has no thread left: the next large reply asks again
            threading.Thread(target=self._trim, args=(0,), name="trim", daemon=True).start()


HEAP_TRIMMER = HeapTrimmer(_find_trim())
