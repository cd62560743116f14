"""What a traced poll shows of a command and of its reply: what was asked for, and how much came. No secret
and no value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter import safe_text
from exporter.connection.handshake import SET_NAME
from exporter.errors import ReplyError
from exporter.protocol.command import Command, Reply
from exporter.targets.redaction import MASK, Redaction

#: characters of a command that are shown, and of one of its words
COMMAND_MAX, WORD_MAX = 200, 80
#: commands whose arguments are a login
LOGIN = "AUTH"
#: commands whose first argument is a program
_PROGRAMS = frozenset(("EVAL", "EVAL_RO"))


@dataclass(frozen=True, slots=True)
class TracedCommand:
    """One command, or several of one name that went out together. `text` is the command as it may be shown,
    `commands` how many it stands for. `began_s` counts from the beginning of the exchange, `took_s` is the
    time until the whole reply was there. `received` is None where other nodes replied.

    `reply` says what kind of reply came; `failed`: it is an error reply.
    """

    text: str
    commands: int
    sent: int
    received: int | None
    began_s: float
    took_s: float
    reply: str
    failed: bool


def shown_command(command: Command, redaction: Redaction) -> str:
    """A command as it may be shown: its words, without login and programs."""
    args = command.args
    name = str(args[0]).upper()
    if name == LOGIN:
        return f"{LOGIN} {' '.join([MASK] * (len(args) - 1))}"
    words = [name, *map(_word, args[1:])]
    if name in _PROGRAMS and len(args) > 1:
        words[1] = f"(a program of {len(_bytes(args[1])):,} bytes)"
    text = " ".join(words)
    if command is not SET_NAME:  # with a short password, its name could have some of it
        text = redaction.clean(text)
    return safe_text.one_line(text, COMMAND_MAX)


def shown_reply(reply: Reply) -> str:
    """The kind of a reply and its size, or the error."""
    match reply:
        case ReplyError():
            return safe_text.one_line(reply.text, COMMAND_MAX)
        case None:
            return "nothing"
        case bytes():
            return f"text of {len(reply):,} bytes"
        case str():
            return f"status of {len(reply):,} bytes"
        case bool() | int() | float():
            return "a number"
        case list() | tuple() | dict() | set():
            return f"list of {len(reply):,}"
        case _:
            return "a value"


def shown_replies(replies: Sequence[Reply]) -> str:
    """Those of several commands: how many there are, and how many of them are errors."""
    errors = sum(isinstance(reply, ReplyError) for reply in replies)
    return f"{len(replies):,} replies, {errors:,} of them errors" if errors else f"{len(replies):,} replies"


def _word(arg: str | bytes | int) -> str:
    text = arg.decode("utf-8", "backslashreplace") if isinstance(arg, bytes) else str(arg)
    text = safe_text.one_line(text, WORD_MAX)
    return f'"{text}"' if not text or " " in text else text


def _bytes(arg: str | bytes | int) -> bytes:
    return arg if isinstance(arg, bytes) else str(arg).encode("utf-8", "surrogateescape")
