"""Who is in stays in; newcomers beyond a limit are refused and counted."""

from __future__ import annotations

import itertools
import struct

import pytest

from exporter import engine
from exporter.metrics.series_limit import Caps


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


def admit(caps: Caps, *families: str, part: str = "info", before: tuple[str, ...] | None = None) -> list[str]:
    return letters(caps.admit(part, block(*families), None if before is None else block(*before)[:2]))


class TestPerTarget:
    def test_within_the_limit_nothing_is_touched(self) -> None:
        caps = Caps(5, 5)
        whole = block("abc", "de")
        assert caps.admit("info", whole, None) is whole
        assert caps.refused == 0

    def test_the_first_so_many_are_in_where_nothing_was_before(self) -> None:
        caps = Caps(3, 5)
        assert admit(caps, "abc", "de") == ["abc", ""]
        assert caps.refused == 2

    def test_those_who_were_there_before_stay(self) -> None:
        caps = Caps(4, 5)
        assert admit(caps, "bd", "xz") == ["bd", "xz"]
        assert admit(caps, "abcd", "xyz", before=("bd", "xz")) == ["bd", "xz"]
        assert caps.refused == 3

    def test_a_place_is_kept_for_one_who_comes_back(self) -> None:
        caps = Caps(3, 5)
        admit(caps, "abcd")
        assert admit(caps, "bd") == ["b"]
        assert admit(caps, "abcd") == ["abc"]

    def test_all_parts_count(self) -> None:
        caps = Caps(4, 5)
        assert admit(caps, "abc", part="info") == ["abc"]
        assert admit(caps, "xyz", part="stats") == ["x"]
        assert admit(caps, "abcd", part="info", before=("abc",)) == ["abc"]
        assert caps.refused == 3

    def test_what_is_refused_no_more_is_counted_no_more(self) -> None:
        caps = Caps(2, 5)
        admit(caps, "abc")
        assert caps.refused == 1
        admit(caps, "ab")
        assert caps.refused == 0


class TestPerFamily:
    def test_a_large_family_is_cut_and_the_others_are_whole(self) -> None:
        caps = Caps(100, 2)
        assert admit(caps, "abc", "xy", "p") == ["ab", "xy", "p"]
        assert caps.refused == 1

    def test_many_small_ones_are_none_that_is_large(self) -> None:
        caps = Caps(100, 2)
        whole = block("ab", "xy", "p")
        assert caps.admit("info", whole, None) is whole


def test_a_server_that_was_started_anew_begins_anew() -> None:
    caps = Caps(2, 5)
    admit(caps, "abc")
    caps.forget()
    assert admit(caps, "cde") == ["cd"]


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
