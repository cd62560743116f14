"""Replies of one exchange: their bytes are bounded first, and then read by hiredis.

A reply that is larger than the limits is walked over and stands among the others as an error: so it costs the
collector that asked for it, and no other. What cannot be walked over within `total_max` bytes, and what is no
RESP2, ends the exchange at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import hiredis

from exporter.engine import BROKEN, DONE, HOPELESS, SKIPPED, TOO_LARGE, Frames
from exporter.engine.plain.frames import ERRORS_MAX, LINE_MAX
from exporter.errors import TOO_LARGE as TOO_LARGE_CODE
from exporter.errors import ReplyError
from exporter.protocol.command import Reply
from exporter.targets.redaction import NOTHING, Redaction

#: the largest INFO on record has 0.1 MB, a CLIENT LIST some 350 bytes a client; to copy more takes the loop
#: more than 2 ms
MAX_REPLY_BYTES = 4 << 20
#: the largest list on record has 9,000 elements, those of its lists included
MAX_REPLY_ELEMENTS = 100_000
#: all replies of an exchange together may have as many bytes as so many of the largest
REPLIES_IN_ALL = 16

_INCOMPLETE = object()

#: readers of exchanges that ended well, for the next ones: of a fleet that is polled in a burst a few serve
#: all, and stay warm
READERS_MAX = 64
#: a reader keeps the memory of what it has read, until it reads again
READER_BYTES_MAX = 256 * 1024
_idle_readers: list[ReplyReader] = []


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """What one reply may have."""

    bytes_max: int = MAX_REPLY_BYTES
    elements_max: int = MAX_REPLY_ELEMENTS

    total_max: int = field(init=False)  # bytes of all replies of an exchange

    def __post_init__(self) -> None:
        object.__setattr__(self, "total_max", REPLIES_IN_ALL * self.bytes_max)


DEFAULT_LIMITS = ReplyLimits()


class NotRespError(Exception):
    """What came is no RESP2. The text says why."""


class TooMuchError(Exception):
    """What comes is too large even to be passed over. The text says why."""


class _ErrorMaker:
    """Makes the values of error replies. An object of its own: a reader that held itself would keep its
    memory until Python looks for such cycles."""

    __slots__ = ("redaction",)

    def __init__(self) -> None:
        self.redaction = NOTHING

    def __call__(self, text: str) -> ReplyError:
        return ReplyError(text, self.redaction.clean)


@lru_cache(16)
def _too_large(text: str) -> ReplyError:
    """One value for all of them: a server can send thousands."""
    return ReplyError(f"{TOO_LARGE_CODE} {text}")


class ReplyReader:
    """`replies` are those read so far, and `received` the bytes; `spare` says whether more came than was
    awaited."""

    __slots__ = ("_count", "_frames", "_limits", "_make_error", "_reader", "received", "replies", "spare")

    def __init__(self) -> None:
        self._frames = Frames()
        self._make_error = _ErrorMaker()
        self._reader = self._new_reader()
        self._limits = DEFAULT_LIMITS
        self.expect(1, self._limits)

    def _new_reader(self) -> hiredis.Reader:
        return hiredis.Reader(replyError=self._make_error, notEnoughData=_INCOMPLETE)

    def expect(self, count: int, limits: ReplyLimits, redaction: Redaction = NOTHING) -> None:
        """Begin anew, with `count` > 0 replies. What error replies show is cleaned by `redaction`."""
        self.replies: list[Reply] = []
        self.received = 0
        self.spare = False
        self._count = count
        self._limits = limits
        self._make_error.redaction = redaction
        self._frames.expect(count, limits.bytes_max, limits.elements_max, limits.total_max)

    def take(self, data: bytes) -> bool:
        """Read on. Whether all replies are there. Raises NotRespError or TooMuchError; there is nothing to
        be read after that."""
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

    def _pass_over(self, data: bytes, code: int) -> bool:
        """The same where a reply is too large, or is none."""
        frames = self._frames
        begin = 0  # what stands before it was fed, or is to be passed over
        while True:
            if code == BROKEN:
                raise NotRespError(frames.why)
            if code == HOPELESS:
                raise TooMuchError(self._describe(frames.why, in_all=True))
            if code == TOO_LARGE:
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
        """Read what may be read."""
        reader, replies, count = self._reader, self.replies, self._count
        try:
            reader.feed(data)
            while len(replies) < count and (reply := reader.gets()) is not _INCOMPLETE:
                replies.append(reply)
        except hiredis.ProtocolError as error:  # the walk lets nothing through that hiredis refuses
            raise NotRespError(str(error)) from None
        except MemoryError:
            raise TooMuchError("there is no memory for the replies") from None

    def _describe(self, why: str, *, in_all: bool = False) -> str:
        """Which limit it was. `in_all`: not even the walk over it would end within what all replies may
        have."""
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


def borrow_reader(count: int, limits: ReplyLimits, redaction: Redaction = NOTHING) -> ReplyReader:
    """A reader for `count` > 0 replies: one that was given back, or a new one."""
    reader = _idle_readers.pop() if _idle_readers else ReplyReader()
    reader.expect(count, limits, redaction)
    return reader


def give_back(reader: ReplyReader) -> None:
    """Only after `take` gave True. Nothing is kept of its replies, nor the memory of large ones."""
    reader.replies = []
    if len(_idle_readers) < READERS_MAX and reader.received <= READER_BYTES_MAX:
        _idle_readers.append(reader)


def read_unasked(data: bytes) -> Sequence[Reply]:
    """The first reply in `data`, if it is there whole. Raises as `ReplyReader.take`."""
    reader = ReplyReader()
    reader.take(data)
    return reader.replies
