"""Logs that a server keeps as numbered entries, SLOWLOG and those of COMMANDLOG: what passes through one,
counted by command.

An entry is [id, Unix time, microseconds or bytes, …, arguments, …]; some servers put a number before the
arguments. Of the arguments only the first is read, which names the command: the rest is the users' own.

One server gives its log's newest entries first, with ids that rise by one and begin at 0 with each run: the
ids show what is new, and what is gone. Where a reply joins the logs of several threads or nodes, ids jump or
repeat: there, all that is read of an entry shows whether it is new.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from exporter.protocol.command import Command

#: entries that are asked for at once at most
BATCH_MAX = 128
#: entries that are read of one reply: a proxy may answer with as many of each node as were asked for
READ_MAX = 4 * BATCH_MAX
#: entries of a joined log that are remembered
REMEMBERED_MAX = READ_MAX
#: commands that are counted by name; all others are one
COMMANDS_MAX = 256
OTHER = "other"
#: what a command's name looks like. A longer word is rather one that somebody renamed a command to, so that
#: it is hard to guess
_WORD = re.compile(rb"[a-z][a-z0-9._|-]{0,31}\Z")


@dataclass(frozen=True, slots=True)
class LoggedCommand:
    id: int
    time: int  # Unix seconds
    amount: int  # microseconds or bytes
    command: str


@dataclass(slots=True)
class Count:
    """Entries of one command."""

    entries: int = 0
    amount: int = 0
    amount_max: int = 0


class JoinedEntries:
    """The entries of several logs that a server joins, the newest `REMEMBERED_MAX` that were seen. What is
    gone of them is not known."""

    __slots__ = ("_cut_at", "_seen")

    def __init__(self) -> None:
        self._seen: dict[LoggedCommand, int] = {}  # how many of each; those that were seen last are last
        self._cut_at = -1  # time of the oldest entry of a reply that may not have been all

    def note(self, entries: Sequence[LoggedCommand]) -> list[LoggedCommand]:
        """Remember these, and return those that are new. What is older than a reply that was cut was there
        before, but out of sight."""
        fresh: list[LoggedCommand] = []
        for entry, number in Counter(entries).items():
            known = self._seen.pop(entry, 0)
            self._seen[entry] = max(number, known)
            if entry.time > self._cut_at:
                fresh.extend([entry] * (number - known))
        for oldest in list(self._seen)[:-REMEMBERED_MAX]:
            del self._seen[oldest]
        self._cut_at = min(entry.time for entry in entries) if len(entries) >= BATCH_MAX else -1
        return fresh


class EntryLog:
    """One log of one target, each entry counted once. `missed` are those that were gone before they could
    be read."""

    __slots__ = ("_begun", "_is_numbered", "_joined", "_newest", "counts", "missed")

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}
        self.missed = 0
        self._begun = False  # whether it was ever read
        self._newest: LoggedCommand | None = None  # that was taken; None: the log has been empty so far
        self._is_numbered = False  # whether the ids of several entries have risen by one
        self._joined: JoinedEntries | None = None  # None: it is one log, as far as known

    @property
    def first_count(self) -> int:
        """How many entries to ask for before `follow`: what shows whether there are new ones."""
        return 1 if self._joined is None else BATCH_MAX

    def follow(
        self, length: object, reply: object, ask: Callable[[int], Command]
    ) -> Generator[list[Command], list[Any], None]:
        """Count what is new, given the replies of the log's length and of `ask(first_count)`; ask for more
        where that is not all.

        The first reading counts nothing: what it finds may be of any age. Nothing is remembered of a reading
        that an error ended.
        """
        held = length if isinstance(length, int) else 0
        asked, entries = self.first_count, read_entries(reply)
        while entries and asked <= len(entries) and asked < BATCH_MAX:
            wanted = BATCH_MAX if is_joined(entries, asked) else self._wanted(entries[0], held)
            if wanted <= asked:
                break
            asked = min(max(wanted, 2 * asked), BATCH_MAX)
            [reply] = yield [ask(asked)]
            entries = read_entries(reply)
        if entries is None:
            return
        if self._joined is None and is_joined(entries, asked):
            self._joined = JoinedEntries()
            self._joined.note(entries)
            fresh = list(self._after_newest(entries))
        elif self._joined is not None:
            fresh = self._joined.note(entries)
        else:
            fresh = self._numbered(entries, held)
        if self._begun:
            self._count(fresh)
        self._begun = True
        if entries:
            self._newest = entries[0]

    def _wanted(self, first: LoggedCommand, held: int) -> int:
        """How many entries to look at, where the newest one is `first`. Two show whether ids rise by one."""
        newest = self._newest
        if not self._begun:
            return min(2, held)
        if newest is None:
            return held
        if first == newest:
            return 0
        return first.id - newest.id if first.id > newest.id else max(2, first.id + 1)

    def _numbered(self, entries: list[LoggedCommand], held: int) -> list[LoggedCommand]:
        """The new ones of a log whose ids rise by one.

        An id that is not above one before is of a server that was restarted since, or of another one at the
        same address: entries that are older than the newest one before are not new. (The run's own id is no
        help: the facts of a poll are those of the poll before.)
        """
        self._is_numbered = self._is_numbered or len(entries) > 1
        newest = self._newest
        if not entries or entries[0] == newest:
            return []
        if newest is None:
            fresh, behind = entries, held
        else:
            since = newest.id if entries[0].id > newest.id else -1
            fresh = [entry for entry in entries if entry.id > since and entry.time >= newest.time]
            behind = entries[0].id - since
        if self._begun and self._is_numbered and len(fresh) == len(entries):
            self.missed += max(0, behind - len(entries))
        return fresh

    def _after_newest(self, entries: list[LoggedCommand]) -> Iterable[LoggedCommand]:
        """Of a log that turns out to be joined, what came after the newest entry that was taken: what is
        later, or stands before it."""
        newest = self._newest
        before = newest in entries
        for entry in entries:
            before = before and entry != newest
            if newest is None or before or entry.time > newest.time:
                yield entry

    def _count(self, entries: Iterable[LoggedCommand]) -> None:
        for entry in entries:
            known = entry.command in self.counts or len(self.counts) < COMMANDS_MAX
            count = self.counts.setdefault(entry.command if known else OTHER, Count())
            count.entries += 1
            count.amount += entry.amount
            count.amount_max = max(count.amount_max, entry.amount)


def is_joined(entries: Sequence[LoggedCommand], asked: int) -> bool:
    """Whether these, of which `asked` were asked for, are of several logs: one log's ids fall by one from
    entry to entry."""
    if len(entries) > asked:
        return True
    return any(newer.id != older.id + 1 for newer, older in pairwise(entries))


def read_entries(reply: object) -> list[LoggedCommand] | None:
    """The entries of a reply without malformed ones, in its order: the newest first. Garnet gives the oldest
    first, so a reply whose ids rise is turned round. None if the reply is not a list."""
    if not isinstance(reply, list):
        return None
    entries = []
    for item in reply[:READ_MAX]:
        if (
            isinstance(item, list)
            and len(item) >= 4
            and isinstance(item[0], int)
            and isinstance(item[1], int)
            and isinstance(item[2], int)
            and item[2] >= 0
        ):
            at = 3
            while at < len(item) - 1 and not isinstance(item[at], list):
                at += 1
            entries.append(LoggedCommand(item[0], item[1], item[2], _word(item[at])))
    if len(entries) > 1 and all(
        later.id == earlier.id + 1 and later.time >= earlier.time for earlier, later in pairwise(entries)
    ):
        entries.reverse()
    return entries


def _word(arguments: object) -> str:
    """The command's name, of its arguments."""
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], bytes):
        word = arguments[0].lower()
        if _WORD.match(word):
            return word.decode()
    return OTHER
