"""What a target's polls ask again and again, in one batch, and who gets which replies.

Nearly all polls ask what the poll before them asked, and nothing about their replies has to be decided. After
such a poll a program is left. The next poll of the same collectors sends it and reads the replies without
asking the collectors (`steady_poll`), as long as nothing on which they decide has changed.

What the server refuses is left out of a program too: it holds until one of these commands is to be sent
again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakValueDictionary

from exporter.collectors._enabled import EnabledCollector
from exporter.protocol.command import Command, pack
from exporter.protocol.facts import Facts

Collectors = tuple[EnabledCollector, ...]


class ProgramRow(NamedTuple):
    """Of one collector: the places of its replies in the batch, the first byte of each, and which commands
    are in the batch for it. It `repeats` if equal replies give the block of the poll before; else it reads
    them again. `refused` are the places of its other commands among all that it asks; `is_refused`: the
    server refuses what it is for."""

    enabled: EnabledCollector
    places: tuple[int, ...]
    kinds: bytes
    sent: tuple[Command, ...]
    repeats: bool
    refused: tuple[int, ...] = ()
    is_refused: bool = False


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Program:
    """The commands of a batch, as they are sent, and its rows. Targets that ask the same share it."""

    commands: tuple[Command, ...]
    rows: tuple[ProgramRow, ...]
    request: bytes = field(init=False)
    repeating: tuple[ProgramRow, ...] = field(init=False)
    reading: tuple[ProgramRow, ...] = field(init=False)
    #: what was sent for each collector that reads
    asked: dict[str, Sequence[Command]] = field(init=False)
    #: collectors that the server refuses
    unsupported: set[str] = field(init=False)

    def __post_init__(self) -> None:
        reading = tuple(row for row in self.rows if not row.repeats)
        object.__setattr__(self, "request", pack(self.commands))
        object.__setattr__(self, "repeating", tuple(row for row in self.rows if row.repeats))
        object.__setattr__(self, "reading", reading)
        object.__setattr__(self, "asked", {row.enabled.name: row.sent for row in reading})
        object.__setattr__(self, "unsupported", {row.enabled.name for row in self.rows if row.is_refused})


_shared: WeakValueDictionary[tuple[tuple[Command, ...], tuple[ProgramRow, ...]], Program] = (
    WeakValueDictionary()
)


def shared_program(commands: tuple[Command, ...], rows: tuple[ProgramRow, ...]) -> Program:
    """The same object for all targets that ask the same."""
    key = (commands, rows)
    program = _shared.get(key)
    if program is None:
        program = _shared[key] = Program(commands, rows)
    return program


class Programs:
    """Those of one target, by its due collectors. They hold for one context, which is replaced as a whole,
    for the same facts, and for one version of what is known to be refused."""

    __slots__ = ("_by_collectors", "_context", "_facts", "_until", "_version")

    def __init__(self) -> None:
        self._by_collectors: dict[Sequence[EnabledCollector], Program] = {}
        #: monotonic moments from which on one is of no use, if there is such a moment
        self._until: dict[Sequence[EnabledCollector], float] = {}
        self._context: object = None
        self._facts: Facts | None = None
        self._version = 0

    def find(
        self,
        collectors: Sequence[EnabledCollector],
        context: object,
        facts: Facts | None,
        version: int,
        now: float,
    ) -> Program | None:
        """The program of these collectors at the monotonic moment `now`, if there is one under this context,
        of these facts and of this version of what is known to be refused."""
        if self._context is not context or self._facts is not facts or self._version != version:
            return None
        if self._until and self._until.get(collectors, math.inf) <= now:
            return None
        return self._by_collectors.get(collectors)

    def put(
        self,
        collectors: Collectors,
        context: object,
        facts: Facts | None,
        version: int,
        program: Program,
        until: float = math.inf,
    ) -> None:
        """Use this program from now on, before the monotonic moment `until`."""
        if self._context is not context or self._facts is not facts or self._version != version:
            self.clear()
            self._context, self._facts, self._version = context, facts, version
        self._by_collectors[collectors] = program
        if until < math.inf:
            self._until[collectors] = until
        else:
            self._until.pop(collectors, None)

    def drop(self, collectors: Sequence[EnabledCollector]) -> None:
        """Something about a poll of these collectors was to be decided: forget the programs that any of them
        is in."""
        found, changed = self._by_collectors, set(collectors)
        if found:
            self._by_collectors = {key: found[key] for key in found if changed.isdisjoint(key)}
            self._until = {key: until for key, until in self._until.items() if key in self._by_collectors}

    def clear(self) -> None:
        """Forget all of them."""
        self._by_collectors.clear()
        self._until.clear()
        self._context = self._facts = None
