"""The collector contract.

A collector asks and writes, and does nothing else: no I/O, no clock, no logging of values. `collect` is a generator
that yields batches of commands and is sent their replies, in order, an error reply as a `ReplyError` value:

    def collect(self, facts, options, out):
        [length] = yield [Command.of("SLOWLOG", "LEN")]
        if isinstance(length, int):
            out.add(LENGTH, length)

Raising fails this collector only: its block is left as it was, its success gauge goes to 0.
A test drives it with `next(g)` and `g.send(replies)`: no loop, no server, no mock.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar, Protocol

from exporter.model import Command, Facts, Family, Lane

#: bytes, int, list, None, str (a status), float, or ReplyError
Reply = Any
Batches = Generator[list[Command], list[Reply], None]


class Out(Protocol):
    """Where a collector writes. One object for one collector and poll."""

    now: float  # wall-clock seconds at which the poll began
    databases: int | None  # how many the server has, for the one collector that learns it

    @property
    def fields(self) -> dict[str, bytes | None]:
        """After `info`: the texts that Facts are made of."""
        ...

    def add(self, family: Family, value: float, *labels: str | bytes) -> None:
        """One sample; `labels` are the values of the family's own labels, in order."""

    def info(self, text: bytes, fill: int = 0) -> None:
        """Read a reply of INFO into the families of this collector that have a source."""


class Collector:
    """Base of all collectors: one file each, one line in `registry.py`.

    A collector's families are one part: they are refreshed together, on `lane` unless told otherwise.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    lane: ClassVar[Lane]
    families: ClassVar[tuple[Family, ...]]
    default: ClassVar[bool] = True
    #: keys of INFO whose text `Out.fields` gives back
    wanted_fields: ClassVar[tuple[str, ...]] = ()

    def wants(self, facts: Facts, options: Any) -> bool:
        """Whether the collector applies to a server: its version, its role, its mode."""
        return True

    def collect(self, facts: Facts | None, options: Any, out: Out) -> Batches:
        """Ask and write. `facts` is None for INFO alone, on the first poll of a target."""
        raise NotImplementedError
        yield []
