"""What the tests of both engines share: reading a text by families of the table."""

from __future__ import annotations

import importlib.util
import itertools
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from exporter import engine as engine_module
from exporter.engine import plain
from exporter.metrics.family import Family, Field, Transform, gauge
from exporter.metrics.family_set import compile_plan

NOW = 1_700_000_000.9
PICKED = importlib.import_module("exporter._fastparse") if engine_module.ENGINE == "compiled" else plain
ENGINES = list(dict.fromkeys([plain, PICKED]))


def seen(block: engine_module.Block) -> tuple[object, ...]:
    return block.samples, block.offsets, block.series, block.invalid, block.fields


#: rows of a plan with all kinds of patterns and families
PATTERNS = [
    (b"cmdstat_", b"", False, b"cmd", False, b"", b"calls="),
    (b"latency_percentiles_usec_", b"", False, b"cmd", False, b"", b"p"),
    (b"db", b"", True, b"db", True, b"", b"keys="),
    (b"slave", b"", True, b"", False, b"", b"ip="),
    (b"db", b"_sizes", True, b"db", False, b'type="string"', b""),
    (b"thread_", b"_clients", True, b"thread", False, b"", b""),
]
FAMILIES = [
    *(
        (b"f%d" % transform, 0, (b"field%d" % transform, b"old%d" % transform), transform, ())
        for transform in range(11)
    ),
    (
        b"info",
        0,
        (b"version",),
        8,
        ((b"role", b"role", 0), (b"mode", b"mode|server_mode", 0), (b"valkey", b"valkey", 1)),
    ),
    (
        b"link",
        0,
        (b"master_link_status", b"other"),
        6,
        ((b"master_host", b"master_host", 0), (b"master_port", b"master_port", 2)),
    ),
    (b"offset", 0, (b"slave_repl_offset",), 0, ((b"master_host", b"master_host", 0),)),
    (b"calls", 1, 0, b"calls", 0, (), False),
    (b"seconds", 1, 0, b"usec", 1, (), False),
    (b"keys", 1, 2, b"keys", 0, (), True),
    (b"lag", 1, 3, b"lag", 10, ((b"ip", b"ip"), (b"state", b"state")), False),
    (b"either", 1, 2, b"cached_keys|expires", 0, (), False),
    (b"whole", 1, 5, b"", 8, ((b"clients", b""),), False),
    (b"sizes", 2, 4, b"size", 3, 0, None, None, ()),
    (b"thread", 1, 5, b"", 0, (), False),
    (b"usec", 2, 1, b"quantile", 1, 0, (0, b"usec", 0), (0, b"calls", 0), ()),
    (b"fraction", 2, 1, b"quantile", 2, 1, (0, b"usec", 1), (0, b"calls", 0), ()),
    (b"raw", 2, 1, b"name", 0, 0, None, None, ()),
    (b"two", 2, 1, b"quantile", 2, 1, None, None, (b"p50", b"p99")),
    (b"nothing", 3),
]


class Reading(NamedTuple):
    """What was made of a text: the samples, one line each, and how many values were no numbers."""

    lines: list[str]
    invalid: int
    fields: tuple[bytes | None, ...]
    by_family: list[str]


class Reader:
    """Reads texts by families of the model, in one engine."""

    def __init__(self, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = engine
        monkeypatch.setattr(engine_module, "Plan", engine.Plan)

    def plan(
        self,
        *families: Family,
        fields: tuple[str, ...] = (),
        label_max: int = 1024,
        hidden: frozenset[str] = frozenset(),
    ) -> Any:
        names = [family.name.encode() for family in families]
        return compile_plan(families, names, hidden, fields, label_max)

    def read(self, text: str | bytes, *families: Family, **limits: Any) -> Reading:
        return self.read_by(self.plan(*families, **limits), text)

    def read_by(
        self,
        plan: Any,
        text: str | bytes,
        *,
        labels: bytes = b"",
        special: Mapping[int, bytes] | None = None,
        fill: int = 0,
    ) -> Reading:
        raw = text.encode() if isinstance(text, str) else text
        block = plan.read(raw, self.engine.Labels(labels, special), self.engine.LineOrder(), NOW, fill)
        assert block.samples.count(b"\n") == block.series
        ends = struct.unpack(f"={plan.families + 1}i", block.offsets)
        by_family = [block.samples[begin:end].decode() for begin, end in itertools.pairwise(ends)]
        return Reading(block.samples.decode().split("\n")[:-1], block.invalid, block.fields, by_family)


def field(name: str, transform: Transform = Transform.NUM, **source: Any) -> Family:
    return gauge(name, "Help.", Field(name, transform, **source))
