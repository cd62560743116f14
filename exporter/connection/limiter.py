"""Limits how many polls, dials or look-ups run at once, and orders those that wait.

Targets that are up come first, then those that were never tried, then those that are down. The lower ranks
have only a share of the places, so that silent servers cannot take all of them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum


class Rank(IntEnum):
    """Which entries start first."""

    UP = 0
    NEW = 1
    DOWN = 2


#: share of all places that this rank and those below it may have together
SHARES = {Rank.UP: 1.0, Rank.NEW: 0.75, Rank.DOWN: 0.5}
#: entries of other ranks that start while a rank waits; then it is its turn
PASSED_MAX = 15
#: a server that works answers sooner
PATIENCE_S = 0.2
#: scans that run at once, over all targets
SCANS_MAX = 16
#: a scan that takes longer no longer counts while others wait
SCAN_PATIENCE_S = 5.0

_RANKS = tuple(int(rank) for rank in Rank)  # to go through an enumeration takes much longer


class Admission:
    """One entry of a limiter, such as a poll. Each must call `enter` once and `leave` once, whether it has
    started or still waits."""

    __slots__ = ("counted", "entered_at", "left", "limiter", "rank", "start")

    def __init__(self, limiter: Limiter, start: Callable[[], None], rank: Rank = Rank.UP) -> None:
        self.limiter = limiter
        self.start: Callable[[], None] | None = start  # None: it has started, or has left
        self.rank = rank
        self.entered_at = 0.0
        self.counted = False
        self.left = False

    @property
    def waiting(self) -> bool:
        return self.start is not None

    def enter(self) -> None:
        """Call `start` as soon as there is room. `start` itself may call `leave`."""
        self.limiter.take(self)

    def leave(self) -> None:
        """Make room for the next. A second call does nothing."""
        if not self.left:
            self.left = True
            self.limiter.release(self)


class Limiter:
    """Lets `limit` entries run at once. The others wait by rank, and in order within a rank.

    With `patience_s`, an entry that has run for longer no longer counts while others wait: its server does
    not answer, and waiting for that costs nothing. So when many servers fall silent at once, the others wait
    for a moment only. At most `most` run, those that do not count included.
    """

    def __init__(self, limit: int, patience_s: float | None = None, most: float = math.inf) -> None:
        self.limit = limit
        self._patience_s = patience_s
        self._most = most
        self._limits = [max(1, int(limit * SHARES[rank])) for rank in Rank]
        self._waiting: list[deque[Admission]] = [deque() for _ in Rank]
        self._queued = 0  # entries in all of these, also those that have left
        self._inside: dict[Admission, None] = {}  # entries that count, the oldest first
        self._counts = [0 for _ in Rank]  # of those, by rank
        self._uncounted = 0
        self._passed = [0 for _ in Rank]  # by rank: entries of others that started while it waited
        self._admitting = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def inside(self) -> int:
        """How many take a place."""
        return len(self._inside)

    @property
    def under_way(self) -> int:
        """How many have started and not left."""
        return len(self._inside) + self._uncounted

    @property
    def waiting(self) -> int:
        return sum(1 for queue in self._waiting for entry in queue if entry.waiting)

    @property
    def quiet(self) -> bool:
        """Whether no entry has started just now: those that run wait for slow servers."""
        if not self._inside:
            return True
        newest = next(reversed(self._inside))
        return self._patience_s is not None and time.monotonic() - newest.entered_at > self._patience_s

    def take(self, entry: Admission) -> None:
        """What `Admission.enter` does."""
        if (
            not self._queued
            and len(self._inside) < self.limit
            and self.under_way < self._most
            and (entry.rank == 0 or self._has_room(entry.rank))
        ):
            self._let_in(entry)  # as nearly always
            return
        self._waiting[entry.rank].append(entry)
        self._queued += 1
        self._admit()

    def release(self, entry: Admission) -> None:
        """What `Admission.leave` does."""
        if entry.start is not None:  # it still waits: its place in the queue is skipped
            entry.start = None
            return
        if entry.counted:
            self._uncount(entry)
            if self._queued:
                self._admit()
        else:
            self._uncounted -= 1
            if self._queued:
                self._admit()

    def _uncount(self, entry: Admission) -> None:
        entry.counted = False
        del self._inside[entry]
        self._counts[entry.rank] -= 1

    def _admit(self) -> None:
        """Start those that wait. In a loop, because an entry may leave within its `start`: a long queue must
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
        """Take the next entry out of its queue, if there is room."""
        if len(self._inside) >= self.limit or self.under_way >= self._most:
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
        queue = self._waiting[rank]
        while queue and queue[0].start is None:
            queue.popleft()
            self._queued -= 1
        return queue[0] if queue else None

    def _has_room(self, rank: int) -> bool:
        """Whether this rank has a place left, and each rank above it, in whose share it counts."""
        counts, limits = self._counts, self._limits
        return all(sum(counts[above:]) < limits[above] for above in range(rank + 1))

    def _wait_for_oldest(self, patience_s: float) -> None:
        if self._inside:
            oldest = next(iter(self._inside))
            wait_s = max(0.0, oldest.entered_at + patience_s - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._lose_patience, patience_s)

    def _lose_patience(self, patience_s: float) -> None:
        self._timer = None
        if all(self._head(rank) is None for rank in _RANKS):  # all that waited have left
            return
        until = time.monotonic() - patience_s + 0.001  # a timer may come a moment early
        for entry in list(self._inside):
            if entry.entered_at > until:
                break
            self._uncount(entry)
            self._uncounted += 1
        self._admit()


def scan_limiter(limit: int) -> Limiter:
    """The limiter of scans, where `limit` polls may run at once. A server that answers its scan slowly delays
    the scans of others for a moment only: it must not hold a place for the whole time of a scan."""
    return Limiter(min(SCANS_MAX, limit), SCAN_PATIENCE_S)


async def wait_at(limiter: Limiter, rank: Rank = Rank.UP) -> Admission:
    """Wait for room; the caller must `leave` the entry. A cancelled wait has left it already."""
    let_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    entry = Admission(limiter, lambda: None if let_in.done() else let_in.set_result(None), rank)
    entry.enter()
    try:
        await let_in
    except BaseException:
        entry.leave()
        raise
    return entry
