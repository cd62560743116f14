"""CLUSTER SLOT-STATS, on demand: the slots of a cluster node with the most keys, CPU time and traffic.

A node has up to 16,384 slots. The server sorts them, and gives the first hundred by each measure.
https://valkey.io/commands/cluster-slot-stats/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.metrics.family import Family, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command, Reply
from exporter.protocol.facts import Facts

#: slots that are shown by each measure
SLOTS_MAX = 100
slot_gauge, slot_counter = partial(gauge, labels=("slot",)), partial(counter, labels=("slot",))
#: statistic → family, and the number that a second, or a byte, has of its unit. A server sorts by any of them
STATISTICS: Mapping[bytes, tuple[Family, int]] = {
    b"key-count": (slot_gauge("cluster_slot_keys", "Keys of a hash slot.", since="8.2"), 1),
    b"memory-bytes": (
        slot_gauge("cluster_slot_memory_bytes", "Memory of the keys of a hash slot.", since="8.4"),
        1,
    ),
    b"cpu-usec": (
        slot_counter("cluster_slot_cpu_seconds_total", "CPU time spent on a hash slot.", since="8.2"),
        1_000_000,
    ),
    b"network-bytes-in": (
        slot_counter(
            "cluster_slot_network_input_bytes_total", "Bytes received for a hash slot.", since="8.2"
        ),
        1,
    ),
    b"network-bytes-out": (
        slot_counter("cluster_slot_network_output_bytes_total", "Bytes sent for a hash slot.", since="8.2"),
        1,
    ),
}


class SlotStatsCollector(Collector[None]):
    name = "slot_stats"
    help = "The busiest hash slots of a cluster node."
    lane = Lane.SLOW
    acl_where = "Redis 8.2 and Valkey 8.0, and later"
    families = tuple(family for family, _ in STATISTICS.values())

    def enabled(self, options: Options) -> bool:
        return options.metrics.include_slot_stats_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        since = {"redis": (8, 2, 0), "valkey": (8, 0, 0)}.get(facts.flavor)
        return facts.cluster_enabled and since is not None and facts.flavor_version >= since

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+cluster|slot-stats",)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [first] = yield [_ask(b"key-count")]
        raise_failure(first)
        slots = dict(_slots_of(first))
        # by default a server counts keys only, and knows no other order
        others = {name for statistics in slots.values() for name in statistics} & STATISTICS.keys()
        replies = yield [_ask(name) for name in STATISTICS if name in others - {b"key-count"}]
        for reply in replies:
            slots.update(_slots_of(reply))
        for at, (slot, statistics) in enumerate(sorted(slots.items()), 1):
            if at % PIECE == 0:
                yield PAUSE
            for name, (family, unit) in STATISTICS.items():
                value = statistics.get(name)
                if isinstance(value, int) and value >= 0:
                    out.add(family, value if unit == 1 else value / unit, str(slot))


def _ask(statistic: bytes) -> Command:
    return Command.of(
        "CLUSTER", "SLOT-STATS", "ORDERBY", statistic.decode().upper(), "LIMIT", SLOTS_MAX, "DESC"
    )


def _slots_of(reply: Reply) -> list[tuple[int, dict[bytes, object]]]:
    """Slot and statistics; what is of another form is left out."""
    found: list[tuple[int, dict[bytes, object]]] = []
    for row in reply[:SLOTS_MAX] if isinstance(reply, list) else ():
        match row:
            case [int(slot), list(pairs)]:
                names = (name if isinstance(name, bytes) else b"" for name in pairs[::2])
                found.append((slot, dict(zip(names, pairs[1::2], strict=False))))
    return found
