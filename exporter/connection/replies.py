"""Replies of one exchange: their bytes are bounded first, and then read by hiredis.

A reply that is larger than the limits is skipped, and an error reply takes its place: so only the collector
that asked for it goes without. A reply that cannot be skipped within `total_max` bytes, and what is not
RESP2, ends the exchange at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import hiredis

from exporter import engine
from exporter.engine import BROKEN, DONE, HOPELESS, SKIPPED, TOO_LARGE, Frames
from exporter.engine.plain.frames import ERRORS_MAX, LINE_MAX
from exporter.errors import TOO_LARGE as TOO_LARGE_CODE
from exporter.errors import ReplyError
from exporter.protocol.command import Reply
from exporter.targets.redaction import NOTHING, Redaction

#: the largest known INFO has 0.1 MB, a CLIENT LIST about 350 bytes a client; copying more holds the loop for
#: more than 2 ms
MAX_REPLY_BYTES = 4 << 20
#: the largest known list has 9,000 elements, including those of nested lists
MAX_REPLY_ELEMENTS = 100_000
#: all replies of an exchange together may have as many bytes as this number of the largest
REPLIES_IN_ALL = 16
#: fits the integers of the compiled engine, with room for what it adds
TOTAL_BYTES_MAX = 2**62

_INCOMPLETE = object()

#: readers that are kept for the next exchanges: a few serve a whole fleet that is polled in a burst
READERS_MAX = 64
#: a reader keeps the memory of what it read last; larger ones are not kept
READER_BYTES_MAX = 256 * 1024
_idle_readers: list[ReplyReader] = []


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """What one reply may have."""

    bytes_max: int = MAX_REPLY_BYTES
    elements_max: int = MAX_REPLY_ELEMENTS

    total_max: int = field(init=False)  # bytes of all replies of an exchange

    def __post_init__(self) -> None:
        object.__setattr__(self, "total_max", min(REPLIES_IN_ALL * self.bytes_max, TOTAL_BYTES_MAX))


DEFAULT_LIMITS = ReplyLimits()


class NotRespError(Exception):
    """The data is not RESP2. The text says why."""


class TooMuchError(Exception):
    """The replies are too large even to be skipped. The text says why."""


class _ErrorMaker:
    """Makes the values of error replies. It is a separate object because a reader that refers to itself would
    keep its memory until the garbage collector runs."""

    __slots__ = ("redaction",)

    def __init__(self) -> None:
        self.redaction = NOTHING

    def __call__(self, text: str) -> ReplyError:
        return ReplyError(text, self.redaction.clean)


@lru_cache(16)
def _too_large(text: str) -> ReplyError:
    """One value for all of them: a server can send thousands."""
    return ReplyError(f"{TOO_LARGE_CODE} {text}")


class ReplyDecoder:
    """Makes values of the replies of one connection."""

    __slots__ = ("_limits", "_redaction")

    def __init__(self, limits: ReplyLimits = DEFAULT_LIMITS, redaction: Redaction = NOTHING) -> None:
        self._limits = limits
        self._redaction = redaction

    def decode(self, data: bytes, count: int) -> list[Reply]:
        reader = borrow_reader(count, self._limits, self._redaction)
        reader.take(data)
        replies = reader.replies
        give_back(reader)
        return replies


class RawReplies(engine.Received):
    """The replies of one exchange as they came: `data`, and `ends`: where each reply ends in it. `received`
    counts the bytes.

    `whole`: all bytes are in `data`. They are not if a limit passed over a reply, nor if the replies were
    read in pieces, as large ones are: then `data` and `ends` are empty, and only `decode` is of use.
    """

    __slots__ = ()

    source: ReplyDecoder
    replies: list[Reply] | None

    @property
    def whole(self) -> bool:
        return bool(self.ends)

    def decode(self) -> list[Reply]:
        """The same as `Connection.exchange` gives; made by the first call. Raises TooMuchError if there is no
        memory."""
        if self.replies is None:
            self.replies = self.source.decode(self.data, len(self.ends))
        return self.replies


def whole_replies(data: bytes, ends: tuple[int, ...], source: ReplyDecoder) -> RawReplies:
    """Replies that are all in `data`."""
    made = RawReplies()
    made.data, made.ends, made.received = data, ends, len(data)
    made.source, made.replies = source, None
    return made


def decoded_replies(replies: list[Reply], received: int) -> RawReplies:
    """Replies that were decoded while they came; `received` bytes."""
    made = RawReplies()
    made.data, made.ends, made.received, made.replies = b"", (), received, replies
    return made


class ReplyReader:
    """Reads the replies of one exchange. `replies` are those read so far, `received` counts the bytes;
    `spare`: more came than was expected. A `raw` one only keeps what comes, until `decode` is called."""

    __slots__ = (
        *("_count", "_frames", "_limits", "_make_error", "_pieces", "_reader"),
        *("received", "replies", "spare"),
    )

    def __init__(self) -> None:
        self._frames = Frames()
        self._make_error = _ErrorMaker()
        self._reader = self._new_reader()
        self._limits = DEFAULT_LIMITS
        self.expect(1, self._limits)

    def _new_reader(self) -> hiredis.Reader:
        return hiredis.Reader(replyError=self._make_error, notEnoughData=_INCOMPLETE)

    def expect(
        self, count: int, limits: ReplyLimits, redaction: Redaction = NOTHING, *, raw: bool = False
    ) -> None:
        """Start again, with `count` > 0 replies. `redaction` cleans what error replies show."""
        self.replies: list[Reply] = []
        self.received = 0
        self.spare = False
        self._count = count
        self._limits = limits
        self._pieces: list[bytes] | None = [] if raw else None
        self._make_error.redaction = redaction
        self._frames.expect(count, limits.bytes_max, limits.elements_max, limits.total_max)

    def take(self, data: bytes) -> bool:
        """Read more data. True if all replies are there. Raises NotRespError or TooMuchError, after which
        nothing more can be read."""
        frames = self._frames
        self.received += len(data)
        code = frames.scan(data)
        if code > DONE:
            return self._pass_over(data, code)
        if frames.at < len(data):
            self.spare = True
            data = data[: frames.at]
        elif frames.skipping:
            return False
        self._feed(data)
        return code == DONE

    def decode(self) -> None:
        """Read what a `raw` one has kept, and all that comes from now on."""
        pieces, self._pieces = self._pieces, None
        if pieces:
            self._feed(b"".join(pieces))

    def forget(self) -> None:
        """Let go of the replies."""
        self.replies, self._pieces = [], None

    @property
    def is_within(self) -> bool:
        """Whether a reply has begun, and its end has not come."""
        return self._frames.skipping or self._frames.at > self._frames.kept

    @property
    def raw_replies(self) -> RawReplies:
        """All replies of a `raw` one, once they are there."""
        if self._pieces is None:
            return decoded_replies(self.replies, self.received)
        decoder = ReplyDecoder(self._limits, self._make_error.redaction)
        return whole_replies(b"".join(self._pieces), self._frames.ends, decoder)

    def _pass_over(self, data: bytes, code: int) -> bool:
        """The same if a reply is too large, or is not RESP2."""
        frames = self._frames
        begin = 0  # data before it is read already, or is to be skipped
        while True:
            if code == BROKEN:
                raise NotRespError(frames.why)
            if code == HOPELESS:
                raise TooMuchError(self._describe(frames.why, in_all=True))
            if code == TOO_LARGE:
                self.decode()
                self._feed(data[begin : frames.kept])
                self._reader = self._new_reader()  # the old one holds what came of it
            elif code == SKIPPED:
                self.replies.append(_too_large(self._describe(frames.why)))
                begin = frames.at
                if len(self.replies) == self._count:
                    self.spare = begin < len(data)
                    return True
            else:
                if not frames.skipping:
                    self._feed(data[begin : frames.at])
                    self.spare = frames.at < len(data)
                return code == DONE
            code = frames.scan(data, frames.at)

    def _feed(self, data: bytes) -> None:
        """Let hiredis read."""
        if self._pieces is not None:
            self._pieces.append(data)
            return
        reader, replies, count = self._reader, self.replies, self._count
        try:
            reader.feed(data)
            while len(replies) < count and (reply := reader.gets()) is not _INCOMPLETE:
                replies.append(reply)
        except hiredis.ProtocolError as error:  # the scan before refuses all that hiredis refuses
            raise NotRespError(str(error)) from None
        except MemoryError:
            raise TooMuchError("there is no memory for the replies") from None

    def _describe(self, why: str, *, in_all: bool = False) -> str:
        """Which limit was passed. `in_all`: the reply does not even end within the bytes of all replies."""
        limits = self._limits
        if why == "a line is too long":
            return f"{why}: at most {LINE_MAX:,} bytes a status or an error"
        if why == "the replies have too many errors within lists":
            return f"{why}: at most {ERRORS_MAX}"
        if in_all:
            in_one = f"{REPLIES_IN_ALL} times the {limits.bytes_max:,} bytes of --reply.max-bytes"
            return f"{why}: at most {limits.total_max:,} bytes in all, {in_one}"
        if why == "a reply has too many elements":
            return f"{why}: at most {limits.elements_max:,} elements a reply (--reply.max-elements)"
        return f"{why}: at most {limits.bytes_max:,} bytes a reply (--reply.max-bytes)"


def borrow_reader(
    count: int, limits: ReplyLimits, redaction: Redaction = NOTHING, *, raw: bool = False
) -> ReplyReader:
    """A reader for `count` > 0 replies: a kept one, or a new one."""
    reader = _idle_readers.pop() if _idle_readers else ReplyReader()
    reader.expect(count, limits, redaction, raw=raw)
    return reader


def give_back(reader: ReplyReader) -> None:
    """Keep a reader whose `take` gave True, without its replies and without the memory of large ones."""
    reader.forget()
    if len(_idle_readers) < READERS_MAX and reader.received <= READER_BYTES_MAX:
        _idle_readers.append(reader)


def read_unasked(data: bytes) -> Sequence[Reply]:
    """The first reply in `data`, if it is complete. Raises like `ReplyReader.take`."""
    reader = ReplyReader()
    reader.take(data)
    return reader.replies
