"""VINFO, on demand: the vector sets among the keys that are looked at. Redis 8.0 and later.

https://redis.io/docs/latest/commands/vinfo/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice

from exporter.collectors._contract import Batches
from exporter.collectors._key_places import (
    KeyspaceCollector,
    KeyspaceOut,
    acl_rules,
    ask_keys,
    fail_if_all_failed,
    learn_slots,
    place_keys,
)
from exporter.collectors.keys import single_keys
from exporter.collectors.streams import fields_of
from exporter.metrics.family import Family, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.options.values import KeyName
from exporter.protocol.cluster import text_of
from exporter.protocol.command import PAUSE, PIECE
from exporter.protocol.facts import Facts

#: keys whose type is asked for in one poll
KEYS_MAX = 1000
vector_gauge = partial(gauge, labels=("db", "key"), since="8.0")
NUMBERS: Mapping[str, Family] = {
    "size": vector_gauge("vector_set_elements", "Elements of a vector set."),
    "vector-dim": vector_gauge("vector_set_dimensions", "Dimensions of the vectors of a vector set."),
    "projection-input-dim": vector_gauge(
        "vector_set_input_dimensions",
        "Dimensions of the vectors before a vector set makes them fewer; 0: it does not.",
    ),
    "attributes-count": vector_gauge(
        "vector_set_attributes", "Elements of a vector set that have attributes."
    ),
    "max-level": vector_gauge("vector_set_levels", "Highest level of the graph of a vector set."),
    "hnsw-m": vector_gauge("vector_set_links_max", "Links that an element of a vector set may have."),
}
INFO = gauge(
    "vector_set_info",
    "How a vector set stores its vectors. Always 1.",
    labels=("db", "key", "quantization"),
    since="8.0",
)


class VectorSetsCollector(KeyspaceCollector):
    name = "vector_sets"
    help = "Vector sets among the single keys and those that patterns found."
    lane = Lane.STANDARD
    acl_where = "Redis 8.0 and later"
    families = (*NUMBERS.values(), INFO)

    def enabled(self, options: Options) -> bool:
        return options.keys.include_vector_set_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.flavor == "redis" and facts.version >= (8, 0, 0) and super().wants(facts, options)

    def acl(self, options: Options) -> tuple[str, ...]:
        return acl_rules(
            ("type", "vinfo"), (*options.keys.check_keys, *options.keys.check_single_keys), options
        )

    def collect(self, facts: Facts, options: Options, out: KeyspaceOut) -> Batches:
        names = dict.fromkeys(single_keys(options))
        names |= dict.fromkeys(
            KeyName(pattern.db, name) for pattern, found in out.memory.found.items() for name in found
        )
        out.cut += max(0, len(names) - KEYS_MAX)
        out.memory.slots = yield from learn_slots(facts, out.memory.slots)
        places = yield from place_keys(islice(names, KEYS_MAX), facts, options, out.memory.slots)
        types = yield from ask_keys(
            {key: [("TYPE", key.name)] for key in places}, places, facts, options, out
        )
        fail_if_all_failed([reply for [reply] in types.values()])
        sets = [key for key, [kind] in types.items() if text_of(kind) == "vectorset"]
        answers = yield from ask_keys(
            {key: [("VINFO", key.name)] for key in sets}, places, facts, options, out
        )
        for at, (key, [reply]) in enumerate(answers.items(), 1):
            if at % PIECE == 0:
                yield PAUSE
            fields, labels = fields_of(reply), (f"db{key.db}", key.name)
            for name, family in NUMBERS.items():
                value = fields.get(name)
                if isinstance(value, int) and value >= 0:
                    out.add(family, value, *labels)
            if "quant-type" in fields:
                out.add(INFO, 1, *labels, text_of(fields["quant-type"]))
