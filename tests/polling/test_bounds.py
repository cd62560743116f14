"""How much of a reply is read, and how much is left out."""

from __future__ import annotations

import pytest

from exporter.errors import ReplyError
from exporter.polling.bounds import (
    LINE_BYTES,
    LINE_BYTES_MAX,
    ReplyBounds,
    bounds_for,
    cut_lines,
    leave_out_long_lines,
)
from exporter.protocol.command import Command


@pytest.mark.parametrize(
    ("text", "kept", "cut"),
    [
        (b"", b"", 0),
        (b"a\nb\nc\n", b"a\nb\nc\n", 0),
        (b"a\nb\nc", b"a\nb\nc", 0),
        (b"a\r\nb\r\nc\r\nd\r\n", b"a\r\nb\r\nc\r\n", 1),
        (b"a\nb\nc\nd\ne", b"a\nb\nc\n", 2),
        (b"\n" * 10, b"\n" * 3, 7),
        (b"a\rb\x0bc\x85d\x1ce\n", b"a\rb\x0bc\x85d\x1ce\n", 0),
    ],
)
def test_lines_beyond_so_many_are_left_out(text: bytes, kept: bytes, cut: int) -> None:
    assert cut_lines(text, 3) == (kept, cut)


def test_a_text_of_long_lines_is_cut_at_a_line_too() -> None:
    line = b"x" * LINE_BYTES + b"\n"
    assert cut_lines(line * 4, 4) == (line * 3, 1)
    assert cut_lines(b"x" * 10_000, 4) == (b"x" * 4 * LINE_BYTES, 1)
    assert cut_lines(b"short\n" + b"x" * 10_000, 4) == (b"short\n", 1)
    assert cut_lines(b"x" * 1_000_000, 4) == (b"x" * 4 * LINE_BYTES, 1)  # the rest is more than is counted


def test_what_is_within_is_the_reply_itself() -> None:
    bounds = ReplyBounds(4)
    for reply in (b"a\nb\n", [1, 2, 3, 4], 7, None, ReplyError("ERR no")):
        kept, cut = bounds.within("X", reply)
        assert kept is reply
        assert cut == 0


def test_rows_beyond_so_many_are_left_out_in_pairs() -> None:
    assert ReplyBounds(4).within("X", [1, 2, 3, 4, 5]) == ([1, 2, 3, 4], 1)
    assert ReplyBounds(5).within("X", [b"a", 1, b"b", 2, b"c", 3]) == ([b"a", 1, b"b", 2], 2)


def test_a_command_may_have_a_limit_of_its_own() -> None:
    bounds = bounds_for(3, 1000)
    assert bounds is bounds_for(3, 1000)
    text = b"id=1 addr=a\n" * 1200
    assert bounds.within("CLIENT LIST", text)[0] is text
    assert bounds.within("CLUSTER NODES", text) == (b"id=1 addr=a\n" * 3, 1197)


@pytest.mark.parametrize(
    ("text", "kept", "cut"),
    [
        (b"abc\nabcd\nabc\n", b"abc\nabc\n", 1),
        (b"abcd\nabc\nabcd\nabcd\na", b"abc\na", 3),
        (b"abc\nabcd", b"abc\n", 1),
        (b"abc\nabc", b"abc\nabc", 0),
        (b"abcdefgh", b"", 1),
        (b"\n\n\nabcd\n", b"\n\n\n", 1),
    ],
)
def test_lines_that_are_too_long_are_left_out(text: bytes, kept: bytes, cut: int) -> None:
    assert leave_out_long_lines(text, 3) == (kept, cut)


def test_only_answers_that_are_lines_lose_long_ones() -> None:
    text = b"role:master\r\nexecutable:" + b"x" * LINE_BYTES_MAX + b"\r\nloading:0\r\n"
    assert ReplyBounds().within("INFO", text) == (b"role:master\r\nloading:0\r\n", 1)
    for command in ("INFO commandstats", "CLIENT LIST", "CLUSTER NODES"):
        assert ReplyBounds().within(command, text)[1] == 1
    assert ReplyBounds().within("GET key", text)[0] is text  # a value is no line


def test_of_several_replies_each_is_cut_by_its_own_command() -> None:
    bounds = ReplyBounds(4, {"CLIENT LIST": 2})
    commands = [Command.of("INFO"), Command.of("CLIENT", "LIST"), Command.of("DBSIZE")]
    text = b"a\r\nb\r\nc\r\n"
    assert bounds.shorten(commands, [text, text, 5]) == ([text, b"a\r\nb\r\n", 5], [0, 1, 0])
    assert bounds.shorten(commands[:1], [text]) == ([text], ())
    rows = b"\n" * 3  # few for other commands
    assert bounds.shorten(commands[:2], [rows, rows]) == ([rows, b"\n" * 2], [0, 1])
