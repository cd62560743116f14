"""Streams with their groups and consumers: single ones on the fast lane, those that a pattern found on the
standard lane.

XINFO is only asked of what TYPE says is a stream. What a server does not report is left out
and never 0.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count

from exporter.collectors._contract import Batches, Out
from exporter.collectors._key_places import (
    SINGLE_MAX,
    KeyspaceCollector,
    KeyspaceOut,
    acl_rules,
    ask_keys,
    fail_if_all_failed,
    learn_slots,
    patterns,
    place_keys,
    read_on_standard_lane,
    singles,
)
from exporter.collectors._key_trials import Args
from exporter.metrics.family import Family, NameSet, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.options.values import KeyName
from exporter.protocol.cluster import Place, text_of
from exporter.protocol.command import PAUSE, PIECE, Command, Reply
from exporter.protocol.facts import Facts

STREAM = ("db", "stream")
GROUP = (*STREAM, "group")
CONSUMER = (*GROUP, "consumer")
go_gauge = partial(gauge, name_set=NameSet.GO)

LENGTH = go_gauge("stream_length", "Entries of a stream.", labels=STREAM)
TREE_KEYS = go_gauge("stream_radix_tree_keys", "Keys of the tree that holds a stream.", labels=STREAM)
TREE_NODES = go_gauge("stream_radix_tree_nodes", "Nodes of the tree that holds a stream.", labels=STREAM)
LAST_GENERATED = go_gauge(
    "stream_last_generated_id", "Milliseconds of the newest id in a stream.", labels=STREAM
)
GROUPS = go_gauge("stream_groups", "Consumer groups of a stream.", labels=STREAM)
MAX_DELETED = go_gauge(
    "stream_max_deleted_entry_id",
    "Milliseconds of the largest id that was deleted from a stream.",
    labels=STREAM,
    since="7.0",
)
FIRST_ENTRY = go_gauge(
    "stream_first_entry_id",
    "Milliseconds of the id of a stream's oldest entry; 0 for an empty stream.",
    labels=STREAM,
)
LAST_ENTRY = go_gauge(
    "stream_last_entry_id",
    "Milliseconds of the id of a stream's newest entry; 0 for an empty stream.",
    labels=STREAM,
)
ADDED = counter(
    "stream_entries_added_total",
    "Entries ever added to a stream.",
    labels=STREAM,
    since="7.0",
    name_set=NameSet.GO,
)
IDMP_DURATION = go_gauge(
    "stream_idmp_duration_seconds",
    "How long a stream remembers an idempotent id.",
    labels=STREAM,
    since="8.6",
)
IDMP_MAX_SIZE = go_gauge(
    "stream_idmp_max_size",
    "Idempotent ids that a stream remembers of one producer at most.",
    labels=STREAM,
    since="8.6",
)
IDMP_PRODUCERS = go_gauge(
    "stream_idmp_producer_ids_tracked",
    "Producers whose idempotent ids a stream remembers.",
    labels=STREAM,
    since="8.6",
)
IDMP_IDS = go_gauge(
    "stream_idmp_idempotent_ids_tracked",
    "Idempotent ids that a stream remembers.",
    labels=STREAM,
    since="8.6",
)
go_counter = partial(counter, labels=STREAM, since="8.6", name_set=NameSet.GO)
IDMP_ADDED = go_counter(
    "stream_idmp_entries_added_total", "Entries ever added to a stream with an idempotent id."
)
IDMP_DUPLICATES = go_counter(
    "stream_idmp_duplicates_total",
    "Entries that a stream did not add because it knew their idempotent id.",
)
CONSUMERS = go_gauge("stream_group_consumers", "Consumers of a group.", labels=GROUP)
PENDING = go_gauge(
    "stream_group_messages_pending", "Entries delivered to a group and not yet acknowledged.", labels=GROUP
)
PENDING_SHORT = gauge(
    "stream_group_pending",
    "Entries delivered to a group and not yet acknowledged. Same value as stream_group_messages_pending.",
    labels=GROUP,
    name_set=NameSet.SECOND,
)
LAST_DELIVERED = go_gauge(
    "stream_group_last_delivered_id", "Milliseconds of the newest id delivered to a group.", labels=GROUP
)
ENTRIES_READ = go_gauge(
    "stream_group_entries_read",
    "Entries that a group has read, counted from the first one ever added.",
    labels=GROUP,
    since="7.0",
)
LAG = go_gauge(
    "stream_group_lag",
    "Entries of a stream that the group has not received yet; absent while unknown.",
    labels=GROUP,
    since="7.0",
)
NACKED = go_gauge(
    "stream_group_messages_nacked",
    "Entries that consumers of a group gave back with XNACK.",
    labels=GROUP,
    since="8.8",
)
CONSUMER_PENDING = go_gauge(
    "stream_group_consumer_messages_pending",
    "Entries delivered to a consumer and not yet acknowledged.",
    labels=CONSUMER,
)
CONSUMER_IDLE = go_gauge(
    "stream_group_consumer_idle_seconds", "Time since a consumer's last attempt.", labels=CONSUMER
)

STREAM_NUMBERS = {
    "length": LENGTH,
    "radix-tree-keys": TREE_KEYS,
    "radix-tree-nodes": TREE_NODES,
    "groups": GROUPS,
    "entries-added": ADDED,
    "idmp-duration": IDMP_DURATION,
    "idmp-maxsize": IDMP_MAX_SIZE,
    "pids-tracked": IDMP_PRODUCERS,
    "iids-tracked": IDMP_IDS,
    "iids-added": IDMP_ADDED,
    "iids-duplicates": IDMP_DUPLICATES,
}
STREAM_IDS = {"last-generated-id": LAST_GENERATED, "max-deleted-entry-id": MAX_DELETED}
STREAM_ENTRIES = {"first-entry": FIRST_ENTRY, "last-entry": LAST_ENTRY}
GROUP_NUMBERS = {"consumers": CONSUMERS, "pending": PENDING, "entries-read": ENTRIES_READ, "lag": LAG}
FAMILIES = (
    *(LENGTH, TREE_KEYS, TREE_NODES, LAST_GENERATED, GROUPS, MAX_DELETED, FIRST_ENTRY, LAST_ENTRY, ADDED),
    *(IDMP_DURATION, IDMP_MAX_SIZE, IDMP_PRODUCERS, IDMP_IDS, IDMP_ADDED, IDMP_DUPLICATES),
    *(CONSUMERS, PENDING, PENDING_SHORT, LAST_DELIVERED, ENTRIES_READ, LAG, NACKED),
    *(CONSUMER_PENDING, CONSUMER_IDLE),
)
#: groups whose consumers are asked for in one poll
GROUPS_MAX = 1000
COMMANDS = ("type", "xinfo|stream", "xinfo|groups", "xinfo|consumers")


def single_streams(options: Options) -> tuple[KeyName, ...]:
    return singles(options.keys.check_single_streams, options.keys.check_streams)


class StreamsCollector(KeyspaceCollector):
    """The streams that are named one by one."""

    name = "streams"
    help = "Single streams, their groups and consumers."
    lane = Lane.FAST
    families = FAMILIES

    def enabled(self, options: Options) -> bool:
        return 0 < len(single_streams(options)) <= SINGLE_MAX

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.version >= (5, 0, 0) and super().wants(facts, options)

    def acl(self, options: Options) -> tuple[str, ...]:
        return acl_rules(COMMANDS, single_streams(options), options)

    def collect(self, facts: Facts, options: Options, out: KeyspaceOut) -> Batches:
        yield from read_streams(single_streams(options), facts, options, out)


class FoundStreamsCollector(StreamsCollector):
    """The streams that the newest scan found, and single ones where they are very many."""

    name = "found_streams"
    help = "Streams that patterns found, their groups and consumers."
    lane = Lane.STANDARD

    def enabled(self, options: Options) -> bool:
        return bool(patterns(options.keys.check_streams)) or len(single_streams(options)) > SINGLE_MAX

    def acl(self, options: Options) -> tuple[str, ...]:
        return acl_rules(COMMANDS, (*patterns(options.keys.check_streams), *single_streams(options)), options)

    def collect(self, facts: Facts, options: Options, out: KeyspaceOut) -> Batches:
        names = read_on_standard_lane(single_streams(options), out.memory.found_streams, options)
        yield from read_streams(names, facts, options, out)


def read_streams(names: Iterable[KeyName], facts: Facts, options: Options, out: KeyspaceOut) -> Batches:
    """Write all there is to know of those keys that are streams."""
    out.memory.slots = yield from learn_slots(facts, out.memory.slots)
    places = yield from place_keys(names, facts, options, out.memory.slots)
    types = yield from ask_keys({key: [("TYPE", key.name)] for key in places}, places, facts, options, out)
    fail_if_all_failed([reply for [reply] in types.values()])
    wanted: dict[KeyName, list[Args]] = {
        key: [("XINFO", "STREAM", key.name), ("XINFO", "GROUPS", key.name)]
        for key, [kind] in types.items()
        if text_of(kind) == "stream"
    }
    answers = yield from ask_keys(wanted, places, facts, options, out)
    rows = count(1)  # of all streams, for the pauses
    groups, left = yield from _write_streams(answers, options, out, rows)
    if facts.flavor == "redis" and facts.version >= (8, 8, 0):
        yield from _write_nacked(answers, places, facts, options, out)
    questions: dict[KeyName, list[Args]] = {
        key: [("XINFO", "CONSUMERS", key.name, group) for group, _ in named]
        for key, named in groups.items()
        if named
    }
    answers = yield from ask_keys(questions, places, facts, options, out)
    for key, replies in answers.items():
        for (group, consumers), reply in zip(groups[key], replies, strict=True):
            answered = len(reply) if isinstance(reply, list) else 0
            read = min(answered, consumers + left)  # some may have come since
            left += consumers - read
            out.cut += answered - read
            for row in rows_of(reply[:read] if answered else None):
                if next(rows) % PIECE == 0:
                    yield PAUSE
                _write_consumer(key, group, row, out)


#: by stream: the names of groups, and how many consumers each has
Groups = dict[KeyName, list[tuple[bytes, int]]]


def _write_streams(
    answers: Mapping[KeyName, Sequence[Reply]], options: Options, out: Out, rows: Iterator[int]
) -> Generator[list[Command], list[Reply], tuple[Groups, int]]:
    """Write streams and their groups. Returns the groups whose consumers are to be asked for, and how many
    more consumers may be read in this poll."""
    exclude = options.keys.streams_exclude_consumer_metrics
    left = 0 if exclude else out.rows_max
    asked = 0
    groups: Groups = {}
    for key, (stream, listed) in answers.items():
        _write_stream(key, fields_of(stream), out)
        groups[key] = []
        for row in rows_of(listed):
            if next(rows) % PIECE == 0:
                yield PAUSE
            name, consumers = _write_group(key, row, out), _consumers(row)
            if name is None or consumers == 0 or exclude:
                continue
            if consumers > left or asked == GROUPS_MAX:  # not even asked: the server would be busy with them
                out.cut += consumers
                continue
            left -= consumers
            asked += 1
            groups[key].append((name, consumers))
    return groups, left


def _write_nacked(
    answers: Mapping[KeyName, Sequence[Reply]],
    places: dict[KeyName, Place],
    facts: Facts,
    options: Options,
    out: KeyspaceOut,
) -> Batches:
    """Write how many entries of each group were given back. Only a reply that lists all consumers says it: it
    is not asked for where there are more of them than are read in one poll."""
    wanted: dict[KeyName, list[Args]] = {}
    left = out.rows_max
    for key, (_, listed) in answers.items():
        groups = list(rows_of(listed))
        consumers = sum(map(_consumers, groups))
        if consumers > left:
            out.cut += len(groups)
        elif groups:
            left -= consumers
            wanted[key] = [("XINFO", "STREAM", key.name, "FULL", "COUNT", "1")]
    replies = yield from ask_keys(wanted, places, facts, options, out)
    for key, [whole] in replies.items():
        for row in rows_of(fields_of(whole).get("groups")):
            name = row.get("name")
            if isinstance(name, bytes):
                _add(NACKED, row.get("nacked-count"), out, f"db{key.db}", key.name, name)


def _consumers(group: dict[str, Reply]) -> int:
    """How many a group has; 1 where the reply does not say."""
    consumers = group.get("consumers")
    return max(0, consumers) if isinstance(consumers, int) else 1


def _write_stream(key: KeyName, fields: dict[str, Reply], out: Out) -> None:
    labels = (f"db{key.db}", key.name)
    for field, family in STREAM_NUMBERS.items():
        _add(family, fields.get(field), out, *labels)
    for field, family in STREAM_IDS.items():
        _add(family, milliseconds(fields.get(field)), out, *labels)
    for field, family in STREAM_ENTRIES.items():
        match fields.get(field, ()):
            case None:
                out.add(family, 0, *labels)
            case [entry_id, *_]:
                _add(family, milliseconds(entry_id), out, *labels)


def _write_group(key: KeyName, fields: dict[str, Reply], out: Out) -> bytes | None:
    """The group's name; None if the reply has none."""
    name = fields.get("name")
    if not isinstance(name, bytes):
        return None
    labels = (f"db{key.db}", key.name, name)
    for field, family in GROUP_NUMBERS.items():
        _add(family, fields.get(field), out, *labels)
    _add(PENDING_SHORT, fields.get("pending"), out, *labels)
    _add(LAST_DELIVERED, milliseconds(fields.get("last-delivered-id")), out, *labels)
    return name


def _write_consumer(key: KeyName, group: bytes, fields: dict[str, Reply], out: Out) -> None:
    name, idle = fields.get("name"), fields.get("idle")
    if isinstance(name, bytes):
        labels = (f"db{key.db}", key.name, group, name)
        _add(CONSUMER_PENDING, fields.get("pending"), out, *labels)
        _add(CONSUMER_IDLE, idle / 1000 if isinstance(idle, int) else None, out, *labels)


def _add(family: Family, value: Reply, out: Out, *labels: str | bytes) -> None:
    if isinstance(value, int | float):
        out.add(family, value, *labels)


def milliseconds(entry_id: Reply) -> int | None:
    """The part of `milliseconds-number` that is a time."""
    text = text_of(entry_id).partition("-")[0]
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else None


def rows_of(reply: Reply) -> Iterator[dict[str, Reply]]:
    return (fields_of(row) for row in reply) if isinstance(reply, list) else iter(())


def fields_of(reply: Reply) -> dict[str, Reply]:
    """`name, value, name, value, …` as a mapping; empty for anything else."""
    if not isinstance(reply, list):
        return {}
    return {text_of(name): value for name, value in zip(reply[::2], reply[1::2], strict=False)}
