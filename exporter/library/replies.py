"""Replies that another program has: INFO to exposition text, CLIENT LIST to rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from exporter import engine
from exporter.collectors._enabled import EnabledCollector, enable_all
from exporter.collectors._registry import REGISTRY
from exporter.collectors._shown import hidden_families
from exporter.collectors.info import GATED
from exporter.errors import ConfigError, ReplyError
from exporter.library.given import Given, flags_of
from exporter.metrics.catalog import Catalog
from exporter.metrics.family import LABEL_NAME
from exporter.metrics.labels import label_forms
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import Poll
from exporter.polling.poll_context import PollContext
from exporter.protocol.command import Command, Reply
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
    given, enabled, catalog = _prepare(flags_of(options))
    forms = label_forms(catalog.family_sets, _label_pairs(labels))
    poll = Poll(enabled, PollContext(NOWHERE, TargetMemory(), forms, given), time.time(), 0.0)
    batch = poll.begin()
    while batch:
        batch = poll.receive([_answer(command, reply) for command in batch])
    results = poll.results
    if results.error is not None:
        raise results.error
    blocks = [
        [(block.samples, block.offsets)] if (block := results.blocks.get(name)) is not None else []
        for name in catalog.family_set_names
    ]
    return _assemble(engine.Assembler(catalog.headers, catalog.cells, blocks)).decode()


def read_clients(text: str | bytes) -> list[dict[str, str]]:
    """The clients of a reply to CLIENT LIST, one mapping each: the names of the fields and their texts, as
    the server writes them."""
    rows = engine.client_rows(_bytes_of(text))
    return [{_decode(name): _decode(value) for name, value in row.items()} for row in rows]


@lru_cache(16)
def _prepare(flags: Sequence[str]) -> tuple[Options, Sequence[EnabledCollector], Catalog]:
    given = parse(flags, {})
    collectors = [collector for collector in REGISTRY if collector.enabled(given)]
    gated = {name: bool(getattr(given.metrics, option)) for name, option in GATED.items()}
    hidden = hidden_families(collectors, given.metrics, gated)
    enabled = enable_all(collectors, hidden, given.metrics)
    catalog = Catalog([each.family_set for each in enabled], hidden)
    catalog.open()
    return given, enabled, catalog


def _label_pairs(labels: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    for name in labels:
        if not LABEL_NAME.match(name) or name in REFUSED_LABELS:
            raise ConfigError(
                f"{name!r} is not a valid label name: write letters, digits and _ only, no digit "
                f"first, no __ "
                f"first, and not le or quantile"
            )
    return [
        (name.encode(), engine.escape(value.encode("utf-8", "replace"))) for name, value in labels.items()
    ]


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
