"""ACL LOG: what the access rules denied, by reason and user.

The log is a ring of (by default) 128 entries, the newest first. An entry stands for all denials of one object
to one user that followed each other within a minute, and counts them. Readings are compared, so that each
denial is counted once. https://redis.io/docs/latest/commands/acl-log/
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from exporter.collectors._contract import Batches, Collector, OutWithMemory, raise_failure
from exporter.metrics.family import counter
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts

DENIALS = counter(
    "acl_log_denials_total",
    "Denials in ACL LOG since the exporter watches the target. The user is empty for a failed login with an "
    "unknown name.",
    labels=("reason", "user"),
    since="6.0",
)
MISSED = counter(
    "acl_log_entries_missed_total",
    "Entries that ACL LOG dropped before the exporter could count them.",
    since="7.2",
)

#: entries that are asked for
ENTRIES_MAX = 128
#: pairs of name and value of one entry that are read; an entry has 10
FIELDS_MAX = 50
#: pairs of reason and user that are counted by name; all others are one
PAIRS_MAX = 1000
OTHER = "other"
AUTH = "auth"
_REASON = re.compile(rb"[a-z][a-z_-]{0,31}\Z")


@dataclass(frozen=True, slots=True)
class Denial:
    identity: (
        Hashable  # with an id the entry's own; else it is shared by all of the same object, user and reason
    )
    id: int | None
    count: int
    reason: str
    user: bytes


@dataclass(slots=True)
class Denials:
    """What is remembered of a target: the counts so far, and the newest reading of the log."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    missed: int | None = None  # None: the entries have no ids, which show gaps
    seen: dict[Hashable, list[int]] | None = None  # identity → counts of its entries; None: never read
    newest: int | None = None  # the highest id; None: there has been none


class AclLogCollector(Collector[Denials]):
    name = "acl_log"
    help = "Denials by access rules."
    lane = Lane.SLOW
    families = (DENIALS, MISSED)

    def enabled(self, options: Options) -> bool:
        return options.metrics.include_acl_log_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.mode != "sentinel" and facts.version >= (6, 0, 0)

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+acl|log", "+acl|users")

    def new_memory(self) -> Denials:
        return Denials()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[Denials]) -> Batches:
        [reply] = yield [Command.of("ACL", "LOG", ENTRIES_MAX)]
        raise_failure(reply)
        if not isinstance(reply, list):
            return
        entries = list(_entries(reply[:ENTRIES_MAX]))
        users: set[bytes] = set()
        if any(entry.reason == AUTH for entry in entries):
            # who fails to log in may have sent any word as the name, the password among them
            [names] = yield [Command.of("ACL", "USERS")]
            if isinstance(names, list):
                users = {name for name in names if isinstance(name, bytes)}
        memory = out.memory
        _count(memory, entries, users)
        for (reason, user), count in memory.counts.items():
            out.add(DENIALS, count, reason, user)
        if memory.missed is not None:
            out.add(MISSED, memory.missed)


def _entries(reply: Iterable[object]) -> Iterator[Denial]:
    """Those that have the form of one: a list of names and values."""
    for row in reply:
        if not isinstance(row, list):
            continue
        pairs = zip(row[: 2 * FIELDS_MAX : 2], row[1 : 2 * FIELDS_MAX : 2], strict=False)
        values = {key: value for key, value in pairs if isinstance(key, bytes)}
        count, reason, user = values.get(b"count"), values.get(b"reason"), values.get(b"username")
        if not (
            isinstance(count, int) and count > 0 and isinstance(reason, bytes) and isinstance(user, bytes)
        ):
            continue
        number, created = values.get(b"entry-id"), values.get(b"timestamp-created")
        if isinstance(number, int) and isinstance(created, int):
            identity: Hashable = (number, created)  # ids start again with each run of the server
        else:
            number = None
            identity = (reason, user, _short(values.get(b"object")), _short(values.get(b"context")))
        yield Denial(identity, number, count, reason.decode() if _REASON.match(reason) else OTHER, user)


def _short(value: object) -> bytes:
    """The beginning of a text, long enough to distinguish two texts."""
    return value[:1024] if isinstance(value, bytes) else b""


def _count(memory: Denials, entries: list[Denial], users: set[bytes]) -> None:
    """Add what has grown. The first reading counts nothing: what it finds may be of any age."""
    for entry, growth in _growth(memory.seen or {}, entries):
        user = (
            "" if entry.reason == AUTH and entry.user not in users else entry.user.decode("utf-8", "replace")
        )
        pair = (entry.reason, user)
        if pair not in memory.counts and len(memory.counts) >= PAIRS_MAX:
            pair = (OTHER, "")
        memory.counts[pair] = memory.counts.get(pair, 0) + (0 if memory.seen is None else growth)
    _note_missed(memory, {entry.id for entry in entries if entry.id is not None})
    memory.seen = {}
    for entry in entries:
        memory.seen.setdefault(entry.identity, []).append(entry.count)


def _growth(seen: dict[Hashable, list[int]], entries: list[Denial]) -> Iterator[tuple[Denial, int]]:
    """By how much each entry has grown. One that was not there before has grown by all it counts.

    Entries without ids and of one identity cannot be distinguished: each is taken for the one before that
    has the largest count not above its own. Their sum is right, and too low rather than too high where the
    ring dropped one between.
    """
    left = {identity: sorted(counts) for identity, counts in seen.items()}
    for entry in entries:
        counts = left.get(entry.identity, [])
        at = bisect_right(counts, entry.count)
        yield entry, entry.count - (counts.pop(at - 1) if at else 0)


def _note_missed(memory: Denials, ids: set[int]) -> None:
    """Ids rise by one with each entry: a gap is of entries that nobody has read."""
    if not ids:
        return
    memory.missed = memory.missed or 0
    if memory.newest is not None:
        new = [number for number in ids if number > memory.newest]
        memory.missed += max(new, default=memory.newest) - memory.newest - len(new)
    memory.newest = max(ids)
