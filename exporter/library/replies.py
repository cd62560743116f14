"""Replies that another program has: INFO to exposition text, CLIENT LIST to rows."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType

from exporter import engine
from exporter.collectors._enabled import EnabledCollector, enable, enable_all
from exporter.collectors._registry import REGISTRY
from exporter.collectors._shown import hidden_families
from exporter.collectors.info import GATED
from exporter.errors import ConfigError, ReplyError, UsageError
from exporter.library.given import Given, flags_of
from exporter.metrics.catalog import Catalog
from exporter.metrics.family import LABEL_NAME
from exporter.metrics.labels import label_forms
from exporter.metrics.series_limit import SeriesLimit
from exporter.options.commandline import parse
from exporter.options.metrics_options import MetricsOptions
from exporter.options.table import Options
from exporter.polling.label_texts import ROLE_LABEL
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import Poll
from exporter.polling.poll_context import PollContext
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts
from exporter.targets.target import Target

#: labels that the text format itself has
REFUSED_LABELS = frozenset({"le", "quantile"})
ROOM_BYTES = 256 * 1024
NOWHERE = Target("", "redis", "", 0, "", 0)
NO_SERVER = ReplyError("ERR unknown command: there is only the text of INFO")


def render_info(
    text: str | bytes,
    labels: Mapping[str, str] = MappingProxyType({}),
    options: Given = MappingProxyType({}),
) -> str:
    """The exposition text of a reply to INFO (`INFO everything` gives most), with HELP and TYPE, as a page of
    the exporter shows it. `labels` stand on every sample. `options` are those of the command, by the names
    of their flags.

    TargetError if the text is not that of INFO, ConfigError if a label's name is not valid.
    """
    reply = _bytes_of(text)
    given, enabled, catalog = _with_new_families(_prepare(flags_of(options)))
    metrics, now = given.metrics, time.time()
    pairs = _label_pairs(labels, metrics)
    forms = label_forms(catalog.family_sets, pairs)

    def add_role(facts: Facts) -> bool:
        if metrics.append_instance_role_label:
            role = (ROLE_LABEL, engine.escape(facts.role.encode()))
            forms.update(label_forms(catalog.family_sets, [*pairs, role]))
        return metrics.append_instance_role_label

    context = PollContext(NOWHERE, TargetMemory(), forms, given, on_facts=add_role)
    poll = Poll(enabled, context, now, 0.0)
    batch = poll.begin()
    while batch:
        batch = poll.receive([_answer(command, reply) for command in batch])
    results = poll.results
    if results.error is not None:
        raise results.error
    limit = SeriesLimit(metrics.max_series_per_target, metrics.max_series_per_family)
    finish = partial(_finished, limit, metrics, round(now * 1000))
    blocks = [finish(name, results.blocks.get(name)) for name in catalog.family_set_names]
    return _assemble(engine.Assembler(catalog.headers, catalog.cells, blocks)).decode()


def read_clients(text: str | bytes) -> list[dict[str, str]]:
    """The clients of a reply to CLIENT LIST, one mapping each: the names of the fields and their texts, as
    the server writes them."""
    rows = engine.client_rows(_bytes_of(text))
    return [{_decode(name): _decode(value) for name, value in row.items()} for row in rows]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What the options make. Calls share it."""

    options: Options
    collectors: Sequence[EnabledCollector]
    catalog: Catalog


@lru_cache(16)
def _prepare(flags: Sequence[str]) -> _Prepared:
    given = parse(flags, {})
    collectors = [collector for collector in REGISTRY if collector.enabled(given)]
    gated = {name: bool(getattr(given.metrics, option)) for name, option in GATED.items()}
    hidden = hidden_families(collectors, given.metrics, gated)
    enabled = enable_all(collectors, hidden, given.metrics)
    return _Prepared(given, enabled, Catalog([each.family_set for each in enabled], hidden))


#: A thread that reads at a fork is not in the child: the plans it reads by stay locked there.
os.register_at_fork(after_in_child=_prepare.cache_clear)


def _with_new_families(prepared: _Prepared) -> tuple[Options, Sequence[EnabledCollector], Catalog]:
    """Families of run time belong to one call: there is room for some hundred, and threads may render at
    once."""
    options, collectors, catalog = prepared.options, prepared.collectors, prepared.catalog
    if any(each.family_set.runtime_families is not None for each in collectors):
        metrics, hidden = options.metrics, catalog.hidden
        collectors = [
            enable(each.collector, metrics.namespace, hidden, metrics.max_label_length)
            if each.family_set.runtime_families is not None
            else each
            for each in collectors
        ]
        catalog = Catalog([each.family_set for each in collectors], hidden)
        catalog.open()
    return options, collectors, catalog


def _label_pairs(labels: Mapping[str, str], metrics: MetricsOptions) -> list[tuple[bytes, bytes]]:
    if not isinstance(labels, Mapping):
        raise UsageError('the labels are no dictionary: write one, as {"addr": "redis://host:6379"}')
    for name, value in labels.items():
        if not isinstance(name, str) or not LABEL_NAME.match(name) or name in REFUSED_LABELS:
            raise ConfigError(
                f"{name!r} is not a valid label name: write letters, digits and _ only, no digit "
                f"first, no __ first, and not le or quantile"
            )
        if not isinstance(value, str):
            raise UsageError(
                f"the value of the label {name!r} is of the type {type(value).__name__}: write a text"
            )
    return [
        (name.encode(), engine.escape(value.encode("utf-8", "replace"), metrics.max_label_length))
        for name, value in labels.items()
        if not (metrics.append_instance_role_label and name.encode() == ROLE_LABEL)
    ]


def _finished(
    limit: SeriesLimit, metrics: MetricsOptions, now_ms: int, name: str, block: engine.Block | None
) -> list[engine.Block]:
    """What a page has of a family set: series within the limits, with the time if the options say so."""
    if block is None:
        return []
    block = limit.admit(name, block, None)
    return [engine.add_timestamps(block, now_ms) if metrics.export_timestamps else block]


def _answer(command: Command, reply: bytes) -> Reply:
    return reply if command.args[0] == "INFO" else NO_SERVER


def _assemble(assembler: engine.Assembler) -> bytes:
    room, text = bytearray(ROOM_BYTES), bytearray()
    while length := assembler.fill(room):
        text += room[:length]
    return bytes(text)


def _bytes_of(text: str | bytes) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else text


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")
