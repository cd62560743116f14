"""Decides which connections stay: limits on their number, and time limits for what they do.

If all places are taken, the least useful connection makes room for a new one: strangers and the scraper may
come from one address. An address with few connections has places that addresses with many cannot take, and
its idle connections are closed last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Protocol

from exporter.web.incidents import Incidents
from exporter.web.limits import HttpLimits

#: how often the time limits are checked, and how often while all connections are idle
SWEEP_S, CALM_SWEEP_S = 0.5, 30.0
#: a check that comes so much later than it should waits for one more turn of the loop, at least `TURN_S` long
LATE_S, TURN_S = 0.01, 0.001
#: a connection without a request is young for this time: its request may be on its way
YOUNG_S = 1.0
#: an answer without progress for this time is slow
SLOW_S = 1.0

#: an address with fewer connections than this has few
FEW = 4
#: share of all places that is kept for addresses with few connections, and its minimum
KEPT_SHARE, KEPT_MIN = 1 / 16, 4

# How useful a connection is, the least first: the first item of `rank`.
INCOMPLETE, IDLE, SLOW, YOUNG, WAITING = range(5)


class Visitor(Protocol):
    """A connection, in any state."""

    def rank(self, now: float) -> tuple[int, float] | None:
        """How useful it is, and since when; None if it must stay."""
        ...

    def overdue(self, now: float) -> str:
        """The reason to close it now, "" if it may stay."""
        ...

    def end(self, reason: str) -> None:
        """Close the connection for a reason. It leaves the guard at once."""
        ...


class _Group:
    """The connections from one address. `new` are those that have not sent a whole request, the oldest
    first."""

    __slots__ = ("address", "members", "new")

    def __init__(self, address: str) -> None:
        self.address = address
        self.members: dict[Visitor, None] = {}
        self.new: dict[Visitor, None] = {}

    @property
    def has_few(self) -> bool:
        return len(self.members) < FEW


class Guard:
    """All connections of the HTTP side."""

    def __init__(self, limits: HttpLimits, incidents: Incidents) -> None:
        self.limits = limits
        self.incidents = incidents
        kept = min(max(KEPT_MIN, int(limits.places * KEPT_SHARE)), limits.places // 2)
        self._places_of_crowds = limits.places - kept  # for all addresses with many connections together
        self._groups: dict[str, _Group] = {}
        self._all: dict[Visitor, _Group] = {}
        self._new: dict[Visitor, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sweep_at = 0.0
        self._was_late = False
        self._is_calm = False  # all connections were idle at the newest sweep

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Visitor]:
        return iter(list(self._all))

    def enter(self, visitor: Visitor, address: str) -> bool:
        """Admit a new connection, and make room for it. False if there is no room."""
        group = self._groups.get(address)
        if not self._has_place(group) and not self._make_room(group):
            self.incidents.note("refused", client=address)
            return False
        self._admit(visitor, address)
        return True

    def _admit(self, visitor: Visitor, address: str) -> None:
        group = self._groups.get(address)
        if group is None:
            group = self._groups[address] = _Group(address)
        self._all[visitor] = group
        group.members[visitor] = group.new[visitor] = self._new[visitor] = None
        self.stir()

    def replace(self, before: Visitor, after: Visitor) -> bool:
        """`after` takes the place of `before`. False if that one was closed meanwhile."""
        group = self._all.get(before)
        if group is None:
            return False
        self.leave(before)
        self._admit(after, group.address)
        return True

    def stir(self) -> None:
        """A connection is no longer idle: check the time limits often from now on."""
        if self._timer is None or self._is_calm:
            self._sweep_in(SWEEP_S)
            self._is_calm = False

    def settle(self, visitor: Visitor) -> None:
        """Its first request is complete."""
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
        """Stop checking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _has_place(self, group: _Group | None) -> bool:
        places = self.limits.places if group is None or group.has_few else self._places_of_crowds
        return len(self._all) < places and not self._is_full(group)

    def _is_full(self, group: _Group | None) -> bool:
        return group is not None and len(group.members) >= self.limits.places_per_address

    def _make_room(self, group: _Group | None) -> bool:
        """Close one connection for a new one of this group: one of its own group if that is full or has the
        most of all."""
        now = asyncio.get_running_loop().time()
        is_crowd = group is not None and not group.has_few
        victim = None
        if group is not None and (self._is_full(group) or (is_crowd and self._has_most(group))):
            victim = _oldest_incomplete(group.new, now) or self._least_useful(group.members, now)
        if victim is None and not self._is_full(group):
            victim = _oldest_incomplete(self._new, now)
            if victim is None and is_crowd:
                crowds = (
                    member for other in self._groups.values() if not other.has_few for member in other.members
                )
                victim = self._least_useful(crowds, now)
            elif victim is None:
                victim = self._least_useful(self._all, now)
        if victim is None:
            return False
        victim.end("evicted")
        self.leave(victim)
        return True

    def _has_most(self, group: _Group) -> bool:
        return all(len(other.members) <= len(group.members) for other in self._groups.values())

    def _least_useful(self, among: Iterable[Visitor], now: float) -> Visitor | None:
        """Idle connections of an address with few come last: one may be the scraper's."""
        least, found = None, None
        for visitor in among:
            rank = visitor.rank(now)
            if rank is not None:
                key = (rank[0] == IDLE and self._all[visitor].has_few, *rank)
                if least is None or key < least:
                    least, found = key, visitor
        return found

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        self._was_late = now > self._sweep_at + LATE_S and not self._was_late
        if self._was_late:  # the loop was held: it first has to read what clients have sent in time
            self._sweep_in(TURN_S)
            return
        for visitor in self:
            reason = visitor.overdue(now)
            if reason:
                visitor.end(reason)
        if not self._all:
            self._timer = None
            return
        ranks = [visitor.rank(now) for visitor in self._all]
        self._is_calm = all(rank is not None and rank[0] == IDLE for rank in ranks)
        self._sweep_in(min(CALM_SWEEP_S, self.limits.idle_s / 2) if self._is_calm else SWEEP_S)

    def _sweep_in(self, wait_s: float) -> None:
        self.close()
        self._sweep_at = asyncio.get_running_loop().time() + wait_s
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._sweep)


def _oldest_incomplete(new: dict[Visitor, None], now: float) -> Visitor | None:
    """The oldest connection without a request, found without a search."""
    oldest = next(iter(new), None)
    rank = oldest.rank(now) if oldest is not None else None
    return oldest if rank is not None and rank[0] == INCOMPLETE else None
