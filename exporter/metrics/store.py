"""The newest snapshot of each target and family set.

Invariants: a snapshot is replaced whole, never changed. A snapshot whose poll began before that of the stored
one is refused. The generation grows with each change of what pages may show.

A name of a family set stands for the same numbering of families as long as the process runs. So a family set
that is closed may be opened again, and a poll that is older than that does no harm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from exporter.metrics.lane import Lane


class Snapshot(NamedTuple):
    """What one poll made of one family set of one target. `began_at` and `expires_at` are monotonic, so ages
    do not change with the wall clock.

    `addr` is the target's key (`Target.key`): its address, most often. A tuple is made in a fifth of the time
    of a frozen dataclass. It equals only itself.
    """

    addr: str
    family_set: str
    lane: Lane
    samples: bytes
    offsets: bytes  # int32, one more than the set has families
    series: int
    began_at: float
    expires_at: float

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)


#: of a family set that is closed
_NOTHING: Mapping[str, Snapshot] = MappingProxyType({})


class Store:
    """`stale_policy` is drop, serve or fail (semantics §4). With serve, snapshots stay visible past their
    expiry."""

    def __init__(self, family_sets: Iterable[str] = (), stale_policy: str = "drop") -> None:
        self.generation = 0
        #: grows when a target or a family set comes or goes
        self.membership = 0
        self.stale_policy = stale_policy
        self._family_sets: dict[str, dict[str, Snapshot]] = {}
        self._expired: set[tuple[str, str]] = set()
        self._apart: set[str] = set()  # targets that only pages of their own show
        #: by family set, a moment before which none of its snapshots expires
        self._expires_after: dict[str, float] = {}
        for name in family_sets:
            self.open(name)

    # -- family sets

    @property
    def family_sets(self) -> Sequence[str]:
        """The names of those that are open."""
        return tuple(self._family_sets)

    def open(self, family_set: str) -> None:
        """Accept snapshots of a family set."""
        if family_set not in self._family_sets:
            self._family_sets[family_set] = {}
            self._expires_after[family_set] = 0.0
            self._change_members()

    def close(self, family_set: str) -> None:
        """Drop all snapshots of a family set, and refuse those of polls that are still under way."""
        closed = self._family_sets.pop(family_set, None)
        if closed is not None:
            del self._expires_after[family_set]
            self._expired.difference_update([(addr, family_set) for addr in closed])
            self._change_members()

    def _change_members(self) -> None:
        self.membership += 1
        self.generation += 1

    # -- snapshots

    def put(self, snapshot: Snapshot) -> bool:
        """Store a snapshot. False: a poll that began later has been stored already, or the family set is
        closed."""
        family_set = self._family_sets.get(snapshot.family_set)
        if family_set is None:
            return False
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
        """The newest snapshot, expired or not."""
        return self._of(family_set).get(addr)

    def _of(self, family_set: str) -> Mapping[str, Snapshot]:
        return self._family_sets.get(family_set, _NOTHING)

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
        return not any(self._family_sets.values())

    def addrs(self) -> Iterable[str]:
        """The targets that have snapshots, without those that are set apart."""
        found = dict.fromkeys(chain.from_iterable(self._family_sets.values()))
        for addr in self._apart:
            found.pop(addr, None)
        return found

    def snapshots(self, family_set: str, addrs: Iterable[str] | None = None) -> list[Snapshot]:
        """The visible snapshots of all targets that are not set apart, in the order in which they came; or of
        `addrs`, in their order."""
        of, apart = self._of(family_set), self._apart
        if addrs is not None:
            found = [of[addr] for addr in addrs if addr in of]
        elif apart:
            found = [snapshot for snapshot in of.values() if snapshot.addr not in apart]
        else:
            found = list(of.values())
        if not self._expired or self.stale_policy == "serve":
            return found
        return [snapshot for snapshot in found if (snapshot.addr, snapshot.family_set) not in self._expired]

    def visible(self, addr: str, family_set: str) -> Snapshot | None:
        """The newest snapshot of one target, unless the stale policy hides it."""
        snapshot = self.get(addr, family_set)
        if snapshot is None or (self.stale_policy != "serve" and (addr, family_set) in self._expired):
            return None
        return snapshot

    def withdraw(self, addr: str, family_set: str) -> None:
        """Remove a target's snapshot of a family set that is for other targets only from now on."""
        if self._family_sets.get(family_set, {}).pop(addr, None) is not None:
            self._expired.discard((addr, family_set))
            self._change_members()

    def drop(self, addr: str) -> None:
        """Remove all snapshots of a target: the next page shows no series of it."""
        self.membership += 1
        self._apart.discard(addr)
        for name, family_set in self._family_sets.items():
            if family_set.pop(addr, None) is not None:
                self._expired.discard((addr, name))
                self.generation += 1

    def expire(self, now: float) -> list[Snapshot]:
        """Mark the snapshots that expire by `now` (monotonic), and return the newly marked ones."""
        fresh = []
        for name, family_set in self._family_sets.items():
            if now >= self._expires_after[name]:
                valid = [
                    snapshot for snapshot in family_set.values() if (snapshot.addr, name) not in self._expired
                ]
                fresh += [snapshot for snapshot in valid if snapshot.expires_at <= now]
                self._expires_after[name] = min(
                    (snapshot.expires_at for snapshot in valid if snapshot.expires_at > now), default=math.inf
                )
        if fresh:
            self._expired.update((snapshot.addr, snapshot.family_set) for snapshot in fresh)
            self.generation += 1
        return fresh
