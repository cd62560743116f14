"""The two engines are one: whatever the text, they give the same bytes."""

from __future__ import annotations

import itertools
import pathlib
import random
import struct
import types
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter import engine as engine_module
from exporter.collectors._contract import AnyCollector
from exporter.collectors._enabled import enable
from exporter.collectors._registry import REGISTRY
from exporter.collectors.info import InfoCollector
from exporter.engine import plain as slow
from exporter.metrics.labels import label_forms
from exporter.targets.target import Target
from tests.engine.readings import FAMILIES, PATTERNS, seen
from tests.store_fixture import page_of

DATA = pathlib.Path(__file__).parent.parent / "data"
NOW = 1_700_000_000.5
INFO_FILES = sorted(DATA.glob("*/*info*.txt"))
CLIENT_FILES = sorted(DATA.glob("*/client_list*.txt"))

fast = pytest.importorskip("exporter._fastparse") if engine_module.ENGINE == "compiled" else slow


class Pair:
    """The same plan in both engines."""

    def __init__(self, patterns: Any, families: Any, fields: Any = (), **limits: Any) -> None:
        self.fast = fast.Plan(patterns, families, fields, **limits)
        self.slow = slow.Plan(patterns, families, fields, **limits)
        self.order = fast.LineOrder()

    def check(
        self, text: bytes, labels: bytes = b'addr="a"', special: Any = None, fill: int = 3
    ) -> engine_module.Block:
        one: engine_module.Block = self.fast.read(text, fast.Labels(labels, special), self.order, NOW, fill)
        other = self.slow.read(text, slow.Labels(labels, special), None, NOW, fill)
        assert seen(one) == seen(other)
        return one


name = st.one_of(
    st.sampled_from(["get", "config|get", "odd:1", "odd:", "a::", 'q"', "\\", "é", "a=b,c", "x" * 300]),
    st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), max_size=8),
).map(lambda text: text.encode())
number = st.one_of(
    st.integers(-(10**18), 10**18).map(lambda n: b"%d" % n),
    st.decimals(-(10**6), 10**6, places=3, allow_nan=False).map(lambda d: str(d).encode()),
    st.sampled_from(
        [
            b"",
            b"-",
            b"+5",
            b"-nan",
            b"nan",
            b"inf",
            b"-inf",
            b"1e5",
            b"1.5E-3",
            b"1e999",
            b"0x10",
            b"12.",
            b".5",
            b"97.3%",
            b" 7",
            b"7\t",
            b" ",
            b"-0.00",
            b"N/A",
        ]
    ),
    st.sampled_from(
        [b"ok", b"err", b"up", b"down", b"yes", b"9" * 60, b"000123", b"-0", b"1 2", b"18446744073709551615"]
    ),
    st.binary(max_size=6),
)
line = st.one_of(
    st.builds(lambda transform, value: b"field%d:%b" % (transform, value), st.integers(0, 10), number),
    st.builds(lambda transform, value: b"old%d:%b" % (transform, value), st.integers(0, 10), number),
    st.builds(lambda cmd, a, b: b"cmdstat_%b:calls=%b,usec=%b" % (cmd, a, b), name, number, number),
    st.builds(lambda cmd, a, b: b"cmdstat_%b:usec=%b,calls=%b" % (cmd, a, b), name, number, number),
    st.builds(
        lambda cmd, a, b: b"latency_percentiles_usec_%b:p50=%b,p99.9=%b,p50=1" % (cmd, a, b),
        name,
        number,
        number,
    ),
    st.builds(lambda n, a: b"db%d:keys=%b,expires=0" % (n, a), st.integers(0, 4), number),
    st.builds(lambda a, lag: b"slave0:ip=%b,port=1,state=online,lag=%b" % (a, lag), name, number),
    st.builds(lambda n, a: b"db%d_sizes:0=%b,8K=1,999T=2,1P=3" % (n, a), st.integers(0, 3), number),
    st.builds(lambda n, a: b"thread_%d_clients:%b" % (n, a), st.integers(0, 3), number),
    st.builds(lambda n, a: b"master_%d_host:%b" % (n, a), st.integers(0, 70), name),
    st.builds(lambda n: b"master_%d_link_status:up" % n, st.integers(0, 3)),
    st.builds(lambda n: b"master%02d_host:up" % n, st.integers(0, 3)),
    st.builds(lambda host: b"master_host:%b" % host, name),
    st.builds(
        lambda key, between, a, b: (
            b"%bcmdstat_x:%b" % (between, between.join([key, b"=", a, b",", b"usec=", b]))
        ),
        st.sampled_from([b"calls", b"other"]),
        st.text(" \t", max_size=3).map(str.encode),
        number,
        number,
    ),
    st.builds(
        lambda between, a, n: (
            b"latency_percentiles_usec_%d:%b" % (n, between.join([b"p50", b"=", a, b",", b"p9"]))
        ),
        st.text(" \t", max_size=60).map(str.encode),
        number,
        st.integers(0, 3),
    ),
    st.sampled_from(
        [
            b"master_host:h",
            b"other:up",
            b"master_port:1",
            b"master_link_status:up",
            b"slave_repl_offset:7",
            b"role:master",
            b"# Section",
        ]
    ),
    st.sampled_from(
        [
            b"version:7.0",
            b"mode:x",
            b"server_mode:y",
            b"valkey:8",
            b"",
            b"\r",
            b"no colon",
            b":",
            b"db0",
            b"cmdstat_",
        ]
    ),
    st.binary(max_size=20),
)
text = st.builds(
    lambda lines, end: end.join(lines), st.lists(line, max_size=40), st.sampled_from([b"\r\n", b"\n"])
)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(PATTERNS, FAMILIES, (b"role", b"version"))


@pytest.fixture(scope="module")
def small_pair() -> Pair:
    """Almost nothing fits in its table: everything works without it."""
    return Pair(PATTERNS, FAMILIES, (b"role",), interned_max=5, label_max=4)


#: lines of which nobody can tell for sure where the name ends
COLONS = st.lists(
    st.builds(
        lambda start, name, value: start + b":".join([name, *value]),
        st.sampled_from([b"cmdstat_", b"cmdstat_", b"db", b"slave", b"thread_"]),
        st.sampled_from([b"a:b", b"a:b", b"a", b":1", b"1"]),
        st.lists(
            st.sampled_from([b"", b"b", b"calls=1", b"calls=1,usec=", b"keys=3", b" "]),
            min_size=1,
            max_size=2,
        ),
    ),
    min_size=1,
    max_size=2,
).map(b"\n".join)


@given(st.lists(COLONS, min_size=2, max_size=5))
@settings(max_examples=1500, deadline=None)
@example([b"cmdstat_a:b:calls=1,usec=2", b"cmdstat_a:b:calls=1,usec=:", b"cmdstat_a:b:calls=3,usec=4"])
def test_names_with_colons_are_read_alike_by_any_order_of_lines(texts: list[bytes]) -> None:
    pair = Pair(PATTERNS, FAMILIES)
    for text in texts:
        pair.check(text)


@given(text)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_generated_texts_give_the_same_bytes(pair: Pair, small_pair: Pair, text: bytes) -> None:
    pair.check(text)
    pair.check(text, labels=b"", fill=0)
    small_pair.check(text, special={0: b"", 12: b'x="y"'})


def mutations(text: bytes, rnd: random.Random) -> Iterator[bytes]:
    for _ in range(4):
        broken = bytearray(text[:4000] if rnd.random() < 0.5 else text[-4000:])
        for _ in range(rnd.randint(1, 25)):
            at = rnd.randrange(len(broken) + 1)
            choice = rnd.random()
            if choice < 0.3 and at < len(broken):
                broken[at] = rnd.choice(b'\r\n\t:=,-+.e%\\"059p\xff\xc3 #_')
            elif choice < 0.6:
                broken[at:at] = rnd.choice(
                    [
                        b"\n",
                        b"\r\n",
                        b":",
                        b"cmdstat_x:y:calls=1,usec=2\r\n",
                        b"cmdstat_x:y:usec=2,calls=1\r\n",
                        b"\nmaster_3_host:h\r\n",
                        b"inf",
                        b"\ndb1:keys=2\n",
                    ]
                )
            elif choice < 0.8:
                del broken[at : at + rnd.randint(1, 40)]
            else:
                other = rnd.randrange(len(broken) + 1)
                broken[at:at] = broken[other : other + rnd.randint(1, 200)]
        yield bytes(broken)


def real_pairs() -> list[tuple[Pair, slow.Labels]]:
    pairs = []
    for collector in REGISTRY:
        if not any(family.source for family in collector.families):
            continue
        family_set = enable(collector, "redis").family_set
        assert family_set.plan is not None
        rows = plan_rows(collector)
        labels = label_forms([family_set], ((b"addr", b"redis://h:6379"), (b"role", b"x")))[family_set.name]
        pairs.append((Pair(*rows), labels))
    return pairs


def plan_rows(collector: AnyCollector) -> tuple[Any, Any, Any]:
    """The rows that the catalog compiles, caught on their way into the engine."""
    caught = []

    class Catcher:
        def __init__(self, patterns: Any, families: Any, fields: Any, **limits: Any) -> None:
            caught.append((patterns, families, fields))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "Plan", Catcher)
        enable(collector, "redis")
    return caught[0]


@pytest.fixture(scope="module")
def tables() -> list[tuple[Pair, slow.Labels]]:
    return real_pairs()


@pytest.mark.parametrize("path", INFO_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recorded_and_mutated_replies_give_the_same_bytes(
    path: pathlib.Path, tables: list[tuple[Pair, slow.Labels]]
) -> None:
    text = path.read_bytes()
    rnd = random.Random(path.name)
    for pair, labels in tables:
        for reply in (text, text, *mutations(text, rnd), text):
            pair.check(reply, labels.text, labels.special, fill=16)


def test_there_are_recorded_replies() -> None:
    assert len(INFO_FILES) > 50
    assert len(CLIENT_FILES) > 5


@pytest.mark.parametrize("path", CLIENT_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_client_lists_are_read_alike(path: pathlib.Path) -> None:
    text = path.read_bytes()
    for reply in (text, *mutations(text or b"id=1 addr=a fd=1", random.Random(path.name))):
        assert fast.client_rows(reply) == slow.client_rows(reply)
        for by in ((), ("name",), ("user", "lib-name", "cmd"), ("db", "flags", "addr")):
            assert fast.tally_clients(reply, by) == slow.tally_clients(reply, by)


CLIENT = st.lists(
    st.sampled_from(
        [
            b"id=1",
            b"addr=1.2.3.4:5",
            b"addr=/a b=c fd",
            b"laddr=x",
            b"fd=5",
            b"name=a=b",
            b"name=",
            b"omem=12",
            b"tot-mem=x",
            b"idle=3",
            b"age=99",
            b"fd=",
            b"x",
            b"db=0",
            b"user=\xff",
            b"cmd=NULL",
            b" ",
        ]
    ),
    max_size=12,
).map(b" ".join)


@given(st.lists(CLIENT, max_size=6).map(b"\n".join))
@settings(max_examples=300, deadline=None)
def test_generated_client_lists_are_read_alike(reply: bytes) -> None:
    assert fast.client_rows(reply) == slow.client_rows(reply)
    assert fast.tally_clients(reply, ("name", "cmd", "user")) == slow.tally_clients(
        reply, ("name", "cmd", "user")
    )


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("text", "count"),
    [
        (b"7", 7),
        (b"7\r", 7),
        (b"10", 10),
        (b"9" * 15, 10**15 - 1),
        (b"9" * 16, 0),  # no client idles or takes that much
        (b"-1", 0),
        (b"1x", 0),
        (b"/1", 0),  # the neighbours of the digits
        (b"1:", 0),
        (b"", 0),
    ],
)
def test_of_a_client_counts_are_digits(engine: types.ModuleType, text: bytes, count: int) -> None:
    assert engine.tally_clients(b"addr=a idle=%b" % text, ()) == [((), 1, 0, 0, 0, 0, count, 0)]


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_of_bytes_that_are_no_character_three_go_with_a_cut_at_most(engine: types.ModuleType) -> None:
    assert engine.escape(b"abc" + b"\x80" * 9, 6) == b"abc"
    assert engine.escape(b"abc" + b"\x80" * 9, 7) == "abc\ufffd".encode()


@given(st.binary(max_size=40), st.integers(0, 20))
@settings(max_examples=500, deadline=None)
def test_label_values_are_escaped_alike(value: bytes, limit: int) -> None:
    escaped = fast.escape(value, limit)
    assert escaped == slow.escape(value, limit)
    escaped.decode()
    assert b"\n" not in escaped


VALUES = st.one_of(st.integers(-(10**20), 10**20), st.floats(), st.booleans())


@given(st.lists(st.tuples(st.integers(0, 2), VALUES, st.text(max_size=5)), max_size=20))
@settings(max_examples=200, deadline=None)
def test_writers_write_alike(samples: list[tuple[int, float, str]]) -> None:
    families = [(b"a", (b"x",)), (b"b", ()), (b"c", (b"x",))]
    blocks = []
    for engine in (fast, slow):
        writer = engine.Writer(families, engine.Labels(b'addr="h"', {2: b""}))
        for family, value, label in samples:
            values = (label,) if families[family][1] else ()
            writer.add(
                family,
                value,
                values,
                suffix=b"_bucket" if family == 2 else b"",
                extra=(b"le", "1") if family == 2 else None,
            )
        blocks.append(writer.block())
    assert seen(blocks[0]) == seen(blocks[1])


BUCKETS = st.dictionaries(st.sampled_from([-1, 1, 2.5, 10, 1 << 70]), st.integers(0, 99)).map(
    lambda buckets: sorted(buckets.items())
)


@given(st.lists(st.tuples(st.integers(0, 2), BUCKETS, VALUES, st.text(max_size=3)), max_size=8))
@settings(max_examples=200, deadline=None)
def test_writers_write_histograms_alike(
    samples: list[tuple[int, list[tuple[float, int]], float, str]],
) -> None:
    families = [(b"a", (b"x",)), (b"b", ()), (b"c", (b"x",))]
    blocks = []
    for engine in (fast, slow):
        writer = engine.Writer(families, engine.Labels(b'addr="h"', {2: b""}))
        written = set()
        for family, buckets, total, label in samples:
            values = (label,) if families[family][1] else ()
            if (
                family,
                values,
            ) not in written:  # what a second histogram of the same labels adds is nobody's promise
                written.add((family, values))
                bounds, below = [bound for bound, _ in buckets], [count for _, count in buckets]
                writer.add_histogram(family, bounds, below, 7, total, values)
        blocks.append(writer.block())
    assert seen(blocks[0]) == seen(blocks[1])


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_of_two_histograms_of_the_same_labels_the_first_counts(engine: types.ModuleType) -> None:
    writer = engine.Writer([(b"a", ())], engine.Labels(b""))
    for total in (5, 6):
        writer.add_histogram(0, [1], [2], 3, total)
    assert writer.block().samples == b'a_bucket{le="1"} 2\na_bucket{le="+Inf"} 3\na_sum 5\na_count 3\n'


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
@pytest.mark.parametrize(("bounds", "below"), [([2, 1], [1, 1]), ([1, 1], [1, 1]), ([1], [])])
def test_a_histogram_of_no_form_is_refused_whole(
    engine: types.ModuleType, bounds: list[int], below: list[int]
) -> None:
    writer = engine.Writer([(b"a", ())], engine.Labels(b""))
    with pytest.raises(ValueError, match="bounds"):
        writer.add_histogram(0, bounds, below, 3, 5)
    assert writer.block().samples == b""


HISTOGRAM = st.tuples(
    st.just(b"calls") | st.none(),
    st.integers(-1, 40) | st.just(1 << 64) | st.none(),
    st.just(b"histogram_usec"),
    st.lists(st.integers(-1, 30) | st.just(1 << 64) | st.none(), max_size=8)
    | st.lists(st.integers(0, 40), max_size=8).map(sorted)
    | st.none(),
).map(list)


@given(
    st.lists(
        st.sampled_from([b"get", b"set", "get", None]) | HISTOGRAM | HISTOGRAM.map(lambda row: row[:3]),
        max_size=12,
    )
    | st.none()
)
@settings(max_examples=500, deadline=None)
def test_both_read_histograms_alike(reply: list[object] | None) -> None:
    assert fast.histogram_rows(reply, 3) == slow.histogram_rows(reply, 3)


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_histograms_are_read(engine: types.ModuleType) -> None:
    good = [b"calls", 5, b"histogram_usec", [2, 1, 8, 4]]
    assert engine.histogram_rows([b"get", good, b"set", good[:3], b"del"], 2) == [(b"get", 5, (2, 8), [1, 4])]
    assert engine.histogram_rows([b"get", good], 1) == []


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_numbers_of_histograms_have_64_bits(engine: types.ModuleType) -> None:
    most, least = (1 << 63) - 1, -1 << 63

    def rows(*numbers: int) -> Any:
        return engine.histogram_rows([b"get", [b"calls", most, b"histogram_usec", list(numbers)]], 2)

    assert rows(least, 0, most, most) == [(b"get", most, (least, most), [0, most])]
    assert rows(least - 1, 0, most, most) == rows(least, 0, most + 1, most) == []


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999_999_999_999_999.0, b"999999999999999"),
        (1e15, b"1000000000000000.0"),
        (-1e15, b"-1000000000000000.0"),
        (10**15, b"1000000000000000"),
        (float("-inf"), b"-Inf"),
    ],
)
def test_a_large_float_is_written_as_python_does(engine: types.ModuleType, value: float, text: bytes) -> None:
    writer = engine.Writer([(b"a", ())], engine.Labels(b""))
    writer.add(0, value)
    assert writer.block().samples == b"a " + text + b"\n"


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_a_sample_has_as_many_values_as_its_family_has_labels(engine: types.ModuleType) -> None:
    writer = engine.Writer([(b"a", (b"x",))], engine.Labels(b""))
    for values in ((), ("one", "two")):
        with pytest.raises(ValueError, match=f"^a has 1 labels, not {len(values)}$"):
            writer.add(0, 1, values)


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_what_blocks_could_not_read_adds_up(engine: types.ModuleType) -> None:
    writer = engine.Writer([(b"a", ())], engine.Labels(b""))
    for invalid in (2, 3):
        writer.merge(engine.Block(b"", bytes(8), 0, invalid, ()))
    assert writer.block().invalid == 5
    with pytest.raises(ValueError, match=r"^the block is of another family set$"):
        writer.merge(engine.Block(b"", bytes(4), 0, 0, ()))


def block_of(engine: types.ModuleType, texts: Sequence[bytes]) -> Any:
    """A block of these families."""
    ends = [0, *itertools.accumulate(map(len, texts))]
    return engine.Block(b"".join(texts), struct.pack(f"={len(ends)}i", *ends), 0, 0, ())


def parts_of(block: Any) -> tuple[bytes, bytes, int]:
    return block.samples, block.offsets, block.series


@given(st.lists(st.lists(st.binary(max_size=9), min_size=3, max_size=3), max_size=5), st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_pages_are_assembled_alike(targets: list[list[bytes]], limit: int) -> None:
    pages = []
    for engine in (fast, slow):
        blocks = [block_of(engine, texts) for texts in targets]
        cells = [(0, 2), (0, 0), (1, 2), (1, 1), (1, 0)]
        assembler = engine.Assembler([b"#1\n", b"#2\n", b"", b"", b"#3\n"], cells, [blocks, blocks[:1]])
        size = assembler.size
        pieces = []
        room = bytearray(limit)
        while length := assembler.fill(room):
            pieces.append(bytes(room[:length]))
        pages.append(b"".join(pieces))
        assert len(pages[-1]) == size
        assert assembler.size == 0
    assert pages[0] == pages[1]


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("texts", "page"),
    [
        ((b"a", b"b", b"c"), b"#1\nabc#2\nb"),
        ((b"", b"b", b"c"), b"#1\nbc#2\nb"),
        ((b"", b"", b"c"), b"#1\nc"),
        ((b"a", b"", b""), b"#1\na"),
        ((b"", b"", b""), b""),
    ],
)
def test_a_family_of_several_family_sets_has_one_header(
    engine: types.ModuleType, texts: tuple[bytes, ...], page: bytes
) -> None:
    blocks = [[block_of(engine, [text])] for text in texts]
    assembler = engine.Assembler([b"#1\n", b"", b"", b"#2\n"], [(0, 0), (1, 0), (2, 0), (1, 0)], blocks)
    assert assembler.size == len(page)
    assert page_of(assembler) == page


def test_samples_of_all_lengths_are_bytes_like_any() -> None:
    """A longer text takes more memory than its length says: that must not show."""
    for length in (*range(40), *range(980, 1100), *range(2000, 2100, 7), 4096, 65_000, 70_001):
        texts = []
        for engine in (fast, slow):
            writer = engine.Writer([(b"x", (b"label",))], engine.Labels(b""), 1 << 20)
            writer.add(0, 1, [b"a" * length])
            texts.append(writer.block().samples)
        assert texts[0] == texts[1]
        assert texts[0] + b"!" == texts[1] + b"!"
        assert hash(texts[0]) == hash(texts[1])
        assert texts[0].rstrip(b"\n").endswith(b" 1")


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_a_page_cannot_be_written_into_nothing(engine: types.ModuleType) -> None:
    with pytest.raises(ValueError, match=r"^a piece needs room for at least one byte$"):
        engine.Assembler([], [], []).fill(bytearray())


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_a_page_may_begin_without_a_header(engine: types.ModuleType) -> None:
    block = block_of(engine, [b"a 1\n", b"b 2\n"])
    assert page_of(engine.Assembler([b"", b"#\n"], [(0, 0), (0, 1)], [[block]])) == b"a 1\n#\nb 2\n"


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
@pytest.mark.parametrize("offsets", [(0, 3), (0, 5, 4), (1, 4), (0, 99, 4), (-1, 4), ()])
def test_wrong_offsets_are_refused(engine: types.ModuleType, offsets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        engine.Block(b"abcd", struct.pack(f"={len(offsets)}i", *offsets), 1, 0, ())


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_a_block_with_too_few_families_is_refused(engine: types.ModuleType) -> None:
    with pytest.raises(ValueError, match="family 1"):
        engine.Assembler([b"#\n"], [(0, 1)], [[block_of(engine, [b"abcd"])]])


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
def test_target_labels_can_be_removed_again(engine: types.ModuleType) -> None:
    plan = engine.Plan(PATTERNS, FAMILIES)
    text = b"field0:1\r\nversion:7\r\ncmdstat_a:calls=1,usec=2\r\ndb0:keys=1\r\n"
    special = {11: b'addr="x"'}
    labelled = plan.read(text, engine.Labels(b'addr="x",role="y"', special), None, NOW, 2)
    plain = plan.read(text, engine.Labels(b""), None, NOW, 2)
    stripped = engine.strip_labels(labelled, engine.Labels(b'addr="x",role="y"', special))
    assert parts_of(stripped) == parts_of(plain)


@given(text)
@settings(max_examples=30, deadline=None)
def test_timestamps_are_added_alike(pair: Pair, text: bytes) -> None:
    block = pair.check(text)
    timed = fast.add_timestamps(block, 1_700_000_000_123)
    again = slow.Block(block.samples, block.offsets, block.series, 0, ())
    assert parts_of(timed) == parts_of(slow.add_timestamps(again, 1_700_000_000_123))
    assert timed.samples.count(b" 1700000000123\n") == block.series


SAMPLES = [
    b'a{x="1"} 1\n',
    b'a{x="\r"} 2\n',
    b'a{x="} 5\xe2\x80\xa8"} 3.5 1795380000250\n',
    b"a 1\n",
    b"odd\n",
    b"b 2\n",
]


@given(
    st.lists(st.lists(st.sampled_from(SAMPLES), max_size=8), min_size=1, max_size=4),
    st.sets(st.sampled_from([b'a{x="1"}', b'a{x="\r"}', b"a", b"odd"])),
    st.integers(0, 9),
    st.integers(0, 4),
)
def test_samples_are_sifted_alike(
    families: list[list[bytes]], heads: set[bytes], room: int, per_family: int
) -> None:
    found = []
    for engine in (fast, slow):
        block = block_of(engine, [b"".join(family) for family in families])
        known, counts = set(heads), [1] * len(families)
        found.append(
            (
                parts_of(engine.sift(block, known, counts, room, per_family)),
                known,
                counts,
                engine.heads_of(block),
            )
        )
    assert found[0] == found[1]


@given(st.lists(st.floats(0, 1e9), max_size=10), st.floats(0, 1e9))
def test_ages_are_written_alike(times: list[float], now: float) -> None:
    heads = [b"age " for _ in times]
    assert fast.ages(heads, times, now) == slow.ages(heads, times, now)


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
@pytest.mark.parametrize("times", [[], [1.0, 2.0]])
def test_ages_of_more_or_fewer_times_than_heads_are_refused(
    engine: types.ModuleType, times: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"there must be|zip\(\)"):
        engine.ages([b"age "], times, 5.0)


@pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("line", "stripped"),
    [
        (b'a{addr="h"} 1\n', b"a 1\n"),
        (b'a{addr="h",x="1"} 1\n', b'a{x="1"} 1\n'),
        (b'a{x="1",addr="h"} 1\n', b'a{x="1",addr="h"} 1\n'),
        (b'a{x="{addr="h"} 1\n', b'a{x="{addr="h"} 1\n'),
        (b'a{addr="h",x="{addr="h"} 1\n', b'a{x="{addr="h"} 1\n'),
        (b"a 1\n", b"a 1\n"),
    ],
)
def test_only_labels_that_a_line_begins_with_are_removed(
    engine: types.ModuleType, line: bytes, stripped: bytes
) -> None:
    block = block_of(engine, [line])
    assert engine.strip_labels(block, engine.Labels(b'addr="h"')).samples == stripped


def test_a_target_with_awkward_labels_keeps_them_escaped() -> None:
    family_set = enable(InfoCollector(), "redis").family_set
    target = Target("redis://h:1", "redis", "h", 1, "", 0, alias='a"\n')
    assert target.alias
    assert (
        label_forms([family_set], ((b"alias", engine_module.escape(target.alias.encode())),))[
            family_set.name
        ].text
        == b'alias="a\\"\\n"'
    )
