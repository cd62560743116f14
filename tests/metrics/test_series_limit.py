"""Who is in stays in; newcomers beyond a limit are refused and counted."""

from __future__ import annotations

import itertools
import struct

import pytest

from exporter import engine
from exporter.metrics.series_limit import SeriesLimit


def block(*families: str) -> tuple[bytes, bytes, int]:
    """Families of series by one letter each: `block("ab", "c")` has two of the first family."""
    texts = [
        "".join(f'f{number}{{x="{letter}"}} 1\n' for letter in letters)
        for number, letters in enumerate(families)
    ]
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    return "".join(texts).encode(), struct.pack(f"={len(ends)}i", *ends), sum(map(len, families))


def letters(rendered: tuple[bytes, bytes, int]) -> list[str]:
    """The other way round."""
    samples, offsets, series = rendered
    ends = struct.unpack(f"={len(offsets) // 4}i", offsets)
    found = [
        "".join(chr(line[6]) for line in samples[begin:end].split(b"\n")[:-1])
        for begin, end in itertools.pairwise(ends)
    ]
    assert series == sum(map(len, found))
    return found


def admit(
    series_limit: SeriesLimit, *families: str, family_set: str = "info", before: tuple[str, ...] | None = None
) -> list[str]:
    return letters(
        series_limit.admit(
            family_set, block(*families), lambda: None if before is None else block(*before)[:2]
        )
    )


class TestPerTarget:
    def test_within_the_limit_nothing_is_touched(self) -> None:
        series_limit = SeriesLimit(5, 5)
        whole = block("abc", "de")
        assert series_limit.admit("info", whole, lambda: None) is whole
        assert series_limit.refused == 0

    def test_the_first_so_many_are_in_where_nothing_was_before(self) -> None:
        series_limit = SeriesLimit(3, 5)
        assert admit(series_limit, "abc", "de") == ["abc", ""]
        assert series_limit.refused == 2

    def test_those_who_were_there_before_stay(self) -> None:
        series_limit = SeriesLimit(4, 5)
        assert admit(series_limit, "bd", "xz") == ["bd", "xz"]
        assert admit(series_limit, "abcd", "xyz", before=("bd", "xz")) == ["bd", "xz"]
        assert series_limit.refused == 3

    def test_a_place_is_kept_for_one_who_comes_back(self) -> None:
        series_limit = SeriesLimit(3, 5)
        admit(series_limit, "abcd")
        assert admit(series_limit, "bd") == ["b"]
        assert admit(series_limit, "abcd") == ["abc"]

    def test_all_family_sets_count(self) -> None:
        series_limit = SeriesLimit(4, 5)
        assert admit(series_limit, "abc", family_set="info") == ["abc"]
        assert admit(series_limit, "xyz", family_set="stats") == ["x"]
        assert admit(series_limit, "abcd", family_set="info", before=("abc",)) == ["abc"]
        assert series_limit.refused == 3

    def test_what_is_refused_no_more_is_counted_no_more(self) -> None:
        series_limit = SeriesLimit(2, 5)
        admit(series_limit, "abc")
        assert series_limit.refused == 1
        admit(series_limit, "ab")
        assert series_limit.refused == 0


class TestPerFamily:
    def test_a_large_family_is_cut_and_the_others_are_whole(self) -> None:
        series_limit = SeriesLimit(100, 2)
        assert admit(series_limit, "abc", "xy", "p") == ["ab", "xy", "p"]
        assert series_limit.refused == 1

    def test_many_small_ones_are_none_that_is_large(self) -> None:
        series_limit = SeriesLimit(100, 2)
        whole = block("ab", "xy", "p")
        assert series_limit.admit("info", whole, lambda: None) is whole


def test_a_server_that_was_started_anew_begins_anew() -> None:
    series_limit = SeriesLimit(2, 5)
    admit(series_limit, "abc")
    series_limit.forget()
    assert admit(series_limit, "cde") == ["cd"]


@pytest.mark.parametrize(
    ("line", "head"),
    [
        (b"up 1\n", b"up"),
        (b"up 1 1795380000250\n", b"up"),
        (b'a{x="} 5"} 1\n', b'a{x="} 5"}'),
        (b'a{x="b c"} 1.5 1795380000250\n', b'a{x="b c"}'),
    ],
)
def test_the_head_of_a_line(line: bytes, head: bytes) -> None:
    assert engine.heads_of(line, struct.pack("=2i", 0, len(line))) == ({head}, [1])


def test_limits_that_change_count_from_the_next_block_on() -> None:
    series_limit = SeriesLimit(3, 5)
    assert admit(series_limit, "abcd") == ["abc"]
    series_limit.change(4, 5)
    assert admit(series_limit, "abcd") == ["abcd"]
    assert series_limit.refused == 0
    series_limit.change(2, 5)
    assert admit(series_limit, "abcd") == ["ab"]


def test_a_family_set_that_is_dropped_leaves_its_room_to_the_others() -> None:
    series_limit = SeriesLimit(4, 3)
    admit(series_limit, "abcd", family_set="info")
    assert admit(series_limit, "xyz", family_set="stats") == ["x"]
    assert (series_limit.series, series_limit.refused) == (4, 3)
    series_limit.drop("info")
    assert (series_limit.series, series_limit.refused) == (1, 2)
    assert admit(series_limit, "xyz", family_set="stats") == ["xyz"]
    assert (series_limit.series, series_limit.refused) == (3, 0)
    series_limit.drop("config")  # one that wrote nothing
    assert series_limit.series == 3


def test_series_with_other_labels_do_not_wait_for_the_old_ones_to_go() -> None:
    series_limit = SeriesLimit(100, 2)
    assert admit(series_limit, "abc") == ["ab"]
    series_limit.relabel(["info"])
    assert admit(series_limit, "xyz", before=("ab",)) == ["xy"]
    assert admit(series_limit, "wxy", before=("xy",)) == ["xy"], "from then on who is in stays in"
    assert series_limit.refused == 1
