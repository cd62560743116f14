"""Reading the replies of an exchange from the bytes as they come."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest

from exporter.connection import replies
from exporter.connection.replies import (
    NotRespError,
    ReplyLimits,
    ReplyReader,
    TooMuchError,
    borrow_reader,
    give_back,
    read_unasked,
)
from exporter.errors import ReplyError, TooLargeError
from exporter.options.values import COUNT_MAX

IN_ALL = "at most 67,108,864 bytes in all, 16 times the 4,194,304 bytes of --reply.max-bytes"
LIMITS = ReplyLimits(bytes_max=120, elements_max=5)
BULK = b"$150\r\n" + b"x" * 150 + b"\r\n"
LIST = b"*3\r\n*2\r\n:1\r\n:2\r\n$3\r\nabc\r\n:3\r\n"
LONG_LIST = b"*6\r\n" + b"*0\r\n" * 6


def reader(count: int, limits: ReplyLimits = LIMITS) -> ReplyReader:
    made = ReplyReader()
    made.expect(count, limits)
    return made


def shown(made: ReplyReader) -> list[object]:
    return [type(each.as_target_error()) if isinstance(each, ReplyError) else each for each in made.replies]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("large", [BULK, LONG_LIST, b"*2\r\n:1\r\n" + BULK, b"*2\r\n*1\r\n" + BULK + LIST])
def test_one_that_is_too_large_is_an_error_among_the_others_in_whatever_pieces_it_comes(
    size: int, large: bytes
) -> None:
    data = b"+a\r\n" + large + LIST + large
    made = reader(4)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert [made.take(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert shown(made) == [b"a", TooLargeError, [[1, 2], b"abc", 3], TooLargeError]
    assert not made.spare
    assert made.received == len(data)


@pytest.mark.parametrize("last", [b":1\r\n", BULK])
def test_more_than_was_awaited_is_told(last: bytes) -> None:
    made = reader(2)
    assert made.take(b":0\r\n" + last + b"+more\r\n")
    assert made.spare
    assert len(made.replies) == 2


def test_what_cannot_be_passed_over_ends_it_at_once() -> None:
    with pytest.raises(TooMuchError, match="too many bytes"):
        reader(1).take(b"$1921\r\n")
    with pytest.raises(TooMuchError, match="too many elements"):
        reader(1).take(b"*700\r\n")
    with pytest.raises(NotRespError, match="unknown type"):
        reader(1).take(b"%1\r\n")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"+" + b"x" * 70_000, "a line is too long: at most 65,536 bytes a status or an error"),
        (b"$200000000\r\n", f"a reply has too many bytes: {IN_ALL}"),
        (b"*200000000\r\n", f"a reply has too many elements: {IN_ALL}"),
    ],
)
def test_what_ends_it_names_the_limit_that_struck(data: bytes, text: str) -> None:
    with pytest.raises(TooMuchError) as caught:
        reader(1, ReplyLimits()).take(data)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (BULK, "a reply has too many bytes: at most 120 bytes a reply (--reply.max-bytes)"),
        (LONG_LIST, "a reply has too many elements: at most 5 elements a reply (--reply.max-elements)"),
    ],
)
def test_what_is_passed_over_names_the_limit_that_struck(data: bytes, text: str) -> None:
    made = reader(1)
    assert made.take(data)
    assert made.replies[0].text == f"TOOLARGE {text}"


def test_the_largest_limits_that_an_option_takes_are_limits() -> None:
    made = reader(2, ReplyLimits(bytes_max=COUNT_MAX, elements_max=COUNT_MAX))
    made.take(b"*2\r\n$1\r\na\r\n:1\r\n+b\r\n")
    assert shown(made) == [[b"a", 1], b"b"]


def test_one_that_is_too_large_is_held_by_nobody() -> None:
    """Its bytes are neither kept nor made into anything while they come."""
    made = reader(1, ReplyLimits(bytes_max=1 << 20))
    assert not made.take(b"$4000000\r\n")
    for _ in range(39):
        assert not made.take(b"x" * 100_000)
        assert made._reader.len() == 0
    assert made.take(b"x" * 100_000 + b"\r\n")


def test_errors_within_lists_make_few_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def noted(text: str, clean: Any = None) -> ReplyError:
        made.append(text)
        return ReplyError(text, clean)

    monkeypatch.setattr(replies, "ReplyError", noted)
    several = reader(2, ReplyLimits())
    assert several.take(b"*50000\r\n" + b"-\r\n" * 50_000 + b"+a\r\n")
    assert isinstance(several.replies[0].as_target_error(), TooLargeError)
    assert "too many errors within lists" in several.replies[0].text
    assert several.replies[1] == b"a"
    assert len(made) == 1


def test_readers_are_borrowed_again_without_what_they_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "_idle_readers", [])
    first = borrow_reader(1, LIMITS)
    assert first.take(b"+a\r\n")
    give_back(first)
    again = borrow_reader(2, ReplyLimits())
    assert again is first
    assert again.take(BULK + b"+b\r\n")
    assert again.replies == [b"x" * 150, b"b"]


def test_a_reader_of_much_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "_idle_readers", [])
    made = borrow_reader(1, ReplyLimits())
    size = replies.READER_BYTES_MAX
    assert made.take(b"$%d\r\n%b\r\n" % (size, b"x" * size))
    give_back(made)
    assert replies._idle_readers == []


def test_a_reader_that_is_not_kept_is_gone_at_once() -> None:
    """Its memory too: nothing in it leads back to it."""
    gc.collect()
    gc.disable()
    try:
        made = ReplyReader()
        made.take(b"-ERR no\r\n")
        inner = made._reader
        held = sys.getrefcount(inner)
        del made
        assert sys.getrefcount(inner) == held - 1
    finally:
        gc.enable()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_raw_reader_keeps_what_comes_until_it_is_told_to_decode(size: int) -> None:
    data = b"+a\r\n" + LIST + b"-ERR no\r\n"
    for whole in (True, False):
        made = ReplyReader()
        made.expect(3, LIMITS, raw=True)
        for at in range(0, len(data), size):
            if not whole and at + size >= len(data):
                made.decode()
            complete = made.take(data[at : at + size])
        assert complete
        raw = made.raw_replies
        assert (raw.whole, raw.received) == (whole, len(data))
        assert (raw.data, tuple(raw.ends)) == ((data, (4, 4 + len(LIST), len(data))) if whole else (b"", ()))
        *first, refused = raw.decode()
        assert first == [b"a", [[1, 2], b"abc", 3]]
        assert refused.code == "ERR"
        assert raw.decode() is raw.decode()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_raw_reader_passes_over_what_is_too_large(size: int) -> None:
    data = LIST + BULK + b"+a\r\n" + LONG_LIST
    made = ReplyReader()
    made.expect(4, LIMITS, raw=True)
    for at in range(0, len(data), size):
        complete = made.take(data[at : at + size])
    assert complete
    assert shown(made) == [[[1, 2], b"abc", 3], TooLargeError, b"a", TooLargeError]
    raw = made.raw_replies
    assert (raw.whole, raw.data, raw.received) == (False, b"", len(data))
    assert raw.decode() == made.replies


def test_what_comes_unasked_is_read_within_the_same_limits() -> None:
    assert read_unasked(b"+HELLO\r\n") == [b"HELLO"]
    assert read_unasked(b"+HEL") == []
    with pytest.raises(TooMuchError):
        read_unasked(b"*2800000000\r\n")
