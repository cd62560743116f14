"""SLOWLOG: its length, its newest entry, and what passes through it by command.

https://redis.io/docs/latest/commands/slowlog-get/
"""

from __future__ import annotations

from functools import partial

from exporter.collectors._contract import Batches, Collector, OutWithMemory, raise_failure
from exporter.collectors._entry_log import EntryLog, read_entries
from exporter.metrics.family import NameSet, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts

US_PER_S = 1_000_000

go_gauge = partial(gauge, name_set=NameSet.GO)

LENGTH = go_gauge("slowlog_length", "Entries in the slow log.")
LAST_ID = go_gauge("slowlog_last_id", "Id of the newest entry of the slow log; 0 if the log is empty.")
LAST_DURATION = go_gauge(
    "last_slow_execution_duration_seconds",
    "Duration of the newest entry of the slow log; 0 if the log is empty.",
)
ENTRIES = counter(
    "slowlog_entries_total",
    "Entries that the slow log added since the exporter watches the target.",
    labels=("cmd",),
)
DURATION = counter(
    "slowlog_entries_duration_seconds_total",
    "Time that the commands of the counted slow log entries took.",
    labels=("cmd",),
)
DURATION_MAX = gauge(
    "slowlog_entry_max_duration_seconds",
    "Longest time in a command's slow log entries since the exporter watches the target.",
    labels=("cmd",),
)
MISSED = counter(
    "slowlog_entries_missed_total",
    "Entries that the slow log dropped before the exporter could count them; 0 if it joins several logs.",
)


def ask(count: int) -> Command:
    return Command.of("SLOWLOG", "GET", count)


class SlowlogCollector(Collector[EntryLog]):
    name = "slowlog"
    help = "The slow log."
    lane = Lane.FAST
    families = (LENGTH, LAST_ID, LAST_DURATION, ENTRIES, DURATION, DURATION_MAX, MISSED)

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.mode != "sentinel" and facts.version >= (2, 2, 12)

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+slowlog|len", "+slowlog|get")

    def new_memory(self) -> EntryLog:
        return EntryLog()

    def repeats(self, options: Options) -> bool:
        return True

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[EntryLog]) -> Batches:
        log = out.memory
        length, newest = yield [Command.of("SLOWLOG", "LEN"), ask(log.first_count)]
        raise_failure(length, newest)
        if isinstance(length, int) and length >= 0:
            out.add(LENGTH, length)
        entries = read_entries(newest)
        if entries is None:
            return
        if not entries or entries[0].id >= 0:
            out.add(LAST_ID, entries[0].id if entries else 0)
        out.add(LAST_DURATION, entries[0].amount / US_PER_S if entries else 0)
        yield from log.follow(length, newest, ask)
        for cmd, count in log.counts.items():
            out.add(ENTRIES, count.entries, cmd)
            out.add(DURATION, count.amount / US_PER_S, cmd)
            out.add(DURATION_MAX, count.amount_max / US_PER_S, cmd)
        out.add(MISSED, log.missed)
