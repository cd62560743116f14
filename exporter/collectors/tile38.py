"""SERVER EXT of Tile38, on demand. https://tile38.com/commands/server"""

from __future__ import annotations

import math
from functools import partial

from exporter.collectors._contract import Batches, Collector, Out
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import NameSet, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts

go_gauge = partial(gauge, name_set=NameSet.GO)

#: field of SERVER EXT, without `tile38_`, which not every version writes → family
FIELDS = {
    "aof_size": go_gauge("tile38_aof_size_bytes", "Size of Tile38's append-only file."),
    "avg_point_size": go_gauge("tile38_avg_item_size_bytes", "Memory of a point on average."),
    "sys_cpus": go_gauge("tile38_cpus_total", "Processors that Tile38 sees."),
    "heap_released_bytes": go_gauge(
        "tile38_heap_released_bytes", "Memory that Tile38's heap gave back to the system."
    ),
    "heap_alloc_bytes": go_gauge("tile38_heap_size_bytes", "Memory of the objects on Tile38's heap."),
    "http_transport": go_gauge("tile38_http_transport", "1 if Tile38 accepts commands over HTTP."),
    "in_memory_size": go_gauge("tile38_in_memory_size_bytes", "Memory of all collections of Tile38."),
    "max_heap_size": go_gauge("tile38_max_heap_size_bytes", "Limit of Tile38's heap; 0: unlimited."),
    "alloc_bytes": go_gauge("tile38_mem_alloc_bytes", "Memory that Tile38 has in use."),
    "num_collections": go_gauge("tile38_num_collections_total", "Collections of Tile38."),
    "num_hooks": go_gauge("tile38_num_hooks_total", "Hooks of Tile38."),
    "num_objects": go_gauge("tile38_num_objects_total", "Objects in all collections of Tile38."),
    "num_points": go_gauge("tile38_num_points_total", "Points in all collections of Tile38."),
    "pointer_size": go_gauge("tile38_pointer_size_bytes", "Size of a pointer of Tile38."),
    "read_only": go_gauge("tile38_read_only", "1 if Tile38 is read-only."),
    "go_threads": go_gauge("tile38_threads_total", "Threads of Tile38."),
    "go_goroutines": go_gauge("tile38_go_goroutines_total", "Goroutines of Tile38."),
    "last_gc_time_seconds": go_gauge(
        "tile38_last_gc_time_seconds", "Time of Tile38's last garbage collection, as it reports it."
    ),
    "next_gc_bytes": go_gauge(
        "tile38_next_gc_bytes", "Size of the heap at which Tile38 collects garbage again."
    ),
}
WORDS = {b"true": 1.0, b"false": 0.0}


class Tile38Collector(Collector[None]):
    name = "tile38"
    help = "SERVER EXT of Tile38."
    lane = Lane.SLOW
    families = tuple(FIELDS.values())

    def enabled(self, options: Options) -> bool:
        return options.redis.is_tile38

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.flavor == "redis" and facts.mode == "standalone"

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [reply] = yield [Command.of("SERVER", "EXT")]
        if isinstance(reply, ReplyError):
            if reply.is_refusal:  # a Redis among Tile38s
                return
            raise reply.as_target_error()
        if not isinstance(reply, list):
            raise ProtocolError("the reply to SERVER EXT is not a list")
        for name, value in zip(reply[::2], reply[1::2], strict=False):
            if isinstance(name, bytes):
                family = FIELDS.get(name.decode("utf-8", "replace").removeprefix("tile38_"))
                number = _number(value)
                if family is not None and number is not None:
                    out.add(family, number)


def _number(value: object) -> float | None:
    if isinstance(value, bytes):
        try:
            value = WORDS[value] if value in WORDS else float(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and math.isfinite(value) else None
