"""Segments of pages, of both engines: no change is overlooked, and their texts make the page."""

from __future__ import annotations

import itertools
import struct
import types
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import engine as engine_module
from exporter.engine import plain as slow
from tests.store_fixture import page_of

fast: Any = pytest.importorskip("exporter._fastparse") if engine_module.ENGINE == "compiled" else slow

#: two family sets; the second and third family of the page share a header
HEADERS = [b"#1\n", b"#2\n", b"", b"#3\n", b"#4\n"]
CELLS = [(0, 2), (0, 0), (1, 1), (1, 0), (0, 1)]
FAMILIES = (3, 2)

ENGINES = pytest.mark.parametrize("engine", [fast, slow], ids=["fast", "slow"])


def block_of(engine: types.ModuleType, texts: Sequence[bytes]) -> Any:
    ends = [0, *itertools.accumulate(map(len, texts))]
    return engine.Block(b"".join(texts), struct.pack(f"={len(ends)}i", *ends), 0, 0, ())


class Page:
    """A page of one engine that changes; each step takes the place of the one before."""

    def __init__(self, engine: types.ModuleType, groups: int) -> None:
        self.engine = engine
        self.segments = engine.Segments(CELLS, 2, groups)
        self.blocks: dict[tuple[int, int], Any] = {}
        self.texts = [b""] * self.segments.count

    def put(self, family_set: int, target: int, texts: Sequence[bytes] | None) -> None:
        if texts is None:
            self.blocks.pop((family_set, target), None)
            return
        block = block_of(self.engine, texts)
        self.engine.follow(block, self.blocks.get((family_set, target)))
        self.blocks[family_set, target] = block

    def take(self, ends: Sequence[int], headers: Sequence[bytes] = HEADERS, room: int = 7) -> bytes:
        """What the segments say has changed, after a check that they make the page and overlook nothing."""
        columns = [[self.blocks.get((number, target)) for target in range(ends[-1])] for number in range(2)]
        columns = [column if any(column) else [] for column in columns]
        whole = page_of(self.engine.Assembler(headers, CELLS, columns))
        changed: bytes = self.segments.take(headers, columns, ends)
        texts = [self.read(number, number + 1, room) for number in range(self.segments.count)]
        assert b"".join(texts) == self.read(0, self.segments.count, room) == whole
        for before, text, flag in zip(self.texts, texts, changed, strict=True):
            assert flag or before == text
        self.texts = texts
        self.segments.release()
        return changed

    def read(self, first: int, end: int, room: int) -> bytes:
        segments, piece, found = self.segments, bytearray(room), b""
        size = segments.size(first, end)
        segments.start(first, end)
        assert segments.left == size
        while length := segments.fill(piece):
            found += piece[:length]
        assert len(found) == size
        assert segments.left == 0
        return found


TEXT = st.sampled_from([b"", b"a 1\n", b"a 2\n", b"a" * 300 + b" 1\n"])
PUT = st.integers(0, 1).flatmap(
    lambda family_set: st.tuples(
        st.just(family_set),
        st.integers(0, 5),
        st.none() | st.lists(TEXT, min_size=FAMILIES[family_set], max_size=FAMILIES[family_set]),
    )
)
#: where three groups of at most six targets end
ENDS = st.lists(st.integers(0, 6), min_size=3, max_size=3).map(sorted)


@given(
    st.lists(st.tuples(st.lists(PUT, max_size=6), ENDS, st.sampled_from(HEADERS)), max_size=8),
    st.integers(1, 400),
)
@settings(max_examples=300, deadline=None)
def test_no_change_is_overlooked_and_the_texts_make_the_page(
    steps: list[tuple[list[tuple[int, int, list[bytes] | None]], list[int], bytes]], room: int
) -> None:
    pages = [Page(fast, 3), Page(slow, 3)]
    for puts, ends, header in steps:
        for page in pages:
            for family_set, target, texts in puts:
                page.put(family_set, target, texts)
            page.take(ends, [*HEADERS[:-1], header], room)
        assert pages[0].texts == pages[1].texts


@ENGINES
def test_only_the_family_and_group_that_changed_is_marked(engine: types.ModuleType) -> None:
    page = Page(engine, 2)
    for target in range(4):
        page.put(0, target, [b"x 1\n", b"y 1\n", b"z 1\n"])
    assert set(page.take([2, 4])) == {0, 1}
    assert not any(page.take([2, 4]))
    page.put(0, 3, [b"x 1\n", b"y 2\n", b"z 1\n"])
    assert [number for number, flag in enumerate(page.take([2, 4])) if flag] == [CELLS.index((0, 1)) * 2 + 1]
    page.put(0, 3, [b"x 1\n", b"y 2\n", b"z 1\n"])
    assert not any(page.take([2, 4])), "another block with the same samples"


LONG = [b"", b"a" * 5, b"", b"b" * 40, b"c" * 700, b"d", b"e" * 1300, b""]


def changed_places(text: bytes) -> set[bytes]:
    """The text with another byte here and there, or a byte more or less."""
    places = {0, 1, 7, 8, 63, 64, 511, 512, 600, len(text) - 1} & set(range(len(text)))
    return {text + b"x", text[:-1], *(text[:at] + b"X" + text[at + 1 :] for at in places)} - {text}


@ENGINES
@pytest.mark.parametrize("number", range(len(LONG)))
def test_of_families_of_all_lengths_only_that_which_changed_is_marked(
    engine: types.ModuleType, number: int
) -> None:
    headers = [b"#\n"] * len(LONG)
    segments = engine.Segments([(0, family) for family in range(len(LONG))], 1, 1)
    for changed in changed_places(LONG[number]):
        before = block_of(engine, LONG)
        engine.follow(before, None)
        segments.take(headers, [[before]], [1])
        after = block_of(engine, [*LONG[:number], changed, *LONG[number + 1 :]])
        engine.follow(after, before)
        marked = segments.take(headers, [[after]], [1])
        assert [at for at, flag in enumerate(marked) if flag] == [number]


@ENGINES
@pytest.mark.parametrize("polls", [2, 254, 255, 256, 257, 600])
def test_changes_add_up_however_many_polls_come_between_two_pages(
    engine: types.ModuleType, polls: int
) -> None:
    page = Page(engine, 1)
    page.put(0, 0, [b"x 0\n", b"y 0\n", b"z 0\n"])
    page.take([1])
    for poll in range(polls):
        page.put(0, 0, [b"x %d\n" % (poll == 0), b"y 0\n", b"z 1\n" if poll else b"z 0\n"])
    page.take([1])


def test_few_polls_between_two_pages_mark_no_more_than_changed() -> None:
    page = Page(fast, 1)
    page.put(0, 0, [b"x 0\n", b"y 0\n", b"z 0\n"])
    page.take([1])
    for poll in range(250):
        page.put(0, 0, [b"x %d\n" % poll, b"y 0\n", b"z 0\n"])
    assert sum(page.take([1])) == 1


def test_two_blocks_that_follow_the_same_one_are_not_taken_for_each_other() -> None:
    page = Page(fast, 1)
    first = block_of(fast, [b"x 0\n", b"y 0\n", b"z 0\n"])
    fast.follow(first, None)
    for number in (1, 2):
        block = block_of(fast, [b"x %d\n" % number, b"y 0\n", b"z 0\n"])
        fast.follow(block, first)
        page.blocks[0, 0] = block
        page.take([1])


def test_a_block_that_comes_back_is_seen() -> None:
    page = Page(fast, 1)
    page.put(0, 0, [b"x 0\n", b"y 0\n", b"z 0\n"])
    old = page.blocks[0, 0]
    page.take([1])
    page.put(0, 0, [b"x 1\n", b"y 0\n", b"z 0\n"])
    new = page.blocks[0, 0]
    page.take([1])
    fast.follow(old, new)
    page.blocks[0, 0] = old
    page.take([1])


@ENGINES
def test_a_header_goes_with_the_first_samples_behind_it(engine: types.ModuleType) -> None:
    page = Page(engine, 2)
    page.put(1, 1, [b"", b"s 1\n"])
    changed = page.take([1, 2])
    assert page.texts[2] == b"#2\n"
    assert page.texts[5] == b"s 1\n"
    assert [number for number, flag in enumerate(changed) if flag] == [2, 5]
    assert sum(page.take([1, 2], [b"#1\n", b"#other\n", *HEADERS[2:]])) == 1


@ENGINES
def test_what_does_not_fit_is_refused(engine: types.ModuleType) -> None:
    block = block_of(engine, [b"x 1\n"])
    for cells in ([(1, 0)], [(-1, 0)], [(0, -1)]):
        with pytest.raises(ValueError, match="names part"):
            engine.Segments(cells, 1, 1)
    with pytest.raises(ValueError, match="one group"):
        engine.Segments([], 0, 0)
    segments = engine.Segments([(0, 0)], 1, 2)
    for headers, blocks, ends in (
        ([], [[block]], [1, 1]),
        ([b"#\n"], [], [1, 1]),
        ([b"#\n"], [[block]], [1]),
        ([b"#\n"], [[block]], [1, 2]),
        ([b"#\n"], [[block, block]], [1, 1]),
        ([b"#\n"], [[block, block]], [3, 2]),
        ([b"#\n"], [[block]], [-1, 1]),
    ):
        with pytest.raises(ValueError, match=r"a page keeps|the groups"):
            segments.take(headers, blocks, ends)
    with pytest.raises(ValueError, match="no family 1"):
        engine.Segments([(0, 1)], 1, 1).take([b"#\n"], [[block]], [1])


@ENGINES
def test_nothing_is_read_of_blocks_that_were_let_go(engine: types.ModuleType) -> None:
    segments = engine.Segments([(0, 0)], 1, 1)
    assert (segments.left, segments.fill(bytearray(9))) == (0, 0)
    with pytest.raises(ValueError, match="let go"):
        segments.start(0, 1)
    segments.take([b"#\n"], [[block_of(engine, [b"x 1\n"])]], [1])
    with pytest.raises(ValueError, match="no such segments"):
        segments.start(0, 2)
    segments.start(0, 1)
    with pytest.raises(ValueError, match="one byte"):
        segments.fill(bytearray())
    segments.release()
    assert segments.fill(bytearray(9)) == 0
    with pytest.raises(ValueError, match="let go"):
        segments.start(0, 1)
