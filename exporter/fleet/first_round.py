"""The first round: every target is polled, and scanned, for the first time."""

from __future__ import annotations

import asyncio
import math
import time

from exporter.polling.watched_target import WatchedTarget


class FirstRound:
    """Who is still waited for. Targets that come later are waited for until their first poll has ended; their
    scans delay nobody."""

    def __init__(self) -> None:
        self._unpolled: set[str] = set()
        self._unscanned: set[str] = set()
        self._polled = asyncio.Event()
        self._polled.set()
        self._scanned = asyncio.Event()  # set once
        self._scanned_by = -math.inf  # the monotonic moment at which the scans have ended at the latest

    @property
    def waits(self) -> bool:
        """Whether the end of a poll or scan may change anything."""
        return bool(self._unpolled or self._unscanned)

    @property
    def polls_done(self) -> bool:
        """Whether every target was polled, well or not."""
        return self._polled.is_set()

    @property
    def done(self) -> bool:
        """Whether the scans have ended too, or take longer than they may."""
        return self.polls_done and (not self._unscanned or time.monotonic() >= self._scanned_by)

    async def wait_polls(self, timeout_s: float) -> None:
        """Wait until every target was polled, at most this long."""
        await _wait(self._polled, timeout_s)

    async def wait(self, timeout_s: float) -> None:
        """Wait until it is done, at most this long."""
        deadline = time.monotonic() + timeout_s
        await self.wait_polls(timeout_s)
        while self.polls_done and not self.done and time.monotonic() < deadline:
            await _wait(self._scanned, min(deadline, self._scanned_by) - time.monotonic())

    def add(self, addr: str) -> None:
        self._unpolled.add(addr)
        self._polled.clear()
        if not self._scanned.is_set():
            self._unscanned.add(addr)

    def take(self, watched: WatchedTarget) -> None:
        """Add a target that may have been polled already."""
        self.add(watched.target.key)
        if watched.up is not None:
            self.note(watched)

    def remove(self, addr: str) -> None:
        self._note_polled(addr)
        self._note_scanned(addr)

    def note(self, watched: WatchedTarget) -> None:
        """Note the end of a poll or of the first scan."""
        addr = watched.target.key
        if addr in self._unscanned:
            if watched.whole:
                self._note_scanned(addr)
            elif watched.up:
                self._scanned_by = max(self._scanned_by, watched.scanner.first_by)
        self._note_polled(addr)

    def _note_polled(self, addr: str) -> None:
        self._unpolled.discard(addr)
        if not self._unpolled:
            self._polled.set()

    def _note_scanned(self, addr: str) -> None:
        if addr in self._unscanned:
            self._unscanned.discard(addr)
            if not self._unscanned:
                self._scanned.set()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        pass
