"""COMMANDLOG of Valkey 8.1 and later: the lengths of its three logs, and what passes through two of them by
command.

The third, of slow commands, is the slow log under another name. https://valkey.io/commands/commandlog-get/
"""

from __future__ import annotations

from functools import partial

from exporter.collectors._contract import Batches, Collector, OutWithMemory, raise_failure
from exporter.collectors._entry_log import EntryLog
from exporter.metrics.family import NameSet, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts

go_gauge = partial(gauge, name_set=NameSet.GO, since="valkey 8.1")

LENGTHS = {
    "slow": go_gauge("commandlog_slow_length", "Entries in COMMANDLOG's log of slow commands."),
    "large-request": go_gauge(
        "commandlog_large_request_length", "Entries in COMMANDLOG's log of large requests."
    ),
    "large-reply": go_gauge("commandlog_large_reply_length", "Entries in COMMANDLOG's log of large replies."),
}
#: the logs whose entries are counted; these are measured in bytes
COUNTED = ("large-request", "large-reply")

ENTRIES = counter(
    "commandlog_entries_total",
    "Large requests or replies that COMMANDLOG added since the exporter watches the target.",
    labels=("type", "cmd"),
    since="valkey 8.1",
)
BYTES = counter(
    "commandlog_entry_bytes_total",
    "Bytes of the counted requests or replies.",
    labels=("type", "cmd"),
    since="valkey 8.1",
)
BYTES_MAX = gauge(
    "commandlog_entry_max_bytes",
    "Bytes of a command's largest request or reply since the exporter watches the target.",
    labels=("type", "cmd"),
    since="valkey 8.1",
)
MISSED = counter(
    "commandlog_entries_missed_total",
    "Entries that COMMANDLOG dropped before the exporter could count them; 0 if it joins several logs.",
    labels=("type",),
    since="valkey 8.1",
)


def ask(log_type: str, count: int) -> Command:
    return Command.of("COMMANDLOG", "GET", count, log_type)


class CommandlogCollector(Collector[dict[str, EntryLog]]):
    name = "commandlog"
    help = "Valkey's logs of large requests and replies."
    lane = Lane.FAST
    acl_where = "Valkey 8.1 and later"
    families = (*LENGTHS.values(), ENTRIES, BYTES, BYTES_MAX, MISSED)

    def enabled(self, options: Options) -> bool:
        return not options.redis.is_tile38

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.flavor == "valkey" and facts.flavor_version >= (8, 1, 0) and facts.mode != "sentinel"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+commandlog|len", "+commandlog|get")

    def new_memory(self) -> dict[str, EntryLog]:
        return {log_type: EntryLog() for log_type in COUNTED}

    def repeats(self, options: Options) -> bool:
        return True

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[dict[str, EntryLog]]) -> Batches:
        replies = yield [
            *(Command.of("COMMANDLOG", "LEN", log_type) for log_type in LENGTHS),
            *(ask(log_type, out.memory[log_type].first_count) for log_type in COUNTED),
        ]
        raise_failure(*replies)
        lengths = dict(zip(LENGTHS, replies, strict=False))
        for log_type, family in LENGTHS.items():
            length = lengths[log_type]
            if isinstance(length, int) and length >= 0:
                out.add(family, length)
        for log_type, newest in zip(COUNTED, replies[len(LENGTHS) :], strict=True):
            if not isinstance(newest, list):
                continue
            log = out.memory[log_type]
            yield from log.follow(lengths[log_type], newest, partial(ask, log_type))
            for cmd, count in log.counts.items():
                out.add(ENTRIES, count.entries, log_type, cmd)
                out.add(BYTES, count.amount, log_type, cmd)
                out.add(BYTES_MAX, count.amount_max, log_type, cmd)
            out.add(MISSED, log.missed, log_type)
