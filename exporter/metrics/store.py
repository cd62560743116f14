"""The newest snapshot of every (target, part).

Invariants: a snapshot is replaced whole, never changed; one whose poll began before the stored one's is
refused; the generation grows with every change of what may be served.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from exporter.metrics.lane import Lane


class Snapshot(NamedTuple):
    """What one poll made of one part of one target. `began_at` and `expires_at` are monotonic: ages come from
    them, so that a step of the wall clock moves none.

    A tuple, for one is made in a fifth of the time of a frozen dataclass. Equal to itself alone.
    """

    addr: str
    part: str
    lane: Lane
    samples: bytes
    offsets: bytes  # int32, one more than the part has families
    series: int
    began_at: float
    expires_at: float

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)


class Store:
    """`stale_policy` is drop, serve or fail (semantics §4): with serve, snapshots are shown past their
    expiry."""

    def __init__(self, part_names: Sequence[str], stale_policy: str = "drop") -> None:
        self.generation = 0
        #: grows when a target's first snapshot of a part comes, and when a target is dropped
        self.membership = 0
        self.stale_policy = stale_policy
        self._parts: dict[str, dict[str, Snapshot]] = {name: {} for name in part_names}
        self._expired: set[tuple[str, str]] = set()
        #: by part, a moment before which nothing of it expires
        self._expires_after = dict.fromkeys(self._parts, 0.0)

    def put(self, snapshot: Snapshot) -> bool:
        """Keep it, unless a poll that began later has been stored already. Whether it was kept."""
        part = self._parts[snapshot.part]
        before = part.get(snapshot.addr)
        if before is not None and before.began_at > snapshot.began_at:
            return False
        if before is None:
            self.membership += 1
        part[snapshot.addr] = snapshot
        if snapshot.expires_at < self._expires_after[snapshot.part]:
            self._expires_after[snapshot.part] = snapshot.expires_at
        if self._expired:
            self._expired.discard((snapshot.addr, snapshot.part))
        self.generation += 1
        return True

    def get(self, addr: str, part: str) -> Snapshot | None:
        """The newest, expired or not."""
        return self._parts[part].get(addr)

    def expired(self, addr: str, part: str) -> bool:
        return (addr, part) in self._expired

    def addrs(self) -> Iterable[str]:
        """The targets that there are snapshots of."""
        return dict.fromkeys(chain.from_iterable(self._parts.values()))

    def snapshots(self, part: str, addrs: Iterable[str] | None = None) -> list[Snapshot]:
        """Those that may be served, in the order their targets came; or of some targets, in their order."""
        of = self._parts[part]
        kept = list(of.values()) if addrs is None else [of[addr] for addr in addrs if addr in of]
        if not self._expired or self.stale_policy == "serve":
            return kept
        return [snapshot for snapshot in kept if (snapshot.addr, snapshot.part) not in self._expired]

    def visible(self, addr: str, part: str) -> Snapshot | None:
        """The newest of one target, unless the stale policy withholds it."""
        snapshot = self._parts[part].get(addr)
        if snapshot is None or (self.stale_policy != "serve" and (addr, part) in self._expired):
            return None
        return snapshot

    def drop(self, addr: str) -> None:
        """Forget a target: its series are off the next page."""
        self.membership += 1
        for name, part in self._parts.items():
            if part.pop(addr, None) is not None:
                self._expired.discard((addr, name))
                self.generation += 1

    def expire(self, now: float) -> list[Snapshot]:
        """Mark what has outlived its time at `now` (monotonic), and return what was newly marked. A change
        like any other."""
        fresh = []
        for name, part in self._parts.items():
            if now >= self._expires_after[name]:
                kept = [snapshot for snapshot in part.values() if (snapshot.addr, name) not in self._expired]
                fresh += [snapshot for snapshot in kept if snapshot.expires_at <= now]
                self._expires_after[name] = min(
                    (snapshot.expires_at for snapshot in kept if snapshot.expires_at > now), default=math.inf
                )
        if fresh:
            self._expired.update((snapshot.addr, snapshot.part) for snapshot in fresh)
            self.generation += 1
        return fresh
