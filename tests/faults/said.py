"""What servers say that are not well: each function makes the replies of one fault."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from exporter.errors import NO_REFUSALS
from tests.servers import Conversation, Script
from tests.watch_harness import bulk

Words = tuple[str, ...]
#: what a server that is well answers to a command
Answer = Callable[[Words], bytes]
#: bytes to send, seconds to wait before the next ones, and what else is done to the connection
Said = Iterable[bytes | float | Script]
#: what is said to a command; None: what a server says that is well
Replies = Callable[[Words, Answer], Said | None]

MB = 1 << 20
#: a deadline of one second passes meanwhile
LATE_S = 1.5
#: error replies of other kinds than those that a reason is named for
OTHER_WORDS = (*sorted(NO_REFUSALS - {"BUSY", "NOAUTH", "WRONGPASS", "DENIED", "TOOLARGE"}), "ERR", "ODD", "")
#: values of RESP3, which nobody asked for
TYPES_OF_RESP3 = (
    b"%1\r\n+redis_version\r\n+7.0.15\r\n",
    b"~1\r\n+a\r\n",
    b"#t\r\n",
    b"_\r\n",
    b",1.5\r\n",
    b"(3492890328409238509324850943850943825024385\r\n",
    b"=15\r\ntxt:Some string\r\n",
    b"!10\r\nERR unwell\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n+OK\r\n",
)
PUSH = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nfoo\r\n"


def to_all(*said: bytes | float | Script) -> Replies:
    """This to each command."""
    return lambda words, answer: said


def to_info(*said: bytes | float | Script) -> Replies:
    """This to INFO, in all its forms."""
    return lambda words, answer: said if words[0] == "INFO" else None


def to_info_in_turn(variants: Sequence[bytes]) -> Replies:
    """Each of these in its turn."""
    turns = itertools.cycle(variants)
    return lambda words, answer: (next(turns),) if words[0] == "INFO" else None


def to_info_without_end(piece: bytes, begin: bytes = b"", every_s: float = 0.0) -> Replies:
    """The same piece again and again, until the client has enough."""

    def said() -> Iterator[bytes | float]:
        yield begin
        while True:
            yield piece
            if every_s:
                yield every_s

    return lambda words, answer: said() if words[0] == "INFO" else None


def a_byte_a_second(words: Words, answer: Answer) -> Said:
    for byte in answer(words):
        yield bytes((byte,))
        yield 1.0


def late(words: Words, answer: Answer) -> Said:
    return (LATE_S, answer(words))


def twice(words: Words, answer: Answer) -> Said:
    return (answer(words) * 2,)


def after_a_push(words: Words, answer: Answer) -> Said:
    return (PUSH + answer(words),)


def cut(by: Script) -> Replies:
    """The first half of the reply to INFO, then the end of the connection."""

    def replies(words: Words, answer: Answer) -> Said | None:
        whole = answer(words)
        return (whole[: len(whole) // 2], by) if words[0] == "INFO" else None

    return replies


def errors_to_others() -> Replies:
    """An error reply of each kind in its turn to every command but INFO, also those with a reason."""
    words_of_errors = itertools.cycle(
        [*OTHER_WORDS, *("BUSY", "NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "NOPROTO")]
    )
    return lambda words, answer: None if words[0] in ("INFO", "CLIENT") else (_error(next(words_of_errors)),)


def errors_to_all(*codes: str) -> Replies:
    """An error reply of each of these kinds in its turn to every command."""
    turns = itertools.cycle(codes)
    return lambda words, answer: (_error(next(turns)),)


def _error(code: str) -> bytes:
    """Some of its bytes are not UTF-8."""
    return b"-%s the server is not well \xff\x1b[2J\r\n" % code.encode()


@cache
def _lines(form: bytes, count: int) -> bytes:
    return b"".join(form % number for number in range(count))


def more_of(section: str, form: bytes, count: int) -> Replies:
    """INFO with so many more lines of a section; `form` makes a line of its number."""
    wanted = {section, "all", "everything"}

    def replies(words: Words, answer: Answer) -> Said | None:
        asked = {word.lower() for word in words[1:]}
        if words[0] != "INFO" or not (asked & wanted or (not asked and section == "keyspace")):
            return None
        text = answer(words).partition(b"\r\n")[2][:-2]
        lines = _lines(form, count)
        return (b"$%d\r\n" % (len(text) + len(lines)), text, lines, b"\r\n")

    return replies


def lines_alone(count: int) -> Replies:
    """INFO of so many fields that nobody knows."""
    return lambda words, answer: (_bulk_of_lines(count),) if words[0] == "INFO" else None


@cache
def _bulk_of_lines(count: int) -> bytes:
    return bulk(_lines(b"field%07d:1000\r\n", count))


@cache
def noise() -> bytes:
    """The same each time. The first byte begins no reply."""
    return b"\x00\xff" + random.Random(1).randbytes(65_536)


def say_noise(talk: Conversation) -> None:
    talk.send(noise())
    talk.silence()


def serve_http(talk: Conversation) -> None:
    talk.receive()
    talk.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    talk.close()


def push_first(talk: Conversation) -> None:
    """Send what nobody asked for, before anybody asks."""
    talk.send(PUSH)
    talk.silence()
