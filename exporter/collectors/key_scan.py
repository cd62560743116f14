"""Patterns of keys: SCAN finds their names and counts them, within a budget of keys and time.

All patterns walk side by side, one SCAN of each in a batch, so that no single reply holds the server up. What
they found is remembered for the collectors that read sizes and values more often than this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from exporter.collectors._contract import Batches, Out
from exporter.collectors._key_places import (
    KeyMemory,
    KeyspaceCollector,
    KeyspaceOut,
    acl_rules,
    ask,
    fail_if_all_failed,
    learn_slots,
    patterns,
    walk_places,
)
from exporter.collectors._key_trials import Args
from exporter.errors import ReplyError
from exporter.metrics.family import NameSet, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.options.values import KeyName
from exporter.protocol.cluster import Place
from exporter.protocol.command import PAUSE, Reply
from exporter.protocol.facts import Facts

#: names of one pattern that are remembered to know repeats, which SCAN gives while a table grows or shrinks
REPEATS_MAX = 100_000

COUNT = gauge(
    "keys_count", "Keys that match a pattern of --count-keys.", labels=("db", "key"), name_set=NameSet.GO
)
COUNT_EACH = gauge(
    "key_count",
    "Keys that match a pattern of any option.",
    labels=("db", "key"),
)
TRUNCATED = gauge(
    "key_pattern_truncated",
    "1 if a pattern matches more keys than are shown: there are too many, or the scan ended early.",
    labels=("db", "key", "option"),
)


@dataclass(slots=True)
class Tally:
    """What is found of one pattern, on all nodes. `keep` names are kept at most, those of the scan before
    first."""

    pattern: KeyName
    options: tuple[str, ...]
    keep: int
    before: frozenset[bytes]
    streams: bool = False
    count: int = 0
    known: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    complete: bool = True
    answered: bool = False  # by any node

    def take(self, names: list[Any]) -> None:
        self.answered = True
        for name in names:
            if not isinstance(name, bytes) or name in self.seen:
                continue
            if len(self.seen) < REPEATS_MAX:
                self.seen.add(name)
            self.count += 1
            if name in self.before:
                self.known.append(name)
            elif len(self.new) < self.keep:
                self.new.append(name)


#: names that are counted between two pauses
NAMES_A_PIECE = 2000


@dataclass(slots=True)
class ScanWalk:
    """One pattern's way through one database of one node."""

    tally: Tally
    place: Place
    cursor: bytes = b"0"
    done: bool = False

    def command(self, facts: Facts, options: Options) -> Args:
        kind = ("TYPE", "stream") if self.tally.streams and facts.version >= (6, 0, 0) else ()
        return (
            "SCAN",
            self.cursor,
            "MATCH",
            self.tally.pattern.name,
            "COUNT",
            options.keys.check_keys_batch_size,
            *kind,
        )

    def take(self, reply: Reply) -> Batches:
        match reply:
            case [bytes(cursor), list(names)]:
                for at in range(0, max(1, len(names)), NAMES_A_PIECE):
                    self.tally.take(names[at : at + NAMES_A_PIECE])
                    yield PAUSE
                self.cursor = cursor
                self.done = cursor == b"0"
            case _:
                self.tally.complete = False
                self.done = True


class KeyScanCollector(KeyspaceCollector):
    name = "key_scan"
    help = "Keys and streams that patterns fit."
    lane = Lane.SCAN
    families = (COUNT, COUNT_EACH, TRUNCATED)

    def enabled(self, options: Options) -> bool:
        return bool(_names(options))

    def acl(self, options: Options) -> tuple[str, ...]:
        return acl_rules(("scan",), _names(options), options)

    def collect(self, facts: Facts, options: Options, out: KeyspaceOut) -> Batches:
        # each time: a node that had no slots may have some now
        out.memory.slots = yield from learn_slots(facts)
        tallies = _tallies(facts, options, out.memory)
        walks = [
            ScanWalk(t, place)
            for t in tallies
            for place in walk_places(t.pattern.db, facts, options, out.memory.slots)
        ]
        # the first one shows whether the server takes SCAN: in the target's own database and without TYPE
        walks.sort(key=lambda walk: (walk.place.db != out.db, walk.tally.streams))
        first: list[Reply] = []
        looked = 0
        under_way = walks
        while (
            under_way
            and looked < options.keys.scan_budget_keys
            and out.spent_s < options.keys.scan_budget_time_s
        ):
            replies = yield from ask(
                [(walk.place, walk.command(facts, options)) for walk in under_way],
                facts,
                out,
                out.memory.answered,
            )
            first = first or replies
            for walk, reply in zip(under_way, replies, strict=True):
                yield from walk.take(reply)
            looked += len(under_way) * options.keys.check_keys_batch_size
            under_way = [walk for walk in under_way if not walk.done]
        for walk in under_way:
            walk.tally.complete = False
        fail_if_all_failed(first)
        if first and all(isinstance(reply, ReplyError) for reply in first):
            return
        walked = {id(walk.tally) for walk in walks}
        for tally in tallies:
            if id(tally) in walked:
                _write(tally, out)
        _remember(tallies, out.memory)


def _names(options: Options) -> tuple[KeyName, ...]:
    keys = options.keys
    return (*patterns(keys.check_keys), *patterns(keys.check_streams), *dict.fromkeys(keys.count_keys))


def _tallies(facts: Facts, options: Options, memory: KeyMemory) -> list[Tally]:
    """One for each pattern of keys and of streams, however many options name it."""
    keys = options.keys
    by_pattern: dict[KeyName, list[str]] = {}
    for option, names in (("check-keys", patterns(keys.check_keys)), ("count-keys", keys.count_keys)):
        for pattern in names:
            by_pattern.setdefault(
                KeyName(0 if facts.cluster_enabled else pattern.db, pattern.name), []
            ).append(option)
    tallies = []
    for pattern, named in by_pattern.items():
        keep = keys.max_keys_per_pattern if "check-keys" in named else 0
        tallies.append(
            Tally(pattern, tuple(dict.fromkeys(named)), keep, frozenset(memory.found.get(pattern, ())))
        )
    for pattern in dict.fromkeys(
        KeyName(0 if facts.cluster_enabled else p.db, p.name) for p in patterns(keys.check_streams)
    ):
        before = frozenset(memory.found_streams.get(pattern, ()))
        tallies.append(Tally(pattern, ("check-streams",), keys.max_keys_per_pattern, before, streams=True))
    return tallies


def _write(tally: Tally, out: Out) -> None:
    labels = (f"db{tally.pattern.db}", tally.pattern.name)
    if tally.answered and not tally.streams:
        if "count-keys" in tally.options:
            out.add(COUNT, tally.count, *labels)
        out.add(COUNT_EACH, tally.count, *labels)
    for option in tally.options:
        cut = option != "count-keys" and tally.count > tally.keep
        out.add(TRUNCATED, int(cut or not tally.complete), *labels, option)


def _remember(tallies: list[Tally], memory: KeyMemory) -> None:
    """A scan that was cut short adds to the names of the one before: what it did not come to is not gone."""
    found: dict[KeyName, tuple[bytes, ...]] = {}
    streams: dict[KeyName, tuple[bytes, ...]] = {}
    for tally in tallies:
        if tally.keep:
            earlier = () if tally.complete else tally.before
            names = tuple(dict.fromkeys([*tally.known, *earlier, *tally.new]))[: tally.keep]
            (streams if tally.streams else found)[tally.pattern] = names
    memory.found, memory.found_streams = found, streams
