"""Blocks of samples, of both engines: whatever made them, their samples are the same, alone and on pages."""

from __future__ import annotations

import gc
import itertools
import struct
import tracemalloc
import types
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.engine import plain
from tests.engine.readings import ENGINES, PICKED, seen
from tests.store_fixture import page_of

#: (name, own labels) of the families, and of those with labels the texts of some targets
ROWS = ((b"up", ()), (b"calls", (b"cmd",)), (b"info", (b"role", b"version")), (b"queue_length_of_all", ()))
HEADERS = [b"#1\n", b"#2\n", b"#3\n", b""]
CELLS = [(0, 1), (0, 0), (0, 3), (0, 2)]
LABELS = [
    (b"", {}),
    (b'addr="redis://a:1"', {}),
    (b'addr="redis://a:1",role="x"', {2: b'addr="redis://a:1"'}),
    (b'addr="redis://a:1",instance_role="master"', {0: b""}),
]
#: names that the labels of a target begin with
LEFT_OUT = [*LABELS[:3], (b'addr="redis://a:1"', {0: b""})]

OWN = st.sampled_from(["", "get", 'a"} b', "long" * 20, "two\nlines", "{", " "])
VALUE = st.sampled_from([0, 7, 12345678, 0.125, float("nan"), 1e300, b"17", b"9" * 70])
SAMPLE = st.integers(0, len(ROWS) - 1).flatmap(
    lambda family: st.tuples(
        st.just(family), VALUE, st.tuples(*[OWN] * len(ROWS[family][1])), st.sampled_from([b"", b"_sum"])
    )
)
SAMPLES = st.lists(SAMPLE, max_size=12)
Samples = Sequence[tuple[int, Any, Sequence[str], bytes]]


def block_of(engine: types.ModuleType, samples: Samples, labels: Any) -> Any:
    writer = engine.Writer(ROWS, labels)
    for family, value, values, suffix in samples:
        writer.add(family, value, values, suffix)
    return writer.block()


def labels_of(engine: types.ModuleType, kind: int) -> Any:
    text, special = LABELS[kind]
    return engine.Labels(text, special)


@given(st.lists(st.tuples(SAMPLES, st.sampled_from(range(len(LABELS)))), max_size=4), st.integers(1, 400))
@settings(max_examples=100, deadline=None)
def test_pages_have_the_same_samples_in_pieces_of_any_size(
    targets: Sequence[tuple[Samples, int]], room: int
) -> None:
    pages = []
    for engine in ENGINES:
        blocks = [block_of(engine, samples, labels_of(engine, kind)) for samples, kind in targets]
        whole = page_of(engine.Assembler(HEADERS, CELLS, [blocks]))
        assembler, piece, found = engine.Assembler(HEADERS, CELLS, [blocks]), bytearray(room), b""
        while length := assembler.fill(piece):
            found += piece[:length]
        assert found == whole
        assert [len(block.samples) for block in blocks] == [block.size for block in blocks]
        pages.append((whole, [seen(block) for block in blocks]))
    assert all(page == pages[0] for page in pages)


@given(
    SAMPLES,
    st.sampled_from(range(len(LABELS))),
    st.sampled_from(range(len(LEFT_OUT))),
    st.integers(0, 6),
    st.integers(0, 3),
)
@settings(max_examples=100, deadline=None)
def test_what_is_made_of_a_block_is_the_same(
    samples: Samples, kind: int, left_out: int, room: int, per_family: int
) -> None:
    results = []
    for engine in ENGINES:
        block = block_of(engine, samples, labels_of(engine, kind))
        text, special = LEFT_OUT[left_out]
        heads, counts = engine.heads_of(block)
        among: set[bytes] = set(sorted(heads)[::2])
        members = [0] * len(ROWS)
        sifted = engine.sift(block, among, members, room, per_family)
        stripped = engine.strip_labels(block, engine.Labels(text, special))
        stamped = engine.add_timestamps(block, 1_700_000_000_123)
        again = engine.strip_labels(engine.add_timestamps(sifted, 5), engine.Labels(text, special))
        merging = engine.Writer(ROWS, labels_of(engine, kind))
        merging.add(0, 3, (), b"_count")
        merging.merge(sifted)
        merging.merge(stamped)
        merged = merging.block()
        results.append(
            (heads, counts, among, members, *map(seen, (sifted, stripped, stamped, again, merged)))
        )
        del block
        assert results[-1][5] == seen(stripped), "it needs the block that it was made of"
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
def test_blocks_that_were_given_as_text_are_merged_family_by_family(engine: types.ModuleType) -> None:
    families = [(b"a", ()), (b"b", ()), (b"c", (b"x",))]
    writer = engine.Writer(families, engine.Labels(b""))
    for number in (1, 2):
        texts = [b"a %d\n" % number, b"", b'c{x="%d"} 0\n' % number * number]
        ends = [0, *itertools.accumulate(map(len, texts))]
        writer.merge(engine.Block(b"".join(texts), struct.pack("=4i", *ends), 1 + number, number, ()))
    writer.add(0, 3, ())
    block = writer.block()
    lines = [b"a 2\n", b"a 1\n", b"a 3\n", b'c{x="2"} 0\n', b'c{x="2"} 0\n', b'c{x="1"} 0\n']
    assert block.samples == b"".join(lines)
    assert struct.unpack("=4i", block.offsets) == (0, 12, 12, 45)
    assert (block.series, block.invalid) == (6, 3)


@given(st.lists(st.tuples(SAMPLES, st.sampled_from(range(len(LABELS)))), min_size=2, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_family_is_unchanged_only_if_its_samples_are(steps: Sequence[tuple[Samples, int]]) -> None:
    segments, texts, last = PICKED.Segments(CELLS, 1, 1), [b""] * len(CELLS), None
    for samples, kind in steps:
        block = block_of(PICKED, samples, labels_of(PICKED, kind))
        PICKED.follow(block, last)
        last = block
        changed = segments.take(HEADERS, [[block]], [1])
        found = []
        for number in range(segments.count):
            piece = bytearray(segments.size(number, number + 1) or 1)
            segments.start(number, number + 1)
            found.append(bytes(piece[: segments.fill(piece)]))
        assert all(flag or before == now for flag, before, now in zip(changed, texts, found, strict=True))
        assert b"".join(found) == page_of(PICKED.Assembler(HEADERS, CELLS, [[block]]))
        texts = found
        segments.release()


def test_other_heads_leave_the_families_unchanged_that_have_the_same_samples() -> None:
    labels = labels_of(PICKED, 1)
    segments, last = PICKED.Segments(CELLS, 1, 1), None
    one, other = [(0, 1, (), b""), (1, 5, ("get",), b"")], [(0, 1, (), b""), (1, 5, ("set",), b"")]
    for samples, expected in ((one, 2), (one, 0), (other, 1)):
        block = block_of(PICKED, samples, labels)
        PICKED.follow(block, last)
        last = block
        assert sum(segments.take(HEADERS, [[block]], [1])) == expected


@pytest.mark.skipif(PICKED is plain, reason="the plain engine keeps texts")
def test_targets_share_what_stands_before_their_values() -> None:
    """Of a further target the values are kept, and neither names nor labels."""
    commands = [f"command-{number}" for number in range(200)]
    samples = [(1, number, (command,), b"") for number, command in enumerate(commands)]
    blocks = [block_of(PICKED, samples, PICKED.Labels(b'addr="a"')) for _ in range(20)]
    gc.collect()
    tracemalloc.start()
    try:
        blocks += [
            block_of(PICKED, samples, PICKED.Labels(b'addr="redis://%d"' % number)) for number in range(10)
        ]
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    values = sum(len(str(value)) + 1 for _, value, _, _ in samples)
    assert taken / 10 < values + 1024 < blocks[-1].size / 5


@pytest.mark.skipif(PICKED is plain, reason="the plain engine keeps texts")
def test_nothing_is_left_of_heads_that_no_block_has() -> None:
    def made(generation: int) -> int:
        samples = [(1, 1, (f"{generation}-{number}",), b"") for number in range(300)]
        block_of(PICKED, samples, PICKED.Labels(b""))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        taken = [made(generation) for generation in range(40)]
    finally:
        tracemalloc.stop()
    assert taken[-1] < 1.2 * taken[9]


@pytest.mark.skipif(PICKED is plain, reason="a block of the plain engine has no memory of its own")
def test_a_block_that_was_never_filled_is_refused() -> None:
    empty = PICKED.Block.__new__(PICKED.Block)
    uses: list[Callable[[], object]] = [
        lambda: empty.samples,
        lambda: empty.offsets,
        lambda: PICKED.heads_of(empty),
        lambda: PICKED.strip_labels(empty, PICKED.Labels(b'a="b"')),
        lambda: PICKED.Assembler(HEADERS[:1], [(0, 0)], [[empty]]),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="block"):
            use()


@pytest.mark.skipif(PICKED is plain, reason="the plain engine trusts its callers")
def test_a_block_never_changes() -> None:
    block = PICKED.Block(b"a 1\n", b"\0\0\0\0\4\0\0\0", 1, 0, ())
    with pytest.raises(TypeError, match="never changes"):
        type(block).__init__(block, b"b 1\n", b"\0\0\0\0\4\0\0\0", 1, 0, ())
    assert block.samples == b"a 1\n"


def test_readings_in_turns_of_two_kinds_of_servers_keep_their_samples() -> None:
    """A reading that expects the heads of another target's samples writes its own."""
    families = [
        (b"calls", 1, 0, b"calls", 0, (), False),
        (b"up", 0, (b"up",), 0, ()),
        (b"age", 0, (b"age",), 0, ()),
    ]
    patterns = [(b"cmdstat_", b"", False, b"cmd", False, b"", b"calls=")]
    texts = [
        b"up:1\r\ncmdstat_get:calls=5\r\n",
        b"age:3\r\n",
        b"cmdstat_get:calls=6\r\ncmdstat_set:calls=7\r\nup:2",
    ]
    plans = [engine.Plan(patterns, families) for engine in ENGINES]
    for text in itertools.chain.from_iterable(itertools.permutations(texts)):
        found = [
            seen(plan.read(text, engine.Labels(b'addr="a"')))
            for engine, plan in zip(ENGINES, plans, strict=True)
        ]
        assert all(each == found[0] for each in found)
