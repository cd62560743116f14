"""When the garbage collector may look at old objects."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

#: collections of young objects before one that looks at older objects too
RARELY = 10_000

#: the thresholds that each of those who are in it has found: several exporters of one process may reload
_found: list[tuple[int, int, int]] = []


@contextlib.contextmanager
def old_objects_left_alone() -> Iterator[None]:
    """Look at young objects only, while very many objects come and go: those of a file with thousands of
    targets would make each collection look at all that are there, and the event loop would wait for it."""
    _found.append(gc.get_threshold())
    first = _found[0]
    gc.set_threshold(first[0], RARELY, RARELY)
    try:
        yield
    finally:
        _found.pop()
        if not _found:
            gc.set_threshold(*first)
