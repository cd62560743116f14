"""A collector's families, numbered and compiled."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest

from exporter import engine
from exporter.errors import InternalError
from exporter.metrics.family import (
    Family,
    Field,
    How,
    Open,
    Pattern,
    Record,
    SubName,
    counter,
    gauge,
    summary,
)
from exporter.metrics.family_set import Part, full_name, make_part
from exporter.metrics.lane import Lane

CLIENTS = gauge("clients", "Clients.", Field("connected_clients", also=("clients",)))
ROLE = gauge(
    "info",
    "What it is.",
    Field("version", How.ONE, labels=(("role", "role"), ("fork", "fork")), optional=("fork",)),
)
CALLS = counter("calls_total", "Calls.", Record(Pattern("cmdstat_", "cmd", first="calls="), "calls"))
LENGTH = gauge("slowlog_length", "Entries of the slow log.")


def part(
    *families: Family, name: str = "info", lane: Lane = Lane.FAST, namespace: str = "redis", **more: Any
) -> Part:
    return make_part(name, lane, families, namespace=namespace, **more)


def read(made: Part, text: bytes, labels: engine.Labels | None = None) -> list[str]:
    """The samples of each family."""
    assert made.plan is not None
    block = made.plan.read(text, labels or engine.Labels(b""))
    ends = struct.unpack(f"={len(made.families) + 1}i", block.offsets)
    return [block.samples[begin:end].decode() for begin, end in itertools.pairwise(ends)]


class TestPart:
    def test_families_are_numbered_in_their_order(self) -> None:
        made = part(CLIENTS, LENGTH)
        assert made.families == (CLIENTS, LENGTH)
        assert made.names == (b"redis_clients", b"redis_slowlog_length")
        assert made.numbers == {"clients": 0, "slowlog_length": 1}

    def test_rows_are_what_a_writer_wants(self) -> None:
        assert part(LENGTH, CALLS).rows == [(b"redis_slowlog_length", ()), (b"redis_calls_total", (b"cmd",))]

    @pytest.mark.parametrize(
        ("namespace", "name"), [("redis", b"redis_clients"), ("", b"clients"), ("a_b", b"a_b_clients")]
    )
    def test_names_begin_with_the_namespace(self, namespace: str, name: bytes) -> None:
        assert part(CLIENTS, namespace=namespace).names == (name,) == (full_name(namespace, CLIENTS),)

    def test_a_family_named_twice_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(InternalError, match="info: a family is named twice"):
            part(CLIENTS, gauge("clients", "Others."))

    def test_without_sources_there_is_nothing_to_read(self) -> None:
        assert part(LENGTH).plan is None

    def test_every_kind_of_source_is_read(self) -> None:
        usec = summary(
            "usec",
            "Times.",
            Open(
                Pattern("latency_", "cmd"),
                "quantile",
                SubName.FRACTION,
                How.USEC,
                sum=Record(Pattern("cmdstat_", "cmd", first="calls="), "usec", How.USEC),
                count=Record(Pattern("cmdstat_", "cmd", first="calls="), "calls"),
            ),
            labels=("cmd",),
        )
        made = part(CLIENTS, LENGTH, CALLS, ROLE, usec)
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
        made = part(gauge("x", "X.", Record(Pattern("x_", "name", constant=(("type", 'a"b'),)), "n")))
        assert read(made, b"x_1:n=2\n") == ['redis_x{name="1",type="a\\"b"} 2\n']

    def test_hidden_families_keep_their_number_and_are_not_read(self) -> None:
        made = part(CLIENTS, CALLS, hidden=frozenset({"clients"}))
        assert made.numbers["calls_total"] == 1
        assert read(made, b"clients:3\ncmdstat_get:calls=2\n") == ["", 'redis_calls_total{cmd="get"} 2\n']

    def test_texts_that_facts_are_made_of_are_given_back(self) -> None:
        made = part(CLIENTS, wanted_fields=("role", "run_id"))
        assert made.plan is not None
        assert made.plan.read(b"role:master\n", engine.Labels(b"")).fields == (b"master", None)
        assert made.wanted_fields == ("role", "run_id")

    def test_label_values_have_a_length(self) -> None:
        assert read(part(CALLS, label_max=2), b"cmdstat_get:calls=2\n") == ['redis_calls_total{cmd="ge"} 2\n']
