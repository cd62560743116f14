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
    family_set: str
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

    def __init__(self, family_set_names: Sequence[str], stale_policy: str = "drop") -> None:
        self.generation = 0
        #: grows when a target's first snapshot of a part comes, and when a target is dropped
        self.membership = 0
        self.stale_policy = stale_policy
        self._family_sets: dict[str, dict[str, Snapshot]] = {name: {} for name in family_set_names}
        self._expired: set[tuple[str, str]] = set()
        #: by part, a moment before which nothing of it expires
        self._expires_after = dict.fromkeys(self._family_sets, 0.0)

    def put(self, snapshot: Snapshot) -> bool:
        """Keep it, unless a poll that began later has been stored already. Whether it was kept."""
        family_set = self._family_sets[snapshot.family_set]
        before = family_set.get(snapshot.addr)
        if before is not None and before.began_at > snapshot.began_at:
            return False
        if before is None:
            self.membership += 1
        family_set[snapshot.addr] = snapshot
        if snapshot.expires_at < self._expires_after[snapshot.family_set]:
            self._expires_after[snapshot.family_set] = snapshot.expires_at
        if self._expired:
            self._expired.discard((snapshot.addr, snapshot.family_set))
        self.generation += 1
        return True

    def get(self, addr: str, family_set: str) -> Snapshot | None:
        """The newest, expired or not."""
        return self._family_sets[family_set].get(addr)

    def expired(self, addr: str, family_set: str) -> bool:
        return (addr, family_set) in self._expired

    def addrs(self) -> Iterable[str]:
        """The targets that there are snapshots of."""
        return dict.fromkeys(chain.from_iterable(self._family_sets.values()))

    def snapshots(self, family_set: str, addrs: Iterable[str] | None = None) -> list[Snapshot]:
        """Those that may be served, in the order their targets came; or of some targets, in their order."""
        of = self._family_sets[family_set]
        kept = list(of.values()) if addrs is None else [of[addr] for addr in addrs if addr in of]
        if not self._expired or self.stale_policy == "serve":
            return kept
        return [snapshot for snapshot in kept if (snapshot.addr, snapshot.family_set) not in self._expired]

    def visible(self, addr: str, family_set: str) -> Snapshot | None:
        """The newest of one target, unless the stale policy withholds it."""
        snapshot = self._family_sets[family_set].get(addr)
        if snapshot is None or (self.stale_policy != "serve" and (addr, family_set) in self._expired):
            return None
        return snapshot

    def drop(self, addr: str) -> None:
        """Forget a target: its series are off the next page."""
        self.membership += 1
        for name, family_set in self._family_sets.items():
            if family_set.pop(addr, None) is not None:
                self._expired.discard((addr, name))
                self.generation += 1

    def expire(self, now: float) -> list[Snapshot]:
        """Mark what has outlived its time at `now` (monotonic), and return what was newly marked. A change
        like any other."""
        fresh = []
        for name, family_set in self._family_sets.items():
            if now >= self._expires_after[name]:
                kept = [
                    snapshot for snapshot in family_set.values() if (snapshot.addr, name) not in self._expired
                ]
                fresh += [snapshot for snapshot in kept if snapshot.expires_at <= now]
                self._expires_after[name] = min(
                    (snapshot.expires_at for snapshot in kept if snapshot.expires_at > now), default=math.inf
                )
        if fresh:
            self._expired.update((snapshot.addr, snapshot.family_set) for snapshot in fresh)
            self.generation += 1
        return fresh
