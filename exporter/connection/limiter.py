"""Who may start now, when many want to: a bound on what is under way at once, and an order among those that
wait.

Targets that are up come before those that were never tried, and these before targets that are down. The lower
ranks have a share of the places only, so that silent servers cannot take them all.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum


class Rank(IntEnum):
    """Who is let in first."""

    UP = 0
    NEW = 1
    DOWN = 2


#: the part of all places that this rank and those below it may have together
SHARES = {Rank.UP: 1.0, Rank.NEW: 0.75, Rank.DOWN: 0.5}
#: entries of other ranks that pass before a rank that waits is let in
PASSED_MAX = 15
#: a server in use answers sooner
PATIENCE_S = 0.2
#: scans under way at once, all targets together
SCANS_MAX = 16
#: a scan that takes longer is counted no more while others wait
SCAN_PATIENCE_S = 5.0

_RANKS = tuple(int(rank) for rank in Rank)  # to go through an enumeration takes much longer


class Admission:
    """Somebody who wants to pass a gate. An entry enters once and leaves once, whether it was let in or
    still waits."""

    __slots__ = ("counted", "entered_at", "left", "limiter", "rank", "start")

    def __init__(self, limiter: Limiter, start: Callable[[], None], rank: Rank = Rank.UP) -> None:
        self.limiter = limiter
        self.start: Callable[[], None] | None = start  # None: it was let in, or has left
        self.rank = rank
        self.entered_at = 0.0
        self.counted = False
        self.left = False

    @property
    def waiting(self) -> bool:
        return self.start is not None

    def enter(self) -> None:
        """Call `start` now or when there is room. The entry may be left within `start`."""
        self.limiter.take(self)

    def leave(self) -> None:
        """Make room. A second call does nothing."""
        if not self.left:
            self.left = True
            self.limiter.release(self)


class Limiter:
    """Lets `limit` be inside at once; the others wait by rank, and in line within a rank.

    With `patience_s`, an entry that has been inside for longer is counted no more while others wait: its
    server does not answer, and waiting for that costs nothing. So however many servers fall silent at once,
    the others wait for moments only.
    """

    def __init__(self, limit: int, patience_s: float | None = None) -> None:
        self.limit = limit
        self._patience_s = patience_s
        self._limits = [max(1, int(limit * SHARES[rank])) for rank in Rank]
        self._waiting: list[deque[Admission]] = [deque() for _ in Rank]
        self._queued = 0  # in all of those, with the ones that have left
        self._inside: dict[Admission, None] = {}  # those that count, the oldest first
        self._counts = [0 for _ in Rank]  # of those, by rank
        self._uncounted = 0
        self._passed = [0 for _ in Rank]  # by rank: entries of others that were let in while it waited
        self._admitting = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def inside(self) -> int:
        """How many take a place."""
        return len(self._inside)

    @property
    def under_way(self) -> int:
        """How many were let in and have not left."""
        return len(self._inside) + self._uncounted

    @property
    def waiting(self) -> int:
        return sum(1 for line in self._waiting for entry in line if entry.waiting)

    @property
    def quiet(self) -> bool:
        """Whether nobody is inside who was let in just now: the others wait for servers that are slow."""
        if not self._inside:
            return True
        newest = next(reversed(self._inside))
        return self._patience_s is not None and time.monotonic() - newest.entered_at > self._patience_s

    def take(self, entry: Admission) -> None:
        """What `Admission.enter` does."""
        if (
            not self._queued
            and len(self._inside) < self.limit
            and (entry.rank == 0 or self._has_room(entry.rank))
        ):
            self._let_in(entry)  # as nearly always
            return
        self._waiting[entry.rank].append(entry)
        self._queued += 1
        self._admit()

    def release(self, entry: Admission) -> None:
        """What `Admission.leave` does."""
        if entry.start is not None:  # it still waits: its place in the line is passed over
            entry.start = None
            return
        if entry.counted:
            self._uncount(entry)
            self._admit()
        else:
            self._uncounted -= 1

    def _uncount(self, entry: Admission) -> None:
        entry.counted = False
        del self._inside[entry]
        self._counts[entry.rank] -= 1

    def _admit(self) -> None:
        """Let in those who wait. The loop sees an entry that leaves within its `start`: a long line must
        not become a deep stack."""
        if self._admitting or not self._queued:
            return
        self._admitting = True
        try:
            while (entry := self._next()) is not None:
                self._let_in(entry)
        finally:
            self._admitting = False
        if self._patience_s is not None and self._timer is None and self._queued:
            self._wait_for_oldest(self._patience_s)

    def _let_in(self, entry: Admission) -> None:
        start, entry.start = entry.start, None
        assert start is not None
        entry.counted = True
        entry.entered_at = time.monotonic()
        self._inside[entry] = None
        self._counts[entry.rank] += 1
        start()

    def _next(self) -> Admission | None:
        """Take who is let in next out of its line, if there is room for anybody."""
        if len(self._inside) >= self.limit:
            return None
        found = [rank for rank in _RANKS if self._head(rank) is not None and self._has_room(rank)]
        if not found:
            return None
        rank = next((rank for rank in reversed(found) if self._passed[rank] >= PASSED_MAX), found[0])
        for each in found:
            self._passed[each] += 1
        self._passed[rank] = 0
        self._queued -= 1
        return self._waiting[rank].popleft()

    def _head(self, rank: int) -> Admission | None:
        line = self._waiting[rank]
        while line and line[0].start is None:
            line.popleft()
            self._queued -= 1
        return line[0] if line else None

    def _has_room(self, rank: int) -> bool:
        """Whether this rank, and each above it whose share it takes part in, has a place left."""
        counts, limits = self._counts, self._limits
        return all(sum(counts[above:]) < limits[above] for above in range(rank + 1))

    def _wait_for_oldest(self, patience_s: float) -> None:
        if self._inside:
            oldest = next(iter(self._inside))
            wait_s = max(0.0, oldest.entered_at + patience_s - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._lose_patience, patience_s)

    def _lose_patience(self, patience_s: float) -> None:
        self._timer = None
        if all(self._head(rank) is None for rank in _RANKS):  # those that waited have left
            return
        until = time.monotonic() - patience_s + 0.001  # a timer may come a moment early
        for entry in list(self._inside):
            if entry.entered_at > until:
                break
            self._uncount(entry)
            self._uncounted += 1
        self._admit()


def scan_limiter(limit: int) -> Limiter:
    """That of the scans, where `limit` polls are under way at once. A server that answers its scan slowly
    delays the scans of others for moments only; it must not hold a place for the whole budget of a scan."""
    return Limiter(min(SCANS_MAX, limit), SCAN_PATIENCE_S)


async def wait_at(limiter: Limiter, rank: Rank = Rank.UP) -> Admission:
    """Wait for room; the entry is to be left then. It is left already where the wait is cancelled."""
    let_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    entry = Admission(limiter, lambda: None if let_in.done() else let_in.set_result(None), rank)
    entry.enter()
    try:
        await let_in
    except BaseException:
        entry.leave()
        raise
    return entry
