"""Groups of keys by what a Lua pattern captures of their names: how many, and how much memory they take.

A pass looks at every key once. The server groups one batch of SCAN at a time, so that it is never held up for
long, and a pass takes as many rounds as its budgets make it: until it is complete, the numbers of the one
before are served.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from exporter.collectors._answered import Answered
from exporter.collectors._contract import Batches, Collector, Out, OutWithMemory
from exporter.collectors._key_places import allowed_on, ask, learn_slots, walk_places
from exporter.collectors._key_trials import Args
from exporter.errors import ReplyError
from exporter.metrics.family import NameSet, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.cluster import Place, text_of
from exporter.protocol.command import PAUSE, PIECE, Command, Reply
from exporter.protocol.facts import Facts

go_gauge = partial(gauge, name_set=NameSet.GO)

COUNT = go_gauge("key_group_count", "Keys of a group.", labels=("db", "key_group"))
MEMORY = go_gauge(
    "key_group_memory_usage_bytes",
    "Memory of a group's keys, as the server estimates it.",
    labels=("db", "key_group"),
)
DISTINCT = go_gauge(
    "number_of_distinct_key_groups",
    "Groups of a database, including those in the overflow group.",
    labels=("db",),
)
DURATION = go_gauge(
    "last_key_groups_scrape_duration_milliseconds", "Duration of the newest complete pass over all keys."
)

OVERFLOW = b"overflow"
#: databases of a node that are walked side by side
SIDE_BY_SIDE = 16
#: groups of one database that a pass counts one by one; later ones are summed up
GROUPS_MAX = 100_000

#: bytes of a name that patterns are tried on: with n quantifiers a pattern can take time that grows with the
#: n-th power of them, and the server does nothing else meanwhile
NAME_MAX = 1000

#: Arguments: cursor, COUNT, 1 if memory may be asked for, patterns. Gives [cursor, [[group, keys, bytes],
#: …]].
SCRIPT = """
local page = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local order, keys, bytes = {}, {}, {}
for _, key in ipairs(page[2]) do
  local group = 'unclassified'
  for i = 4, #key <= NAME_MAX and #ARGV or 0 do
    local found = {string.find(key, ARGV[i])}
    if found[1] then
      group = table.concat(found, '', 3)
      break
    end
  end
  if not keys[group] then
    keys[group], bytes[group] = 0, 0
    order[#order + 1] = group
  end
  keys[group] = keys[group] + 1
  if ARGV[3] == '1' then
    local used = redis.call('MEMORY', 'USAGE', key)
    if type(used) == 'number' then bytes[group] = bytes[group] + used end
  end
end
local rows = {}
for i, group in ipairs(order) do rows[i] = {group, keys[group], bytes[group]} end
return {page[1], rows}
""".replace("NAME_MAX", str(NAME_MAX))

Groups = dict[bytes, tuple[int, int]]  # keys and bytes by group


@dataclass(slots=True)
class GroupWalk:
    place: Place
    cursor: bytes = b"0"
    done: bool = False


#: rows that are summed up between two pauses
ROWS_A_PIECE = 1000


@dataclass(slots=True)
class Pass:
    """A look at all keys, under way. `groups` are by database; `spent_s` is what the rounds before took."""

    walks: list[GroupWalk]
    groups: dict[int, Groups]
    run_id: str
    spent_s: float = 0.0

    def take(self, walk: GroupWalk, reply: Reply) -> Batches:
        match reply:
            case [bytes(cursor), list(rows)]:
                walk.cursor = cursor
                walk.done = walk.cursor == b"0"
                for at, row in enumerate(rows, 1):
                    if at % ROWS_A_PIECE == 0:
                        yield PAUSE
                    self._add(self.groups.get(walk.place.db, {}), row)
            case _:  # not all of its keys will be known: better none
                self.groups.pop(walk.place.db, None)
                for each in self.walks:
                    each.done = each.done or each.place.db == walk.place.db

    @staticmethod
    def _add(groups: Groups, row: Any) -> None:
        match row:
            case [bytes(group), int(keys), int(size)]:
                if group not in groups and len(groups) >= GROUPS_MAX:
                    group = OVERFLOW
                known_keys, known_size = groups.get(group, (0, 0))
                groups[group] = known_keys + keys, known_size + size


@dataclass(slots=True)
class GroupMemory:
    """The pass under way, and what the newest complete one found, with the milliseconds that it took."""

    current: Pass | None = None
    answered: Answered = field(default_factory=Answered)
    groups: dict[int, Groups] | None = None
    duration_ms: int = 0


class KeyGroupsCollector(Collector[GroupMemory]):
    name = "key_groups"
    help = "Keys and their memory by groups."
    lane = Lane.SCAN
    families = (COUNT, MEMORY, DISTINCT, DURATION)

    def enabled(self, options: Options) -> bool:
        return bool(options.keys.check_key_groups)

    def wants(self, facts: Facts, options: Options) -> bool:
        return allowed_on(facts, options)

    def acl(self, options: Options) -> tuple[str, ...]:
        around = ("+cluster|slots", "+cluster|myid") if options.redis.is_cluster else ("+info", "+select")
        return ("+eval", "+scan", "+memory|usage", *around, "~*")

    def new_memory(self) -> GroupMemory:
        return GroupMemory()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[GroupMemory]) -> Batches:
        memory = out.memory
        began_s = out.spent_s
        current = memory.current
        if current is None or current.run_id != facts.run_id:
            current = memory.current = yield from _begin(facts, options)
        errors: list[ReplyError] = []
        looked = 0
        left = [walk for walk in current.walks if not walk.done]
        while (
            left and looked < options.keys.scan_budget_keys and out.spent_s < options.keys.scan_budget_time_s
        ):
            side_by_side = left[:SIDE_BY_SIDE]
            replies = yield from ask(
                [(walk.place, _args(walk, facts, options)) for walk in side_by_side],
                facts,
                out,
                memory.answered,
            )
            for walk, reply in zip(side_by_side, replies, strict=True):
                yield from current.take(walk, reply)
            errors += [reply for reply in replies if isinstance(reply, ReplyError)]
            looked += len(replies) * options.keys.check_keys_batch_size
            left = [walk for walk in current.walks if not walk.done]
        current.spent_s += out.spent_s - began_s
        if not left:
            memory.current = None
            if errors and not current.groups:
                raise errors[0].as_target_error()
            memory.groups, memory.duration_ms = current.groups, round(current.spent_s * 1000)
        yield from _write(memory, facts, options, out)


def _begin(facts: Facts, options: Options) -> Generator[list[Command], list[Reply], Pass]:
    """A new pass, over the databases that have keys and the nodes that are primaries."""
    slots = yield from learn_slots(facts)
    databases = [0]
    if not facts.cluster_enabled:
        [text] = yield [Command.of("INFO", "keyspace")]
        databases = [int(db) for db in re.findall(r"^db([0-9]{1,9}):", text_of(text), re.MULTILINE)]
    walks = [GroupWalk(place) for db in databases for place in walk_places(db, facts, options, slots)]
    return Pass(walks, {db: {} for db in databases}, facts.run_id)


def _args(walk: GroupWalk, facts: Facts, options: Options) -> Args:
    may_ask_memory = "1" if facts.version >= (4, 0, 0) else "0"
    return (
        "EVAL",
        SCRIPT,
        0,
        walk.cursor,
        options.keys.check_keys_batch_size,
        may_ask_memory,
        *options.keys.check_key_groups,
    )


def _write(memory: GroupMemory, facts: Facts, options: Options, out: Out) -> Batches:
    if memory.groups is None:
        return
    out.add(DURATION, memory.duration_ms)
    for db, groups in memory.groups.items():
        out.add(DISTINCT, len(groups), f"db{db}")
        for at, (name, (keys, size)) in enumerate(
            shown(groups, options.keys.max_distinct_key_groups).items(), 1
        ):
            if at % PIECE == 0:
                yield PAUSE
            out.add(COUNT, keys, f"db{db}", name)
            out.add(MEMORY, size, f"db{db}", name)
    if options.metrics.include_metrics_for_empty_databases and not facts.cluster_enabled:
        for db in range(facts.databases or 0):
            if db not in memory.groups:
                out.add(DISTINCT, 0, f"db{db}")


def shown(groups: Groups, most: int) -> Groups:
    """The `most` largest groups by their memory (none if it is negative), and the sum of the others."""
    ordered = sorted(groups.items(), key=lambda item: (-item[1][1], item[1][0], item[0]))
    most = max(0, most)
    kept = dict(ordered[:most])
    for _, (keys, size) in ordered[most:]:
        known_keys, known_size = kept.get(OVERFLOW, (0, 0))
        kept[OVERFLOW] = known_keys + keys, known_size + size
    return kept
