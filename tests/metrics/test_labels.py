"""A target's labels, for the families of each family set."""

from __future__ import annotations

import itertools
import struct
from typing import Any

from exporter import engine
from exporter.metrics.family import Family, Field, Transform, gauge, summary
from exporter.metrics.family_set import FamilySet, make_family_set
from exporter.metrics.labels import label_forms
from exporter.metrics.lane import Lane

CLIENTS = gauge("clients", "Clients.", Field("connected_clients", also=("clients",)))
ROLE = gauge(
    "info",
    "What it is.",
    Field("version", Transform.ONE, labels=(("role", "role"), ("fork", "fork")), optional=("fork",)),
)


def family_set(
    *families: Family, name: str = "info", lane: Lane = Lane.FAST, namespace: str = "redis", **more: Any
) -> FamilySet:
    return make_family_set(name, lane, families, namespace=namespace, **more)


def read(made: FamilySet, text: bytes, labels: engine.Labels | None = None) -> list[str]:
    """The samples of each family."""
    assert made.plan is not None
    block = made.plan.read(text, labels or engine.Labels(b""))
    ends = struct.unpack(f"={len(made.families) + 1}i", block.offsets)
    return [block.samples[begin:end].decode() for begin, end in itertools.pairwise(ends)]


class TestLabelForms:
    PAIRS = ((b"addr", b"h"), (b"role", b"mine"), (b"quantile", b"q"))

    def test_a_familys_own_label_wins(self) -> None:
        made = family_set(CLIENTS, ROLE)
        labels = label_forms([made], self.PAIRS)[made.name]
        assert labels.text == b'addr="h",role="mine",quantile="q"'
        assert dict(labels.special) == {1: b'addr="h",quantile="q"'}
        assert read(made, b"clients:1\nversion:7\nrole:master\n", labels) == [
            'redis_clients{addr="h",role="mine",quantile="q"} 1\n',
            'redis_info{addr="h",quantile="q",role="master"} 1\n',
        ]

    def test_a_summary_has_the_label_quantile(self) -> None:
        [labels] = label_forms([family_set(summary("x", "Help.", labels=("cmd",)))], self.PAIRS).values()
        assert dict(labels.special) == {0: b'addr="h",role="mine"'}

    def test_without_labels_nothing_clashes(self) -> None:
        [labels] = label_forms([family_set(CLIENTS, ROLE)], ()).values()
        assert labels.text == b""
        assert not labels.special
