"""Who replicates whom among the watched targets: how far a replica is behind, and masters that disagree.

A master's INFO says how far each of its replicas has confirmed, so both numbers are of one moment. Only if it
lists no such replica (it is behind a translation of addresses, say) the lag is estimated from the replies of
both, which come at different times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.replication import AttachedReplica, Replication
from exporter.targets.address import canonical_host

#: what a master says counts for this many of its intervals
KEPT_INTERVALS = 2.5
#: seconds over which the rate of writing is averaged
RATE_S = 30.0
#: targets of one replication id that are compared: beyond, it says nothing about who replicates whom
SHARING_MAX = 100

_ALONE = b"connected_slaves:0"
_MASTER = b"role:master"
_ID, _FORMER_ID = b"master_replid:", b"master_replid2:"
_ID_LENGTH = 40

_Place = tuple[str, int]


#: of a replica: bytes, seconds if they are known, and their source, master or estimate
ReplicaLag = tuple[int, float | None, str]
#: another master of the same data: by the `same` id, or by the `former` one of either; and its address
Conflict = tuple[str, str]


@dataclass(slots=True)
class _Member:
    """A target by its newest INFO. `replication` is None of a master without replicas: most are, so nothing
    of their INFO is parsed. `seen_at` is monotonic; `rate` is how many bytes a second it writes, None if that
    is not known."""

    watched: WatchedTarget
    section: bytes
    ids: tuple[bytes, bytes]
    replication: Replication | None
    seen_at: float
    rate: float | None = None
    #: its replicas by the addresses that they announce
    attached: dict[_Place, AttachedReplica] = field(default_factory=dict)

    @property
    def is_master(self) -> bool:
        return self.replication is None or self.replication.role == "master"

    def counts_at(self, now: float) -> bool:
        """Whether what it says is new enough."""
        return now - self.seen_at <= KEPT_INTERVALS * self.watched.timing.interval_s


class ReplicationMap:
    """Takes the end of each poll, and sets the lag and the conflicts of the targets that it concerns."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._by_id: dict[bytes, dict[str, _Member]] = {}  # by either of their ids

    def __len__(self) -> int:
        return len(self._members)

    def note(self, watched: WatchedTarget, now: float) -> None:
        """Take the end of a poll of a target. `now` is monotonic seconds."""
        section = watched.state.memory.replication_section
        addr = watched.target.addr
        before = self._members.get(addr)
        if not section or not watched.up:
            if before is not None:
                self.forget(addr, now)
            return
        if before is not None and before.section == section and before.replication is None:
            before.seen_at = now
            return
        ids = (_id_at(section, _ID), _id_at(section, _FORMER_ID))
        is_alone = _ALONE in section and _MASTER in section
        if is_alone and before is not None and before.replication is None and before.ids == ids:
            before.section, before.seen_at = section, now  # only its offset has moved
            return
        member = _Member(watched, section, ids, None if is_alone else watched.state.memory.replication, now)
        member.rate = _rate(before, member)
        if member.replication is not None:
            for attached in member.replication.replicas:
                member.attached[canonical_host(attached.host) or attached.host, attached.port] = attached
        self._leave(addr)
        self._enter(addr, member)
        if before is None or (before.ids, before.is_master) != (ids, member.is_master):
            self._look_for_conflicts({*ids, *(before.ids if before is not None else ())}, now)
        self._set_lags(member, now)

    def forget(self, addr: str, now: float) -> None:
        """A target is down, or is about to be removed."""
        member = self._leave(addr)
        if member is not None:
            self._look_for_conflicts(set(member.ids), now)
            _set(member.watched, None, (), now)

    def _enter(self, addr: str, member: _Member) -> None:
        self._members[addr] = member
        for each in {*member.ids} - {b""}:
            self._by_id.setdefault(each, {})[addr] = member

    def _leave(self, addr: str) -> _Member | None:
        member = self._members.pop(addr, None)
        for each in {*member.ids} - {b""} if member is not None else ():
            sharing = self._by_id[each]
            del sharing[addr]
            if not sharing:
                del self._by_id[each]
        return member

    def _sharing(self, ids: Iterable[bytes]) -> list[_Member]:
        """The targets that have one of these ids, or had it before."""
        found: dict[str, _Member] = {}
        for each in ids:
            sharing = self._by_id.get(each, {})
            if len(sharing) <= SHARING_MAX:
                found.update(sharing)
        return list(found.values())

    def _group(self, member: _Member) -> list[_Member]:
        """The targets with the same data."""
        return [each for each in self._sharing(member.ids[:1]) if each.ids[0] == member.ids[0]]

    # -- how far a replica is behind

    def _set_lags(self, member: _Member, now: float) -> None:
        """Of a target that was polled, and of its replicas."""
        group = self._group(member)
        for other in group:
            if other is not member and not other.is_master and _attached_of(member, other) is not None:
                _set(other.watched, _own_count(member, other), None, now)
        if member.is_master:
            _set(member.watched, None, None, now)
            return
        counting = [each for each in group if each is not member and each.counts_at(now)]
        if not any(_attached_of(each, member) is not None for each in counting):
            _set(member.watched, _estimate(member, counting), None, now)

    # -- masters that disagree

    def _look_for_conflicts(self, ids: set[bytes], now: float) -> None:
        """Of the masters that have one of these ids, or had it before."""
        for one in self._sharing(ids):
            _set(one.watched, one.watched.state.series.replica_lag, self._conflicts_of(one), now)

    def _conflicts_of(self, one: _Member) -> tuple[Conflict, ...]:
        if not one.is_master:
            return ()
        run_id = _run_id(one)  # databases of one server are no conflict
        others = [
            each
            for each in self._sharing(one.ids)
            if each is not one and each.is_master and (not run_id or _run_id(each) != run_id)
        ]
        found = []
        for other in others:
            kind = "same" if other.ids[0] == one.ids[0] else "former"
            if kind == "same" or other.ids[0] == one.ids[1] or one.ids[0] == other.ids[1]:
                found.append((kind, other.watched.target.addr))
        return tuple(sorted(found))


def _run_id(member: _Member) -> str:
    facts = member.watched.facts
    return facts.run_id if facts is not None else ""


def _set(
    watched: WatchedTarget, lag: ReplicaLag | None, conflicts: tuple[Conflict, ...] | None, now: float
) -> None:
    """Show them, if they are new. None: the conflicts stay."""
    series = watched.state.series
    conflicts = series.conflicts if conflicts is None else conflicts
    if (series.replica_lag, series.conflicts) != (lag, conflicts):
        series.replica_lag, series.conflicts = lag, conflicts
        watched.state.publish(now)


def _id_at(section: bytes, name: bytes) -> bytes:
    begin = section.find(name) + len(name)
    found = section[begin : begin + _ID_LENGTH] if begin >= len(name) else b""
    return b"" if found.strip(b"0\r\n") == b"" else found


def _places(member: _Member) -> Iterator[_Place]:
    target = member.watched.target
    for host in (target.host, member.watched.state.memory.peer):
        if host and target.port:
            yield canonical_host(host) or host, target.port


def _attached_of(upstream: _Member, replica: _Member) -> AttachedReplica | None:
    """What a server says of its replica, if it lists it."""
    return next((upstream.attached[place] for place in _places(replica) if place in upstream.attached), None)


def _own_count(upstream: _Member, replica: _Member) -> ReplicaLag | None:
    attached = _attached_of(upstream, replica)
    offset = _offset(upstream)
    if attached is None or attached.offset is None or offset is None:
        return None
    behind = max(0, offset - attached.offset)
    return (behind, _seconds(behind, upstream.rate), "master")


def _estimate(replica: _Member, others: list[_Member]) -> ReplicaLag | None:
    """By the offsets of both, if it is clear whose replica it is."""
    masters = [each for each in others if each.is_master]
    own, offset = _offset(replica), _offset(masters[0]) if len(masters) == 1 else None
    if own is None or offset is None:
        return None
    behind = max(0, offset - own)
    return (behind, _seconds(behind, masters[0].rate), "estimate")


def _seconds(behind: int, rate: float | None) -> float | None:
    """How long ago its master had written as much as the replica has; None if that is not known."""
    if behind == 0:
        return 0.0
    return behind / rate if rate else None


def _offset(member: _Member) -> int | None:
    return member.replication.offset if member.replication is not None else None


def _rate(before: _Member | None, member: _Member) -> float | None:
    """Bytes a second, averaged: newer ones count more."""
    if (
        before is None
        or before.ids[0] != member.ids[0]
        or before.replication is None
        or member.replication is None
    ):
        return None
    old, new = before.replication.offset, member.replication.offset
    passed_s = member.seen_at - before.seen_at
    if old is None or new is None or passed_s <= 0 or new < old:
        return before.rate
    rate = (new - old) / passed_s
    if before.rate is None:
        return rate
    share = 1 - math.exp(-passed_s / RATE_S)
    return before.rate + share * (rate - before.rate)
