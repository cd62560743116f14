"""MEMORY STATS: what INFO does not have.

https://redis.io/docs/latest/commands/memory-stats/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.metrics.family import Family, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command
from exporter.protocol.facts import Facts

#: field → family; all other fields of the reply are in INFO too, or can be had from there
FIELDS: Mapping[bytes, Family] = {
    b"keys.bytes-per-key": gauge(
        "memory_stats_bytes_per_key", "Memory of the data divided by the number of keys.", since="4.0"
    ),
    b"overhead.db.hashtable.lut": gauge(
        "memory_stats_db_hashtable_lut_bytes",
        "Memory of the look-up tables of all databases.",
        since="7.4",
    ),
    b"db.dict.rehashing.count": gauge(
        "memory_stats_db_hashtables_rehashing",
        "Hash tables of databases that are being resized.",
        since="7.4",
    ),
}
#: field of a database → the value of the label
TABLES: Mapping[bytes, str] = {
    b"overhead.hashtable.main": "main",
    b"overhead.hashtable.expires": "expires",
    b"overhead.hashtable.slot-to-keys": "slot_to_keys",
}
TABLE = gauge(
    "memory_stats_db_hashtable_overhead_bytes",
    "Overhead of a database's hash tables: for its keys, their expiries or the cluster's slots.",
    labels=("db", "table"),
    since="4.0",
)

_DB = re.compile(rb"db\.([0-9]{1,10})\Z")


class MemoryStatsCollector(Collector[None]):
    name = "memory_stats"
    help = "Memory in detail."
    lane = Lane.SLOW
    families = (*FIELDS.values(), TABLE)

    def enabled(self, options: Options) -> bool:
        return options.metrics.include_memory_stats_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.mode != "sentinel" and facts.version >= (4, 0, 0) and not facts.loading

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+memory|stats",)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [reply] = yield [Command.of("MEMORY", "STATS")]
        raise_failure(reply)
        values = _mapping(reply)
        allocated = values.get(b"total.allocated")
        for name, family in FIELDS.items():
            value = values.get(name)
            # numbers below 0 wrap around to huge ones in some versions: nothing is larger than all memory
            if (
                isinstance(value, int)
                and value >= 0
                and not (isinstance(allocated, int) and value > allocated)
            ):
                out.add(family, value)
        databases = {int(match[1]): name for name in values if (match := _DB.match(name))}
        for at, (number, listed) in enumerate(databases.items(), 1):
            if at % PIECE == 0:
                yield PAUSE
            tables = _mapping(values[listed])
            for name, table in TABLES.items():
                value = tables.get(name)
                if isinstance(value, int) and value >= 0:
                    out.add(TABLE, value, f"db{number}", table)


def _mapping(reply: object) -> dict[bytes, object]:
    """A flat list of names and values."""
    if not isinstance(reply, list):
        return {}
    return {
        name: value for name, value in zip(reply[::2], reply[1::2], strict=False) if isinstance(name, bytes)
    }
