"""LATENCY HISTOGRAM as it comes over the wire: both engines read the same, and neither what is odd."""

from __future__ import annotations

import types
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.collectors.latency_histogram import BOUNDS_MAX, BucketBounds
from exporter.engine import plain
from tests.engine.readings import ENGINES, PICKED, seen
from tests.histograms import HISTOGRAMS, STATISTICS, row, stats, torn
from tests.replay import resp

ROWS = [(b"other", ()), (b"latencies", (b"cmd",))]
FAMILY = 1
LABELS = b'addr="a"'
NAME_MAX = 40

engines = pytest.mark.parametrize("engine", ENGINES, ids=[each.ENGINE for each in ENGINES])


def read(
    engine: types.ModuleType, reply: bytes, statistics: bytes, bounds: BucketBounds | None = None
) -> tuple[Any, ...] | None:
    """The block, and the bounds that are known then. None: something is odd."""
    bounds = BucketBounds() if bounds is None else bounds
    before = dict(bounds.by_command)
    writer = engine.Writer(ROWS, engine.Labels(LABELS), NAME_MAX)
    if writer.read_histograms(FAMILY, reply, statistics, bounds):
        return (*seen(writer.block()), bounds.by_command)
    assert writer.block().samples == b""
    assert bounds.by_command == before
    return None


def samples(engine: types.ModuleType, *given: Any) -> list[bytes]:
    found = read(engine, *given)
    assert found is not None
    text: bytes = found[0]
    return text.splitlines()


@given(
    st.lists(
        st.tuples(
            st.tuples(HISTOGRAMS.map(resp), STATISTICS),
            st.none() | torn(st.booleans()),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=600, deadline=None)
def test_both_engines_read_the_same(polls: list[tuple[tuple[bytes, bytes], Any]]) -> None:
    ours, theirs = BucketBounds(), BucketBounds()
    for (reply, statistics), tear in polls:
        if tear is not None:
            in_reply, change = tear
            reply, statistics = (change(reply), statistics) if in_reply else (reply, change(statistics))
        assert read(PICKED, reply, statistics, ours) == read(plain, reply, statistics, theirs)


@engines
def test_a_reply_is_written_row_by_row(engine: types.ModuleType) -> None:
    reply = resp([*row(b"get", 3, 1, 2, 8, 3), *row(b"config|get", 1)])
    assert samples(engine, reply, stats(get=50, **{"config|get": 7})) == [
        b'latencies_bucket{addr="a",cmd="get",le="1"} 2',
        b'latencies_bucket{addr="a",cmd="get",le="8"} 3',
        b'latencies_bucket{addr="a",cmd="get",le="+Inf"} 3',
        b'latencies_sum{addr="a",cmd="get"} 50',
        b'latencies_count{addr="a",cmd="get"} 3',
        b'latencies_bucket{addr="a",cmd="config|get",le="+Inf"} 1',
        b'latencies_sum{addr="a",cmd="config|get"} 7',
        b'latencies_count{addr="a",cmd="config|get"} 1',
    ]


@engines
def test_a_bucket_stays_in_whatever_order_the_commands_come(engine: types.ModuleType) -> None:
    bounds, text = BucketBounds(), stats(get=1, set=2, del_=3)
    get, put, delete = row(b"get", 1, 4, 1), row(b"set", 1, 4, 1), row(b"del_", 1, 4, 1)
    samples(engine, resp([*get, *put, *delete]), text, bounds)
    get, put = row(b"get", 2, 1, 1), row(b"set", 2)
    found = samples(engine, resp([*put, *delete, *get]), text, bounds)
    assert [line for line in found if b"_bucket" in line] == [
        b'latencies_bucket{addr="a",cmd="set",le="4"} 0',
        b'latencies_bucket{addr="a",cmd="set",le="+Inf"} 2',
        b'latencies_bucket{addr="a",cmd="del_",le="4"} 1',
        b'latencies_bucket{addr="a",cmd="del_",le="+Inf"} 1',
        b'latencies_bucket{addr="a",cmd="get",le="1"} 1',
        b'latencies_bucket{addr="a",cmd="get",le="4"} 1',
        b'latencies_bucket{addr="a",cmd="get",le="+Inf"} 2',
    ]
    assert bounds.by_command == {"get": (1, 4), "set": (4,), "del_": (4,)}


@engines
def test_of_a_container_whose_sub_commands_have_no_histogram(engine: types.ModuleType) -> None:
    text = stats(**{"config": 1, "config|get": 5, "config|set": 6, "acl|cat": 9, "acl": 0})
    found = samples(engine, resp([*row(b"config", 3), *row(b"acl|cat", 1)]), text)
    assert [line for line in found if b"_sum" in line] == [
        b'latencies_sum{addr="a",cmd="config"} 12',
        b'latencies_sum{addr="a",cmd="acl|cat"} 9',
    ]


GET, TEXT = resp(row(b"get", 3, 1, 2, 8, 3)), stats(get=5)


@engines
@pytest.mark.parametrize(
    ("reply", "statistics"),
    [
        (resp(row(b"g:t", 1)), stats(g_t=1)),
        (resp(row(b'g"t', 1)), TEXT),
        (resp(row("gét".encode(), 1)), TEXT),
        (resp(row(b"", 1)), TEXT),
        (resp(row(b"g" * (NAME_MAX + 1), 1)), TEXT),
        (resp([*row(b"get", 1), *row(b"get", 2)]), TEXT),
        (resp(row(b"get", 1, 1, 2)), TEXT),
        (resp(row(b"get", 3, 2, 1, 1, 2)), TEXT),
        (resp(row(b"get", 3, 1, 2, 2, 1)), TEXT),
        (resp(row(b"get", -1)), TEXT),
        (resp(row(b"get", 10**18)), TEXT),
        (resp(row(b"get", 1, *(n for bound in range(BOUNDS_MAX + 1) for n in (bound, 1)))), TEXT),
        (resp([b"get", [b"other", 3, b"histogram_usec", []]]), TEXT),
        (resp([b"get", [b"calls", b"3", b"histogram_usec", []]]), TEXT),
        (resp([b"get", [b"calls", 3, b"histogram_usec", None]]), TEXT),
        (resp([b"get"]), TEXT),
        (resp(None), TEXT),
        (b"*-1\r\n", TEXT),
        (b"", TEXT),
        (GET + b"x", TEXT),
        (GET[:-1], TEXT),
        (GET.replace(b"*2", b"*4"), TEXT),
        (GET.replace(b"*2", b"*1000000000000000000"), TEXT),
        (GET.replace(b"$3\r\nget", b"$4\r\nget"), TEXT),
        (GET.replace(b"$3\r\nget", b"$03\r\nget"), TEXT),
        (GET.replace(b"$3\r\nget", b"+get"), TEXT),
        (GET.replace(b":8", b":-0"), TEXT),
        (GET, stats(get=5) + stats(get=6)),
        (GET, b"cmdstat_get"),
        (GET, b"cmdstat_:calls=1,usec=2"),
        (GET, b"cmdstat_get:calls=1,usec="),
        (GET, b"cmdstat_get:calls=,usec=1"),
        (GET, b"cmdstat_get:calls=1,usec=1x"),
        (GET, b"cmdstat_get:calls=1,usec=1234567890123456789"),
        (GET, b"cmdstat_get:usec=1,calls=1"),
        (GET, b"cmdstat_a:b:calls=1,usec=1"),
        (GET, stats(**{"get|a": 1}) * 2),
        (GET, b"".join(b"cmdstat_get|%d:calls=1,usec=%d,x=1\n" % (n, 10**18 - 1) for n in range(3))),
    ],
)
def test_what_is_odd_is_left_to_others(engine: types.ModuleType, reply: bytes, statistics: bytes) -> None:
    assert samples(engine, GET, TEXT)
    assert read(engine, reply, statistics) is None


@engines
def test_sums_of_sub_commands_have_a_bound(engine: types.ModuleType) -> None:
    most, reply = 10**18 - 1, resp(row(b"config", 3))
    found = samples(engine, reply, stats(**{"config|get": most, "config|set": 1}))
    assert found[1] == b'latencies_sum{addr="a",cmd="config"} 1000000000000000000'
    assert read(engine, reply, stats(**{"config|get": most, "config|set": 2})) is None


@engines
def test_nothing_else_may_have_been_added(engine: types.ModuleType) -> None:
    writer = engine.Writer(ROWS, engine.Labels(LABELS))
    writer.add_histogram(FAMILY, (1,), (1,), 1, 1, ("get",))
    before = writer.block().samples
    assert not writer.read_histograms(FAMILY, GET, TEXT, BucketBounds())
    assert writer.block().samples == before


@engines
def test_a_command_that_info_does_not_have_is_left_out(engine: types.ModuleType) -> None:
    assert samples(engine, GET, stats(set=1)) == []
    assert samples(engine, b"*0\r\n", TEXT) == []
