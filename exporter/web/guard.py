"""Who may stay connected: bounds on connections, and limits in time for what they do.

At a bound the least useful connection makes room for a newcomer, for strangers and the scraper may come from one address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Protocol

from exporter.web.incidents import Incidents
from exporter.web.limits import Limits

#: how often the limits in time are looked at
SWEEP_S = 0.5
#: who came no longer ago makes room last of all who have not asked for anything: its request may be on its way
YOUNG_S = 1.0
#: an answer that makes no progress for so long is a slow one
SLOW_S = 1.0

# How useful a connection is, the least first: what `rank` gives.
INCOMPLETE, IDLE, SLOW, YOUNG, WAITING = range(5)


class Visitor(Protocol):
    """A connection, in any state."""

    def rank(self, now: float) -> tuple[int, float] | None:
        """How useful it is, and since when; None if it must not make room."""
        ...

    def overdue(self, now: float) -> str:
        """The reason why it must end now, "" if it may stay."""
        ...

    def end(self, reason: str) -> None:
        """Close the connection for a reason. It leaves the guard itself, at once."""
        ...


class _Group:
    """The connections from one address. `new` are those that have not sent a whole request, the oldest first."""

    __slots__ = ("address", "members", "new")

    def __init__(self, address: str) -> None:
        self.address = address
        self.members: dict[Visitor, None] = {}
        self.new: dict[Visitor, None] = {}


class Guard:
    """All connections of the HTTP side."""

    def __init__(self, limits: Limits, incidents: Incidents) -> None:
        self.limits = limits
        self.incidents = incidents
        self._places_per_address = min(limits.places_per_address, limits.places)
        self._groups: dict[str, _Group] = {}
        self._all: dict[Visitor, _Group] = {}
        self._new: dict[Visitor, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Visitor]:
        return iter(list(self._all))

    def enter(self, visitor: Visitor, address: str) -> bool:
        """Take a newcomer in, with room made for it. False if there is none."""
        group = self._groups.get(address)
        if group is not None and len(group.members) >= self._places_per_address and not self._make_room(group.new, group.members):
            self.incidents.note("refused")
            return False
        if len(self._all) >= self.limits.places and not self._make_room(self._new, self._all):
            self.incidents.note("refused")
            return False
        group = self._groups.get(address)
        if group is None:
            group = self._groups[address] = _Group(address)
        self._all[visitor] = group
        group.members[visitor] = group.new[visitor] = self._new[visitor] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        return True

    def replace(self, before: Visitor, after: Visitor) -> bool:
        """`after` takes the place of `before`. False if that one had to go meanwhile."""
        group = self._all.get(before)
        if group is None:
            return False
        self.leave(before)
        return self.enter(after, group.address)

    def settle(self, visitor: Visitor) -> None:
        """Its first request has come whole."""
        group = self._all.get(visitor)
        if group is not None:
            group.new.pop(visitor, None)
            self._new.pop(visitor, None)

    def leave(self, visitor: Visitor) -> None:
        group = self._all.pop(visitor, None)
        if group is None:
            return
        self._new.pop(visitor, None)
        group.new.pop(visitor, None)
        del group.members[visitor]
        if not group.members:
            del self._groups[group.address]

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self, new: dict[Visitor, None], among: Iterable[Visitor]) -> bool:
        now = asyncio.get_running_loop().time()
        victim = next(iter(new), None)  # of many that ask for nothing the oldest is found without a search
        rank = victim.rank(now) if victim is not None else None
        if rank is None or rank[0] != INCOMPLETE:
            ranked = ((rank, number, visitor) for number, visitor in enumerate(among) if (rank := visitor.rank(now)) is not None)
            victim = min(ranked, default=(None, 0, None), key=lambda each: each[:2])[2]
        if victim is None:
            return False
        victim.end("evicted")
        self.leave(victim)
        return True

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for visitor in self:
            reason = visitor.overdue(now)
            if reason:
                visitor.end(reason)
        self._timer = loop.call_later(SWEEP_S, self._sweep) if self._all else None
