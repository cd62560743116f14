"""Sizes of files on the exporter's own host, whose names come from servers.

A name can lead to a share whose server is gone, where a look hangs in the kernel for good. So each look is
made in a thread.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future

from exporter import files

#: how long a look may hold the caller
WAIT_S = 0.01
#: looks that hang; beyond them no file is looked at
HANGING_MAX = 4
#: looks that ended too late and were not asked for again
LATE_MAX = 1000


class FileSizes:
    """A look that takes longer than `wait_s` gives None, and its result to the next call for that file."""

    def __init__(self, look: Callable[[bytes], int | None] | None = None, wait_s: float = WAIT_S) -> None:
        self._look = look or size_of
        self._wait_s = wait_s
        self._places = threading.BoundedSemaphore(HANGING_MAX)
        self._late: dict[bytes, Future[int | None]] = {}

    def get(self, path: bytes) -> int | None:
        """Bytes of a file: 0 if there is none, None if it is no regular file, may not be looked at, or is
        not known yet."""
        late = self._late.get(path)
        if late is None:
            return self._begin(path)
        if not late.done():
            return None
        del self._late[path]
        return late.result()

    def _begin(self, path: bytes) -> int | None:
        try:
            look = files.start(lambda: self._look(path), self._places)
        except files.FileError:
            return None
        try:
            return look.result(self._wait_s)
        except TimeoutError:
            if len(self._late) < LATE_MAX:
                self._late[path] = look
            return None


def size_of(path: bytes) -> int | None:
    """The same, however long it takes."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
