"""How much of a reply is read: lines of a text, rows of a list. The rest is left out and counted.

These bounds limit the work of reading. Other limits have been applied when a reply was received: see
connection/replies.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from exporter.protocol.command import PIECE, Command, Reply

ROWS_MAX = 10_000
#: average length of a line, above which a text is cut even if it does not have too many lines. INFO has 25
#: bytes a line, CLIENT LIST 350
LINE_BYTES = 512
#: lines that are left out are counted in this many bytes, and estimated for a longer rest: counting takes
#: time too
COUNTED_BYTES = 1 << 18
#: in a shorter text all lines are counted first: that is quicker than a search for the last one to keep
SHORT_BYTES = 1 << 20
#: longer lines are left out. CLUSTER NODES has the longest: about 6 bytes for each of 8,192 slot ranges
LINE_BYTES_MAX = 1 << 16
#: commands whose replies consist of lines; the text of another reply may be anything, and is read as a whole
_LINES = ("INFO", "CLIENT ", "CLUSTER ")


@dataclass(frozen=True, slots=True)
class ReplyBounds:
    """At most `rows_max` lines of a text or elements of a list; `by_command` has other limits for some
    commands, by their names."""

    rows_max: int = ROWS_MAX
    by_command: Mapping[str, int] = field(default_factory=dict)
    #: a reply of at most this many bytes or elements is read whole, whatever its command is
    least: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "least", min((self.rows_max, *self.by_command.values())))

    def within(self, command: str, reply: Reply) -> tuple[Reply, int]:
        """What is read of a reply, the same object if all of it; and how many lines or rows that leaves
        out."""
        rows_max = self.by_command.get(command, self.rows_max) if self.by_command else self.rows_max
        if isinstance(reply, bytes):
            if len(reply) > LINE_BYTES_MAX and command.startswith(_LINES):
                reply, long = leave_out_long_lines(reply, LINE_BYTES_MAX)
                reply, cut = cut_lines(reply, rows_max)
                return reply, cut + long
            return cut_lines(reply, rows_max)
        if isinstance(reply, list) and len(reply) > rows_max:
            kept = rows_max - rows_max % 2  # names and values may stand in turn
            return reply[:kept], len(reply) - kept
        return reply, 0

    def shorten(
        self, commands: Sequence[Command], replies: Sequence[Reply]
    ) -> tuple[list[Reply], Sequence[int]]:
        """The same for the replies to several commands. () instead of numbers if nothing is left out."""
        kept, cuts = list(replies), [0] * len(replies)
        least = self.least
        for place, reply in enumerate(kept):
            if (type(reply) is bytes or type(reply) is list) and len(reply) > least:
                kept[place], cuts[place] = self.within(commands[place].name, reply)
        return kept, cuts if any(cuts) else ()


def leave_out_long_lines(text: bytes, bytes_max: int) -> tuple[bytes, int]:
    """The text without lines of more than `bytes_max` bytes (their ends not counted), and how many those
    are."""
    kept, long = [], 0
    begin = at = 0  # of what is kept next; of a line
    while len(text) - at > bytes_max:
        end = text.rfind(b"\n", at, at + bytes_max + 1) + 1  # of the last line that ends so near
        if not end:
            long += 1
            kept.append(text[begin:at])
            begin = end = text.find(b"\n", at + bytes_max) + 1 or len(text)
        at = end
    return (b"".join([*kept, text[begin:]]), long) if long else (text, 0)


def cut_lines(text: bytes, lines_max: int) -> tuple[bytes, int]:
    """The text up to its `lines_max`th line, and how many lines that leaves out."""
    if len(text) <= lines_max:
        return text, 0
    end = min(len(text), lines_max * LINE_BYTES)
    if end < len(text):
        end = text.rfind(b"\n", 0, end) + 1 or end
    if end > SHORT_BYTES or text.count(b"\n", 0, end) > lines_max:
        end = _end_of_line(text, lines_max, end)
    if end == len(text):
        return text, 0
    rest = len(text) - end
    counted = min(rest, COUNTED_BYTES)
    cut = text.count(b"\n", end, end + counted) + (not text.endswith(b"\n") and counted == rest)
    return text[:end], max(1, cut * rest // counted)


def _end_of_line(text: bytes, number: int, limit: int) -> int:
    """Where the line of that number ends, `limit` at most."""
    end = 0
    for _ in range(number):
        following = text.find(b"\n", end, limit) + 1
        if not following:
            return limit
        end = following
    return end


@lru_cache(16)
def bounds_for(rows_max: int, clients_max: int) -> ReplyBounds:
    """The bounds of all targets, the same object. CLIENT LIST has a limit of its own, with some room for
    clients that connect before the reply."""
    return ReplyBounds(rows_max, {"CLIENT LIST": clients_max + clients_max // 10 + PIECE})
