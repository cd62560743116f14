"""Waiting until something changes in folders.

The kernel reports changes (inotify), but not all: those that another machine makes on a network share, those
of a folder that is put in the place of a watched one, and none where its limit of watches is used up. So a
wait ends after `LOOK_EVERY_S` in any case, and who waits looks then too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from exporter import files

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

LOOK_EVERY_S = 5.0
#: changes that follow each other at most so closely are one, for at most so long
STEP_S, BURST_S = 0.2, 1.6
#: links that are followed from one to the next, as the kernel does
LINKS_MAX = 40

log = logging.getLogger(__name__)
T = TypeVar("T")

#: a folder, and what is different for another one in its place
_Found = tuple[str, int, int]


class FolderWatcher:
    """Watches the folders of the newest `wait`. `close` ends it. It has one thread while it waits."""

    def __init__(self) -> None:
        self._watched: frozenset[_Found] = frozenset()
        self._notify: RustNotify | None = None
        self._stop = threading.Event()
        self._place = threading.BoundedSemaphore(1)  # so that it takes none of the places of reads
        self._problem = ""

    async def wait(self, folders: Iterable[str]) -> None:
        """Return soon after something has changed in one of the folders, but not below it, and after
        `LOOK_EVERY_S` at the latest. If these are not the folders that were watched before, return at once:
        something may have changed already. If a folder is not there it is left out."""
        names = frozenset(folders)
        if await self.call(lambda: self._open(names)):
            return
        notify = self._notify
        if notify is None:
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            burst_ms, step_ms, look_ms = (round(1000 * each) for each in (BURST_S, STEP_S, LOOK_EVERY_S))
            await self.call(lambda: notify.watch(burst_ms, step_ms, look_ms, self._stop))

    async def call(self, function: Callable[[], T]) -> T:
        """Call a function in the thread of this watcher. A caller that is cancelled waits for its end: when
        the program ends no thread may be left in compiled code."""
        started = None
        while started is None:
            try:
                started = files.start(function, self._place)
            except files.FileError:  # the system gives no thread now
                await asyncio.sleep(LOOK_EVERY_S)
        ended = asyncio.ensure_future(asyncio.wrap_future(started))
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait([ended])
            raise

    def _open(self, names: frozenset[str]) -> bool:
        """Watch these folders. Returns whether they are others than before."""
        found = frozenset(filter(None, map(_identity, names)))
        if found == self._watched and (self._notify is not None or not found):
            return False
        self.close()
        is_change = found != self._watched
        self._watched = found
        if found:
            self._notify = self._try(sorted(name for name, _, _ in found))
        return is_change

    def _try(self, names: list[str]) -> RustNotify | None:
        from watchfiles._rust_notify import RustNotify  # it takes time to load, and few need it

        try:
            notify = RustNotify(names, False, False, 0, False, True)
        except (OSError, RuntimeError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning(
                    "the system reports no changes of files here: they are looked at every %g s",
                    LOOK_EVERY_S,
                    extra={"err": self._problem},
                )
            return None
        self._problem = ""
        return notify

    def close(self) -> None:
        """Watch nothing more. Only while nobody waits."""
        if self._notify is not None:
            self._notify.close()
            self._notify = None


def _identity(name: str) -> _Found | None:
    with contextlib.suppress(OSError, ValueError):
        found = os.stat(name)
        return name, found.st_dev, found.st_ino
    return None


def folders_of(names: Iterable[str]) -> set[str]:
    """The folders in which something changes when one of these files does: its own, that of a link on its
    path, and that of what the link leads to."""
    return {folder for name in names for folder in _folders(name)}


def _folders(name: str) -> Iterator[str]:
    path = os.path.abspath(name)
    for _ in range(LINKS_MAX):
        yield os.path.dirname(path)
        link = _first_link(path)
        if link is None:
            return
        place, rest = link
        yield os.path.dirname(place)
        try:
            leads_to = os.readlink(place)
        except OSError:  # it is gone by now
            return
        path = os.path.normpath(os.path.join(os.path.dirname(place), leads_to, rest))


def _first_link(path: str) -> tuple[str, str] | None:
    """The link on a path that is nearest to the root, and what follows it."""
    parts = path.split("/")
    for number in range(2, len(parts) + 1):
        place = "/".join(parts[:number])
        if os.path.islink(place):
            return place, "/".join(parts[number:])
    return None
