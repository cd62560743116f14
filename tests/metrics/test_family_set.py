"""A collector's families, numbered and compiled."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest

from exporter import engine
from exporter.errors import InternalError
from exporter.metrics.family import (
    EverySubField,
    Family,
    Field,
    Pattern,
    Record,
    SubFieldLabel,
    Transform,
    counter,
    gauge,
    summary,
)
from exporter.metrics.family_set import FamilySet, full_name, make_family_set
from exporter.metrics.lane import Lane

CLIENTS = gauge("clients", "Clients.", Field("connected_clients", also=("clients",)))
ROLE = gauge(
    "info",
    "What it is.",
    Field("version", Transform.ONE, labels=(("role", "role"), ("fork", "fork")), optional=("fork",)),
)
CALLS = counter("calls_total", "Calls.", Record(Pattern("cmdstat_", "cmd", first="calls="), "calls"))
LENGTH = gauge("slowlog_length", "Entries of the slow log.")


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


class TestFamilySet:
    def test_families_are_numbered_in_their_order(self) -> None:
        made = family_set(CLIENTS, LENGTH)
        assert made.families == (CLIENTS, LENGTH)
        assert made.names == (b"redis_clients", b"redis_slowlog_length")
        assert made.numbers == {"clients": 0, "slowlog_length": 1}

    def test_rows_are_what_a_writer_wants(self) -> None:
        assert family_set(LENGTH, CALLS).rows == [
            (b"redis_slowlog_length", ()),
            (b"redis_calls_total", (b"cmd",)),
        ]

    @pytest.mark.parametrize(
        ("namespace", "name"), [("redis", b"redis_clients"), ("", b"clients"), ("a_b", b"a_b_clients")]
    )
    def test_names_begin_with_the_namespace(self, namespace: str, name: bytes) -> None:
        assert family_set(CLIENTS, namespace=namespace).names == (name,) == (full_name(namespace, CLIENTS),)

    def test_a_family_named_twice_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(InternalError, match="info: a family is named twice"):
            family_set(CLIENTS, gauge("clients", "Others."))

    def test_without_sources_there_is_nothing_to_read(self) -> None:
        assert family_set(LENGTH).plan is None

    def test_every_kind_of_source_is_read(self) -> None:
        usec = summary(
            "usec",
            "Times.",
            EverySubField(
                Pattern("latency_", "cmd"),
                "quantile",
                SubFieldLabel.FRACTION,
                Transform.USEC,
                sum=Record(Pattern("cmdstat_", "cmd", first="calls="), "usec", Transform.USEC),
                count=Record(Pattern("cmdstat_", "cmd", first="calls="), "calls"),
            ),
            labels=("cmd",),
        )
        made = family_set(CLIENTS, LENGTH, CALLS, ROLE, usec)
        text = b"clients:3\nversion:7\nrole:master\ncmdstat_get:calls=2,usec=5\nlatency_get:p50=1\n"
        assert read(made, text) == [
            "redis_clients 3\n",
            "",
            'redis_calls_total{cmd="get"} 2\n',
            'redis_info{role="master"} 1\n',
            'redis_usec{cmd="get",quantile="0.5"} 0.000001\nredis_usec_sum{cmd="get"} '
            '0.000005\nredis_usec_count{cmd="get"} 2\n',
        ]

    def test_constant_labels_of_a_pattern_are_escaped(self) -> None:
        made = family_set(gauge("x", "X.", Record(Pattern("x_", "name", constant=(("type", 'a"b'),)), "n")))
        assert read(made, b"x_1:n=2\n") == ['redis_x{name="1",type="a\\"b"} 2\n']

    def test_hidden_families_keep_their_number_and_are_not_read(self) -> None:
        made = family_set(CLIENTS, CALLS, hidden=frozenset({"clients"}))
        assert made.numbers["calls_total"] == 1
        assert read(made, b"clients:3\ncmdstat_get:calls=2\n") == ["", 'redis_calls_total{cmd="get"} 2\n']

    def test_texts_that_facts_are_made_of_are_given_back(self) -> None:
        made = family_set(CLIENTS, wanted_fields=("role", "run_id"))
        assert made.plan is not None
        assert made.plan.read(b"role:master\n", engine.Labels(b"")).fields == (b"master", None)
        assert made.wanted_fields == ("role", "run_id")

    def test_label_values_have_a_length(self) -> None:
        assert read(family_set(CALLS, label_max=2), b"cmdstat_get:calls=2\n") == [
            'redis_calls_total{cmd="ge"} 2\n'
        ]
