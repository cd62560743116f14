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
from exporter.targets.neighbour import neighbour_host

#: seconds over which the rate of writing is averaged
RATE_S = 30.0
#: targets of one replication id that are compared: beyond, it says nothing about who replicates whom
SHARING_MAX = 100

_ROLE = b"role:master"
_ID, _FORMER_ID = b"master_replid:", b"master_replid2:"
_ID_LENGTH = 40
_IDS_LENGTH = len(_ID) + len(_FORMER_ID) + len(b"\r\n") + 2 * _ID_LENGTH

_Place = tuple[str, int]
#: whether a target is a master, and the text of its ids
_Head = tuple[bool, bytes]


#: where a lag comes from
MASTER, ESTIMATE = "master", "estimate"
#: of a replica: bytes, seconds if they are known, and their source
ReplicaLag = tuple[int, float | None, str]
#: another master of the same data: by the `same` id, or by the `former` one of either; and its address
Conflict = tuple[str, str]


@dataclass(slots=True)
class _Member:
    """A target by its newest INFO. `head` is what of it says who it is: the role and the ids.

    The rest is read only while other targets have its data, because most targets have no replica. `rate` is
    how many bytes a second it writes, None if that is not known; it was measured at `measured_at`. `attached`
    are its replicas by the addresses that they announce.
    """

    watched: WatchedTarget
    head: _Head
    ids: tuple[bytes, bytes]
    replication: Replication | None = None
    measured_at: float = 0.0
    rate: float | None = None
    attached: dict[_Place, AttachedReplica] = field(default_factory=dict)

    @property
    def is_master(self) -> bool:
        return self.head[0]

    @property
    def offset(self) -> int | None:
        return self.replication.offset if self.replication is not None else None

    def measure(self, now: float) -> None:
        """Read the newest INFO."""
        before, self.replication = self.replication, self.watched.state.memory.replication
        if before is self.replication or self.replication is None:
            return
        old = before.offset if before is not None else None
        self.rate = _rate(old, self.offset, now - self.measured_at, self.rate)
        self.measured_at = now
        self.attached = {
            (neighbour_host(each.host) or each.host, each.port): each for each in self.replication.replicas
        }


class ReplicationMap:
    """Takes what polls bring, and sets the lag and the conflicts of the targets that it concerns. Targets
    are known by their keys."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._by_id: dict[bytes, dict[str, _Member]] = {}  # by either of their ids

    def __len__(self) -> int:
        return len(self._members)

    def note(self, watched: WatchedTarget, now: float) -> None:
        """Take the newest INFO of a target that is up. `now` is monotonic seconds."""
        section = watched.state.memory.replication_section
        key = watched.target.key
        if not section:
            self.forget(key, now)
            return
        member = self._members.get(key)
        if member is None or _head_of(section) != member.head:
            member = self._renew(watched, section, now)
        sharing = self._by_id.get(member.ids[0])
        if sharing is not None and 1 < len(sharing) <= SHARING_MAX:
            self._set_lags(member, now)

    def _renew(self, watched: WatchedTarget, section: bytes, now: float) -> _Member:
        """Take a target that comes, or is another one than before."""
        head, key = _head_of(section), watched.target.key
        member = _Member(watched, head, (_id_at(section, _ID), _id_at(section, _FORMER_ID)))
        before = self._leave(key)
        self._enter(key, member)
        self._look_for_conflicts({*member.ids, *(before.ids if before is not None else ())}, now)
        _set(watched, None, None, now)
        return member

    def forget(self, key: str, now: float) -> None:
        """A target is down, or is about to be removed."""
        member = self._leave(key)
        if member is None:
            return
        self._look_for_conflicts(set(member.ids), now)
        _set(member.watched, None, (), now)
        for other in self._group(member):  # its replicas: nobody knows how far they are behind
            if not other.is_master and (member.is_master or _attached_of(member, other) is not None):
                _set(other.watched, None, None, now)

    def _enter(self, key: str, member: _Member) -> None:
        self._members[key] = member
        for each in {*member.ids} - {b""}:
            self._by_id.setdefault(each, {})[key] = member

    def _leave(self, key: str) -> _Member | None:
        member = self._members.pop(key, None)
        for each in {*member.ids} - {b""} if member is not None else ():
            sharing = self._by_id[each]
            del sharing[key]
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
        if member.is_master and all(each.head[0] for each in self._by_id[member.ids[0]].values()):
            return  # no replica of it is a target
        others = [each for each in self._group(member) if each is not member]
        replicas = [each for each in others if not each.is_master]
        for each in (member, *others):
            each.measure(now)
        for replica in replicas:
            if _attached_of(member, replica) is not None:
                _set(replica.watched, _own_count(member, replica), None, now)
        for replica in replicas if member.is_master else [member]:
            upstreams = [each for each in (member, *others) if each is not replica]
            if not any(_attached_of(each, replica) is not None for each in upstreams):
                _set(replica.watched, _estimate(replica, upstreams), None, now)

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


def _head_of(section: bytes) -> _Head:
    """Whether it is a master, and its ids: two lines one after the other."""
    at = section.find(_ID)
    return _ROLE in section, section[at : at + _IDS_LENGTH] if at >= 0 else b""


def _id_at(section: bytes, name: bytes) -> bytes:
    begin = section.find(name) + len(name)
    found = section[begin : begin + _ID_LENGTH] if begin >= len(name) else b""
    return b"" if found.strip(b"0\r\n") == b"" else found


def _places(member: _Member) -> Iterator[_Place]:
    target = member.watched.target
    for host in (target.host, member.watched.state.memory.peer):
        if host and target.port:
            yield neighbour_host(host) or host, target.port


def _attached_of(upstream: _Member, replica: _Member) -> AttachedReplica | None:
    """What a server says of its replica, if it lists it."""
    return next((upstream.attached[place] for place in _places(replica) if place in upstream.attached), None)


def _own_count(upstream: _Member, replica: _Member) -> ReplicaLag | None:
    attached = _attached_of(upstream, replica)
    offset = upstream.offset
    if attached is None or attached.offset is None or offset is None:
        return None
    behind = max(0, offset - attached.offset)
    return (behind, _seconds(behind, upstream.rate), MASTER)


def _estimate(replica: _Member, others: list[_Member]) -> ReplicaLag | None:
    """By the offsets of both, if it is clear whose replica it is."""
    masters = [each for each in others if each.is_master]
    own, offset = replica.offset, masters[0].offset if len(masters) == 1 else None
    if own is None or offset is None:
        return None
    behind = max(0, offset - own)
    return (behind, _seconds(behind, masters[0].rate), ESTIMATE)


def _seconds(behind: int, rate: float | None) -> float | None:
    """How long ago its master had written as much as the replica has; None if that is not known."""
    if behind == 0:
        return 0.0
    return behind / rate if rate else None


def _rate(old: int | None, new: int | None, passed_s: float, rate: float | None) -> float | None:
    """Bytes a second, averaged: newer ones count more. `rate` is the one before."""
    if old is None or new is None or passed_s <= 0 or new < old:
        return rate
    newest = (new - old) / passed_s
    return newest if rate is None else rate + (1 - math.exp(-passed_s / RATE_S)) * (newest - rate)
