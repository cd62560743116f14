"""When the garbage collector may look at old objects."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

#: collections of young objects before one that looks at older objects too
RARELY = 10_000


@contextlib.contextmanager
def old_objects_left_alone() -> Iterator[None]:
    """Look at young objects only, while very many objects come and go: those of a file with thousands of
    targets would make each collection look at all that are there, and the event loop would wait for it."""
    before = gc.get_threshold()
    gc.set_threshold(before[0], RARELY, RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
