"""Who is in stays in; newcomers beyond a limit are refused and counted."""

from __future__ import annotations

import itertools
import random
import struct

import pytest

from exporter import engine
from exporter.metrics.series_limit import SeriesLimit


def block(*families: str) -> engine.Block:
    """Families of series by one letter each: `block("ab", "c")` has two of the first family."""
    texts = [
        "".join(f'f{number}{{x="{letter}"}} 1\n' for letter in letters)
        for number, letters in enumerate(families)
    ]
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    samples, offsets = "".join(texts).encode(), struct.pack(f"={len(ends)}i", *ends)
    return engine.Block(samples, offsets, sum(map(len, families)), 0, ())


def letters(rendered: engine.Block) -> list[str]:
    """The other way round."""
    samples = rendered.samples
    ends = struct.unpack(f"={len(rendered.offsets) // 4}i", rendered.offsets)
    found = [
        "".join(chr(line[6]) for line in samples[begin:end].split(b"\n")[:-1])
        for begin, end in itertools.pairwise(ends)
    ]
    assert rendered.series == sum(map(len, found))
    return found


def admit(
    series_limit: SeriesLimit, *families: str, family_set: str = "info", before: tuple[str, ...] | None = None
) -> list[str]:
    return letters(
        series_limit.admit(family_set, block(*families), None if before is None else block(*before))
    )


class TestPerTarget:
    def test_within_the_limit_nothing_is_touched(self) -> None:
        series_limit = SeriesLimit(5, 5)
        whole = block("abc", "de")
        assert series_limit.admit("info", whole, None) is whole
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


class TestTakesWhole:
    def test_what_is_clearly_within_the_limits_is_counted(self) -> None:
        series_limit = SeriesLimit(5, 4)
        assert series_limit.takes_whole("info", 3)
        assert series_limit.takes_whole("stats", 2)
        assert series_limit.series == 5
        assert series_limit.takes_whole("info", 1)
        assert series_limit.series == 3

    def test_it_says_and_counts_what_admit_does(self) -> None:
        chance, asked = random.Random(7), 0
        for _ in range(300):
            per_target, per_family = chance.randint(4, 16), chance.randint(4, 8)
            quick, plain = (SeriesLimit(per_target, per_family) for _ in range(2))
            before: dict[str, engine.Block] = {}
            for _ in range(12):
                match chance.randrange(24):
                    case 0:
                        limits = chance.randint(4, 16), chance.randint(4, 8)
                        for each in (quick, plain):
                            each.change(*limits)
                    case 1:
                        for each in (quick, plain):
                            each.relabel(["info"])
                    case 2:
                        for each in (quick, plain):
                            each.forget()
                    case 3:
                        before.pop("stats", None)
                        for each in (quick, plain):
                            each.drop("stats")
                name = chance.choice(("info", "stats"))
                new = block(*("abcd"[: chance.randint(0, 4)] for _ in range(2)))
                kept = plain.admit(name, new, before.get(name))
                if quick.takes_whole(name, new.series):
                    assert kept is new
                else:
                    asked += 1
                    assert quick.admit(name, new, before.get(name)).samples == kept.samples
                assert (quick.series, quick.refused) == (plain.series, plain.refused)
                before[name] = kept
        assert 500 < asked < 3000, "both ways are taken"


class TestPerFamily:
    def test_a_large_family_is_cut_and_the_others_are_whole(self) -> None:
        series_limit = SeriesLimit(100, 2)
        assert admit(series_limit, "abc", "xy", "p") == ["ab", "xy", "p"]
        assert series_limit.refused == 1

    def test_many_small_ones_are_none_that_is_large(self) -> None:
        series_limit = SeriesLimit(100, 2)
        whole = block("ab", "xy", "p")
        assert series_limit.admit("info", whole, None) is whole


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
    assert engine.heads_of(engine.Block(line, struct.pack("=2i", 0, len(line)), 1, 0, ())) == ({head}, [1])


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
