"""Replies as they come: where they end, what is handed on, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from exporter.connection.replies import NotRespError, ReplyLimits, ReplyReader, TooMuchError
from exporter.errors import ReplyError
from tests.engine.test_exchange import assert_reported_alike
from tests.engine.test_frames import AMPLE, TOKENS, assert_hiredis_reads, steps
from tests.fuzz.case import Case, Script
from tests.fuzz.cases.engines import BOTH
from tests.fuzz.corpus import wire_replies

#: bytes and elements of a reply, bytes of all
LIMITS = (AMPLE, (30, 4, 200), (60, 100, 90), (200, 20, 400))
REPLY_LIMITS = (ReplyLimits(), *(ReplyLimits(*limits[:2]) for limits in LIMITS[1:]))
#: replies or exchanges that are awaited
AWAITED_MAX = 8


class _Stream(Case):
    """Its inputs are some choices, and what a server sends."""

    length_max = 700
    words = (
        *TOKENS,
        b"$-1\r\n",
        b"*-1\r\n",
        b"\r\n+",
        b"-ERR ",
        b"-MOVED 1 h:1\r\n",
        b"99999",
        b"-9223372036854775808",
    )
    #: bytes of an input that its choices take
    choices = b"\0\0\0\0"

    def seeds(self) -> Iterable[bytes]:
        for reply in (*TOKENS, *wire_replies(self.length_max - len(self.choices))):
            yield self.choices + reply


class Frames(_Stream):
    choices = b"\0\0\0"

    def check(self, data: bytes) -> None:
        script = Script(data)
        awaited, limits = 1 + script.below(AWAITED_MAX), script.one_of(LIMITS)
        pieces = script.pieces()
        ours, plain = (list(steps(engine, pieces, awaited, limits)) for engine in BOTH)
        assert ours == plain
        assert_hiredis_reads(b"".join(pieces), awaited)


class Exchange(_Stream):
    def check(self, data: bytes) -> None:
        script = Script(data)
        counts = [1 + script.below(AWAITED_MAX) for _ in range(1 + script.below(4))]
        limits = script.one_of(LIMITS)
        assert_reported_alike(script.pieces(), counts, limits, None)


class Replies(_Stream):
    """However replies are cut, the same is read."""

    choices = b"\0\0\0"

    def check(self, data: bytes) -> None:
        script = Script(data)
        awaited, limits = 1 + script.below(AWAITED_MAX), script.one_of(REPLY_LIMITS)
        pieces = script.pieces()
        whole = b"".join(pieces)
        by_pieces = _read(pieces, awaited, limits)
        if len(whole) <= limits.total_max:  # more is refused as soon as it is known
            assert by_pieces == _read([whole], awaited, limits)


def _read(pieces: Sequence[bytes], awaited: int, limits: ReplyLimits) -> tuple[Any, ...]:
    """What is read, and whether it is all that is awaited; or why it cannot be read."""
    reader = ReplyReader()
    reader.expect(awaited, limits)
    is_complete = False
    try:
        for piece in pieces:
            is_complete = reader.take(piece)
            if is_complete:
                break
    except (NotRespError, TooMuchError) as error:
        return type(error), str(error)
    assert is_complete == (len(reader.replies) == awaited)
    return is_complete, _shown(reader.replies)


def _shown(reply: Any) -> Any:
    """A reply that can be compared: two errors are never equal."""
    if isinstance(reply, list):
        return [_shown(each) for each in reply]
    return repr(reply.text) if isinstance(reply, ReplyError) else reply
