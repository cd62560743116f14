"""The walk over replies: every reply that a server may send is let through, and nothing else, in both
engines alike."""

from __future__ import annotations

import random
import types
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import engine
from exporter.engine import plain as slow

fast: Any = pytest.importorskip("exporter._fastparse") if engine.ENGINE == "compiled" else slow
ENGINES = [slow, *([fast] if fast is not slow else [])]
AMPLE = (1 << 20, 1000, 4 << 20)  # bytes and elements of a reply, bytes of all

State = tuple[int, int, int, int, tuple[int, ...], bool, str]


def state(frames: Any, code: int) -> State:
    return code, frames.at, frames.kept, frames.finished, frames.ends, frames.skipping, frames.why


def steps(
    engine: types.ModuleType, pieces: list[bytes], wanted: int, limits: tuple[int, int, int]
) -> Iterator[State]:
    """All stops of a walk over some pieces."""
    frames = engine.Frames()
    frames.expect(wanted, *limits)
    for piece in pieces:
        code = frames.scan(piece)
        yield state(frames, code)
        while code in (slow.TOO_LARGE, slow.SKIPPED) and frames.finished < wanted:
            code = frames.scan(piece, frames.at)
            yield state(frames, code)
        if code not in (slow.MORE, slow.TOO_LARGE):
            return


def walk(data: bytes, wanted: int = 1, limits: tuple[int, int, int] = AMPLE) -> tuple[int, str]:
    """How a walk over `data` ends, whole, in halves and byte by byte, in all engines; and why."""
    ends = set()
    half = len(data) // 2
    for pieces in ([data], [data[:half], data[half:]], [data[i : i + 1] for i in range(len(data))]):
        found = [list(steps(engine, pieces, wanted, limits)) for engine in ENGINES]
        assert all(each == found[0] for each in found)
        last = found[0][-1]
        ends.add((last[0], last[6]))
    assert len(ends) == 1, "it matters in how many pieces it comes"
    return ends.pop()


@pytest.mark.parametrize(
    "reply",
    [
        b"+OK\r\n", b"+\r\n", b"-ERR no\r\n", b":0\r\n", b":-1\r\n", b":9223372036854775807\r\n",
        b":-9223372036854775808\r\n",
        b"$0\r\n\r\n", b"$3\r\na\nb\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"*2\r\n*1\r\n$-1\r\n*0\r\n",
        b"*1\r\n" * 31 + b"*0\r\n",
    ],
)  # fmt: skip
def test_a_reply_is_let_through(reply: bytes) -> None:
    assert walk(reply) == (slow.DONE, "")
    reader = hiredis.Reader()
    reader.feed(reply)
    reader.gets()
    assert not reader.has_data(), "hiredis reads the same"


@pytest.mark.parametrize(
    ("data", "code", "why"),
    [
        (b"hello\r\n", slow.BROKEN, "a reply of an unknown type"),
        (b"\x16\x03\x01", slow.BROKEN, "a reply of an unknown type"),
        *((b"%c1\r\n" % kind, slow.BROKEN, "a reply of an unknown type") for kind in b"%~>|=!(,#_"),
        (b"*1\r\n%1\r\n*0\r\n+a\r\n", slow.BROKEN, "a reply of an unknown type"),
        (b"$?\r\n", slow.BROKEN, "an invalid number"),
        (b"$x\r\n", slow.BROKEN, "an invalid number"),
        (b"$\r\n", slow.BROKEN, "an invalid number"),
        (b":1.5\r\n", slow.BROKEN, "an invalid number"),
        (b":+1\r\n", slow.BROKEN, "an invalid number"),
        (b":-\r\n", slow.BROKEN, "an invalid number"),
        (b":-0\r\n", slow.BROKEN, "an invalid number"),
        (b":00\r\n", slow.BROKEN, "an invalid number"),
        (b":9223372036854775808\r\n", slow.BROKEN, "an invalid number"),
        (b":" + b"1" * 100_000, slow.BROKEN, "an invalid number"),
        (b"$-5\r\n", slow.BROKEN, "a length or count below zero"),
        (b"*-7\r\n", slow.BROKEN, "a length or count below zero"),
        (b"+OK\n", slow.BROKEN, "a line that does not end in CR LF"),
        (b"+O\rK\r\n", slow.BROKEN, "a line that does not end in CR LF"),
        (b":1\n", slow.BROKEN, "an invalid number"),
        (b":1\rx", slow.BROKEN, "a line that does not end in CR LF"),
        (b"$2\r\nabc\r\n", slow.BROKEN, "a line that does not end in CR LF"),
        (b"$2\r\nab\rx", slow.BROKEN, "a line that does not end in CR LF"),
        (b"*1\r\n" * 33, slow.BROKEN, "lists are nested too deeply"),
        (b"*2800000000\r\n", slow.HOPELESS, "a reply has too many elements"),
        (b"*2\r\n*9223372036854775807\r\n", slow.HOPELESS, "a reply has too many elements"),
        (b"$9000000000\r\n", slow.HOPELESS, "a reply has too many bytes"),
        (b"$9223372036854775807\r\n", slow.HOPELESS, "a reply has too many bytes"),
        (b"+" + b"x" * 65537, slow.HOPELESS, "a line is too long"),
        (b"-" + b"x" * 70_000, slow.HOPELESS, "a line is too long"),
    ],
)  # fmt: skip
def test_anything_else_ends_it_at_once(data: bytes, code: int, why: str) -> None:
    assert walk(data) == (code, why)


def test_all_replies_together_have_a_limit() -> None:
    assert walk(b"+12345678\r\n" * 5, 9, (14, 9, 50)) == (
        slow.HOPELESS,
        "the replies have too many bytes in all",
    )


@pytest.mark.parametrize(
    "large",
    [
        b"$50\r\n" + b"x" * 50 + b"\r\n",
        b"*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n",
        b"*2\r\n*1\r\n:1\r\n*3\r\n:2\r\n*0\r\n:3\r\n",
        b"*2\r\n$30\r\n" + b"x" * 30 + b"\r\n$9\r\n123456789\r\n",
        b"*4\r\n" + b"+12345678901\r\n" * 4,
    ],
)
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
def test_one_that_is_too_large_is_passed_over_and_no_other(engine: Any, large: bytes) -> None:
    data = b"+a\r\n" + large + b"*1\r\n+b\r\n"
    frames = engine.Frames()
    frames.expect(3, 40, 4, 1000)
    assert frames.scan(data) == slow.TOO_LARGE
    assert (frames.kept, frames.skipping) == (4, True)
    assert frames.scan(data, frames.at) == slow.SKIPPED
    assert (frames.at, frames.finished, frames.skipping) == (4 + len(large), 2, False)
    assert frames.scan(data, frames.at) == slow.DONE
    assert frames.at == len(data)
    assert walk(data, 3, (40, 4, 1000))[0] == slow.DONE


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
@pytest.mark.parametrize(
    "many", [b"*101\r\n" + b"-a\r\n" * 101, b"*2\r\n" + (b"*60\r\n" + b"-\r\n" * 60) * 2]
)
def test_one_with_very_many_errors_in_it_is_passed_over_and_no_other(engine: Any, many: bytes) -> None:
    few = b"*1\r\n-a\r\n"
    data = few + many + b"*1\r\n:1\r\n" + b"-a\r\n" * 200
    frames = engine.Frames()
    frames.expect(203, *AMPLE)
    assert (frames.scan(data), frames.kept) == (slow.TOO_LARGE, len(few))
    assert frames.why == "the replies have too many errors within lists"
    assert (frames.scan(data, frames.at), frames.at) == (slow.SKIPPED, len(few + many))
    assert (frames.scan(data, frames.at), frames.at) == (slow.DONE, len(data))
    assert walk(data, 203)[0] == slow.DONE


BYTES, ELEMENTS, TOTAL = 40, 4, 100
#: what comes, as much as there may be of it; bytes and elements of a reply, bytes of all
FULL = {
    "a text": (b"$35\r\n" + b"x" * 35 + b"\r\n", (BYTES, ELEMENTS, TOTAL)),
    "a list": (b"*4\r\n" + b":1\r\n" * 4, (BYTES, ELEMENTS, TOTAL)),
    "lists within a list": (b"*2\r\n*1\r\n:1\r\n*1\r\n:1\r\n", (BYTES, ELEMENTS, TOTAL)),
    "elements of a list": (b"*2\r\n$29\r\n" + b"x" * 29 + b"\r\n+a\r\n", (BYTES, ELEMENTS, TOTAL)),
    "all replies": (b"*1\r\n+123\r\n", (BYTES, ELEMENTS, 10)),
    "a line": (b"+" + b"x" * 65536 + b"\r\n", AMPLE),
    "depth": (b"*1\r\n" * 32 + b":1\r\n", AMPLE),
    "errors within lists": (b"*100\r\n" + b"-a\r\n" * 100, AMPLE),
}


@pytest.mark.parametrize("what", FULL)
def test_a_limit_itself_is_within_it(what: str) -> None:
    data, limits = FULL[what]
    assert walk(data, 1, limits) == (slow.DONE, "")


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
@pytest.mark.parametrize(
    ("head", "total", "code"),
    [
        (b"$5\r\n", 9, slow.MORE),
        (b"$5\r\n", 8, slow.HOPELESS),
        (b"*2\r\n", 10, slow.MORE),
        (b"*2\r\n", 9, slow.HOPELESS),
        (b":1\r\n*2\r\n", 14, slow.MORE),
        (b":1\r\n*2\r\n", 13, slow.HOPELESS),
    ],
)
def test_what_is_announced_has_to_fit_into_what_all_replies_may_still_have(
    engine: Any, head: bytes, total: int, code: int
) -> None:
    frames = engine.Frames()
    frames.expect(2, BYTES, ELEMENTS, total)
    assert frames.scan(head) == code


TOKENS = [
    b"*", b"$", b":", b"+", b"-", b"%", b"1", b"2", b"3", b"10", b"0", b"\r\n", b"\n", b"\r", b"abc",
    b"*1\r\n",
    b"*3\r\n",
    b"$3\r\nabc\r\n", b":1\r\n", b"+OK\r\n", b"$-1\r\n", b"*0\r\n", b"$40\r\n" + b"y" * 40 + b"\r\n",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=30), st.integers(1, 5), st.randoms(use_true_random=False))
def test_whatever_comes_the_engines_stop_at_the_same_places(
    tokens: list[bytes], wanted: int, chance: random.Random
) -> None:
    data = b"".join(tokens)
    cuts = sorted(chance.sample(range(len(data) + 1), min(len(data), chance.randint(0, 6))))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    limits = chance.choice([AMPLE, (30, 4, 200), (60, 100, 90)])
    found = [list(steps(engine, pieces, wanted, limits)) for engine in ENGINES]
    assert all(each == found[0] for each in found)


def assert_hiredis_reads(data: bytes, wanted: int) -> None:
    """No reply that the walk takes for one is an error of hiredis, nor another number of replies."""
    frames = engine.Frames()
    frames.expect(wanted, *AMPLE)
    code = frames.scan(data)
    if code in (slow.MORE, slow.DONE):
        reader = hiredis.Reader(notEnoughData=...)
        reader.feed(data[: frames.at])
        for _ in range(frames.finished):
            assert reader.gets() is not ...
        assert reader.gets() is ...


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=30), st.integers(1, 5))
def test_what_it_lets_through_hiredis_reads(tokens: list[bytes], wanted: int) -> None:
    assert_hiredis_reads(b"".join(tokens), wanted)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
def test_a_place_beyond_the_data_is_a_mistake_of_ours(engine: Any) -> None:
    with pytest.raises(ValueError, match=r"^beyond the data$"):
        engine.Frames().scan(b"+OK\r\n", 6)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
def test_the_end_of_the_data_is_a_place_in_it(engine: Any) -> None:
    frames = engine.Frames()
    frames.expect(1, *AMPLE)
    assert (frames.scan(b"+OK\r\n", 5), frames.at) == (slow.MORE, 5)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
def test_who_expects_nothing_may_be_sent_nothing(engine: Any) -> None:
    frames = engine.Frames()
    assert (frames.scan(b""), frames.scan(b":"), frames.finished) == (slow.MORE, slow.HOPELESS, 0)


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
def test_the_end_of_each_reply_is_told_in_whatever_pieces_they_come(engine: Any, size: int) -> None:
    replies = [b"+a\r\n", b"*2\r\n:1\r\n$3\r\nabc\r\n", b"$30\r\n" + b"x" * 30 + b"\r\n", b"*0\r\n"]
    data = b"".join(replies)
    frames = engine.Frames()
    for _ in range(2):  # a new walk begins at 0
        frames.expect(len(replies), 20, 4, 1000)
        assert frames.ends == ()
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            code = frames.scan(piece)
            while code in (slow.TOO_LARGE, slow.SKIPPED):
                code = frames.scan(piece, frames.at)
        assert frames.ends == tuple(accumulate(len(reply) for reply in replies))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.ENGINE)
def test_no_more_ends_are_told_than_replies_are_awaited(engine: Any) -> None:
    frames = engine.Frames()
    frames.expect(2, *AMPLE)
    for _ in range(1000):
        frames.scan(b"+a\r\n" * 3)
    assert frames.ends == (4, 8)
    frames.expect(2000, *AMPLE)
    assert frames.scan(b"+a\r\n" * 2000) == slow.DONE
    assert frames.ends == tuple(range(4, 8001, 4))
