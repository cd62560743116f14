"""What is shown of commands and replies: no login, no program, no value."""

from __future__ import annotations

import pytest

from exporter.connection.handshake import SET_NAME
from exporter.errors import ReplyError
from exporter.polling.traced_command import COMMAND_MAX, shown_command, shown_replies, shown_reply
from exporter.protocol.command import Command, Reply
from exporter.targets.redaction import NOTHING, Redaction


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("AUTH", b"s3cret-of-mine"), "AUTH ***"),
        (("AUTH", b"somebody", b"s3cret-of-mine"), "AUTH *** ***"),
        (("INFO", "ALL"), "INFO ALL"),
        (("MEMORY", "USAGE", b"cart:7"), "MEMORY USAGE cart:7"),
        (("GET", b"two words\r\n"), 'GET "two words\\x0d\\n"'),
        (("EVAL", "return 1", 0), "EVAL (a program of 8 bytes) 0"),
        (("GET", b"\xff\xfe"), "GET \\xff\\xfe"),
        (("GET", b""), 'GET ""'),
    ],
)
def test_a_command_is_shown_by_its_words(args: tuple[str | bytes | int, ...], text: str) -> None:
    assert shown_command(Command.of(*args), NOTHING) == text


def test_a_password_is_masked_wherever_it_is() -> None:
    command = Command.of("GET", b"redis://:s3cret-of-mine@h")
    assert "s3cret" not in shown_command(command, Redaction("", "s3cret-of-mine"))
    assert shown_command(SET_NAME, Redaction("", "redis")) == "CLIENT SETNAME redis_exporter"


def test_a_long_command_is_cut() -> None:
    command = Command.of("DEL", *([b"k" * 500] * 50))
    assert len(shown_command(command, NOTHING)) <= COMMAND_MAX


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"x" * 1234, "text of 1,234 bytes"),
        ("PONG", "status of 4 bytes"),
        (7, "a number"),
        (None, "nothing"),
        ([b"a", [b"b"]], "list of 2"),
        (ReplyError("NOPERM no permission\r\nx"), "NOPERM no permission\\x0d\\nx"),
    ],
)
def test_a_reply_is_shown_by_its_kind(reply: Reply, text: str) -> None:
    assert shown_reply(reply) == text


def test_several_replies_are_counted() -> None:
    assert shown_replies([b"a", 1]) == "2 replies"
    assert shown_replies([b"a", ReplyError("ERR no")]) == "2 replies, 1 of them errors"
