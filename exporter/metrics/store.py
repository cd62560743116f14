"""The newest snapshot of each target and family set.

Invariants: a snapshot is replaced whole; only its times move, when a later poll brought the same again. A
snapshot whose poll began before that of the stored one is refused. The generation grows with each change of
what pages may show.

A name of a family set stands for the same numbering of families as long as the process runs. So a family set
that is closed may be opened again, and a poll that is older than that does no harm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final

from exporter import engine
from exporter.metrics.lane import Lane


class LaneTimes:
    """When a poll began, and when what it brought expires. Both are monotonic, so ages do not change with the
    wall clock. All snapshots that one poll brought of one lane may share it; it is never changed."""

    __slots__ = ("began_at", "expires_at")

    def __init__(self, began_at: float, expires_at: float) -> None:
        self.began_at = began_at
        self.expires_at = expires_at


class Snapshot:
    """What one poll made of one family set of one target; never changed. It equals only itself.

    `addr` is the target's key (`Target.key`): its address, most often. Compiled, a class with slots is made
    in a tenth of the instructions of a named tuple.
    """

    __slots__ = ("addr", "block", "family_set", "lane", "times")

    def __init__(self, addr: str, family_set: str, lane: Lane, block: engine.Block, times: LaneTimes) -> None:
        self.addr = addr
        self.family_set = family_set
        self.lane = lane
        self.block = block
        self.times = times

    @property
    def samples(self) -> bytes:
        return self.block.samples

    @property
    def offsets(self) -> bytes:
        """int32, one more than the set has families."""
        return self.block.offsets

    @property
    def series(self) -> int:
        return self.block.series

    @property
    def began_at(self) -> float:
        return self.times.began_at

    @property
    def expires_at(self) -> float:
        return self.times.expires_at

    def lasting_until(self, expires_at: float) -> Snapshot:
        """The same with another expiry, and times of its own."""
        times = LaneTimes(self.times.began_at, expires_at)
        return Snapshot(self.addr, self.family_set, self.lane, self.block, times)


class _Shelf:
    """The newest snapshots of one open family set, by target, and a moment before which none expires."""

    __slots__ = ("expires_after", "snapshots")

    def __init__(self) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self.expires_after = 0.0


#: of a family set that is closed
_NOTHING: Mapping[str, Snapshot] = MappingProxyType({})
_follow: Final = engine.follow


class Store:
    """`stale_policy` is drop, serve or fail. With serve, snapshots stay visible past their expiry."""

    def __init__(self, family_sets: Iterable[str] = (), stale_policy: str = "drop") -> None:
        self.generation = 0
        #: grows when a target or a family set comes or goes
        self.membership = 0
        self.stale_policy = stale_policy
        self._shelves: dict[str, _Shelf] = {}  # by family set
        self._expired: set[tuple[str, str]] = set()
        self._apart: set[str] = set()  # targets that only pages of their own show
        for name in family_sets:
            self.open(name)

    # -- family sets

    @property
    def family_sets(self) -> Sequence[str]:
        """The names of those that are open."""
        return tuple(self._shelves)

    def open(self, family_set: str) -> None:
        """Accept snapshots of a family set."""
        if family_set not in self._shelves:
            self._shelves[family_set] = _Shelf()
            self._change_members()

    def close(self, family_set: str) -> None:
        """Drop all snapshots of a family set, and refuse those of polls that are still under way."""
        closed = self._shelves.pop(family_set, None)
        if closed is not None:
            self._expired.difference_update([(addr, family_set) for addr in closed.snapshots])
            self._change_members()

    def _change_members(self) -> None:
        self.membership += 1
        self.generation += 1

    # -- snapshots

    def put(self, snapshot: Snapshot) -> bool:
        """Store a snapshot. False: a poll that began later has been stored already, or the family set is
        closed."""
        shelf = self._shelves.get(snapshot.family_set)
        if shelf is None:
            return False
        addr, block, times = snapshot.addr, snapshot.block, snapshot.times
        before = shelf.snapshots.get(addr)
        if before is None:
            self.membership += 1
            _follow(block, None)
        elif before.times.began_at > times.began_at:
            return False
        elif before.block is not block:
            _follow(block, before.block)
        shelf.snapshots[addr] = snapshot
        if times.expires_at < shelf.expires_after:
            shelf.expires_after = times.expires_at
        if self._expired:
            self._expired.discard((addr, snapshot.family_set))
        self.generation += 1
        return True

    def get(self, addr: str, family_set: str) -> Snapshot | None:
        """The newest snapshot, expired or not."""
        return self._of(family_set).get(addr)

    def _of(self, family_set: str) -> Mapping[str, Snapshot]:
        shelf = self._shelves.get(family_set)
        return _NOTHING if shelf is None else shelf.snapshots

    def expired(self, addr: str, family_set: str) -> bool:
        return (addr, family_set) in self._expired

    def set_apart(self, addr: str, *, apart: bool = True) -> None:
        """Leave a target out where all targets are asked for, until it is dropped, or no longer."""
        if apart != (addr in self._apart):
            (self._apart.add if apart else self._apart.discard)(addr)
            self._change_members()

    def is_apart(self, addr: str) -> bool:
        return addr in self._apart

    @property
    def is_empty(self) -> bool:
        """Whether no target has a snapshot."""
        return not any(shelf.snapshots for shelf in self._shelves.values())

    def addrs(self) -> Iterable[str]:
        """The targets that have snapshots, without those that are set apart."""
        found = dict.fromkeys(chain.from_iterable(shelf.snapshots for shelf in self._shelves.values()))
        for addr in self._apart:
            found.pop(addr, None)
        return found

    def snapshots(self, family_set: str, addrs: Sequence[str]) -> list[Snapshot | None]:
        """The visible snapshot of each of these targets, None where there is none. Empty: no target has
        any."""
        of = self._of(family_set)
        if not of:
            return []
        found = list(map(of.get, addrs))
        if not self._expired or self.stale_policy == "serve":
            return found
        return [
            None if snapshot is None or (snapshot.addr, family_set) in self._expired else snapshot
            for snapshot in found
        ]

    def visible(self, addr: str, family_set: str) -> Snapshot | None:
        """The newest snapshot of one target, unless the stale policy hides it."""
        snapshot = self.get(addr, family_set)
        if snapshot is None or (self.stale_policy != "serve" and (addr, family_set) in self._expired):
            return None
        return snapshot

    def withdraw(self, addr: str, family_set: str) -> None:
        """Remove a target's snapshot of a family set that is for other targets only from now on."""
        shelf = self._shelves.get(family_set)
        if shelf is not None and shelf.snapshots.pop(addr, None) is not None:
            self._expired.discard((addr, family_set))
            self._change_members()

    def drop(self, addr: str) -> None:
        """Remove all snapshots of a target: the next page shows no series of it."""
        self.membership += 1
        self._apart.discard(addr)
        for name, shelf in self._shelves.items():
            if shelf.snapshots.pop(addr, None) is not None:
                self._expired.discard((addr, name))
                self.generation += 1

    def expire(self, now: float) -> list[Snapshot]:
        """Mark the snapshots that expire by `now` (monotonic), and return the newly marked ones."""
        fresh = []
        for name, shelf in self._shelves.items():
            if now >= shelf.expires_after:
                valid = [
                    snapshot
                    for snapshot in shelf.snapshots.values()
                    if (snapshot.addr, name) not in self._expired
                ]
                fresh += [snapshot for snapshot in valid if snapshot.times.expires_at <= now]
                shelf.expires_after = min(
                    (snapshot.times.expires_at for snapshot in valid if snapshot.times.expires_at > now),
                    default=math.inf,
                )
        if fresh:
            self._expired.update((snapshot.addr, snapshot.family_set) for snapshot in fresh)
            self.generation += 1
        return fresh
