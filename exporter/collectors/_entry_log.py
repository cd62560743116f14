"""Logs that a server keeps as numbered entries, SLOWLOG and those of COMMANDLOG: what passes through one,
counted by command.

An entry is [id, Unix time, microseconds or bytes, arguments, …]. Ids rise by one and begin at 0 with each run
of the server; the log keeps the newest entries. Of the arguments only the first is read, which names the
command: the rest is the users' own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from exporter.protocol.command import Command

#: entries that are asked for at once at most
BATCH_MAX = 128
#: commands that are counted by name; all others are one
COMMANDS_MAX = 256
OTHER = "other"
#: what a command's name looks like. A longer word is rather one that somebody renamed a command to, so that
#: it is hard to guess
_WORD = re.compile(rb"[a-z][a-z0-9._|-]{0,31}\Z")


@dataclass(frozen=True, slots=True)
class LoggedCommand:
    id: int
    amount: int  # microseconds or bytes
    command: str


@dataclass(slots=True)
class Count:
    """Entries of one command."""

    entries: int = 0
    amount: int = 0
    amount_max: int = 0


class EntryLog:
    """One log of one target, each entry counted once. `missed` are those that were gone before they could
    be read."""

    __slots__ = ("_begun", "_seen", "counts", "missed")

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}
        self.missed = 0
        self._begun = False  # whether it was ever read
        self._seen: int | None = (
            None  # id of the newest entry that was taken; None: the log has been empty so far
        )

    def follow(
        self, length: object, reply: object, ask: Callable[[int], Command]
    ) -> Generator[list[Command], list[Any], None]:
        """Count what is new, given the replies of the log's length and of `ask(1)`; ask for more where that
        is not all.

        The first reading counts nothing: what it finds may be of any age. An id that is lower than one before
        is of a server that was restarted since, and whose entries are all new. (The run's own id is no help:
        the facts of a poll are those of the poll before.) Nothing is remembered of a reading that an error
        ended.
        """
        entries = read_entries(reply, 1)
        if entries is None:
            return
        if not self._begun:
            self._begun, self._seen = True, entries[0].id if entries else None
            return
        seen = self._seen
        if entries and seen is not None and entries[0].id < seen:
            seen = -1
        held = length if isinstance(length, int) else 0
        asked, behind = 1, 0
        while entries:
            behind = held if seen is None else entries[0].id - seen
            if behind <= asked or len(entries) < asked or asked == BATCH_MAX:
                break
            asked = min(max(behind, 2 * asked), BATCH_MAX)
            [reply] = yield [ask(asked)]
            entries = read_entries(reply, asked)
            if entries is None:
                return
        self._seen = entries[0].id if entries else seen
        self._count([entry for entry in entries if seen is None or entry.id > seen], behind)

    def _count(self, entries: list[LoggedCommand], behind: int) -> None:
        self.missed += max(0, behind - len(entries))
        for entry in entries:
            known = entry.command in self.counts or len(self.counts) < COMMANDS_MAX
            count = self.counts.setdefault(entry.command if known else OTHER, Count())
            count.entries += 1
            count.amount += entry.amount
            count.amount_max = max(count.amount_max, entry.amount)


def read_entries(reply: object, limit: int) -> list[LoggedCommand] | None:
    """The newest entries, newest first, `limit` at most; without malformed ones. None if the reply is not a
    list."""
    if not isinstance(reply, list):
        return None
    entries = {}
    for item in reply[:limit]:
        if (
            isinstance(item, list)
            and len(item) >= 4
            and isinstance(item[0], int)
            and isinstance(item[2], int)
            and min(item[0], item[2]) >= 0
        ):
            entries[item[0]] = LoggedCommand(item[0], item[2], _word(item[3]))
    return sorted(entries.values(), key=lambda entry: -entry.id)


def _word(arguments: object) -> str:
    """The command's name, of its arguments."""
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], bytes):
        word = arguments[0].lower()
        if _WORD.match(word):
            return word.decode()
    return OTHER
