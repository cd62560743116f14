"""The collector contract.

A collector asks and writes, and does nothing else: no I/O, no clock, no logging of values. `collect` is a
generator that yields batches of commands and is sent their replies, in order, an error reply as a
`ReplyError` value:

    def collect(self, facts, options, out):
        [length] = yield [Command.of("SLOWLOG", "LEN")]
        if isinstance(length, int):
            out.add(LENGTH, length)

Between two batches it may yield PAUSE, at most some hundred rows apart: so that long work is done in pieces,
with other work between. Raising fails this collector only: its block is left as it was, its success gauge
goes to 0. A test drives it with `next(g)` and `g.send(replies)`: no loop, no server, no mock.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from exporter.errors import ReplyError
from exporter.metrics.family import Family
from exporter.metrics.lane import Lane
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts

Batches = Generator[list[Command], list[Reply], None]


class Out(Protocol):
    """Where a collector writes. One object for one collector and poll."""

    now: float  # wall-clock seconds at which the poll began
    spent_s: float  # how long the poll has taken, as of the newest replies
    memory: Any  # what `Collector.new_memory` made when the target was first polled: it lasts as long as the target
    db: int  # the target's own database, which every batch finds selected and must leave so
    cut: int  # lines, rows and names of replies that a limit leaves out; may be added to
    rows_max: int  # rows of one kind that are asked for at most
    databases: int | None  # how many the server has, for the one collector that learns it

    @property
    def fields(self) -> dict[str, bytes | None]:
        """After `info`: the texts that Facts are made of."""
        ...

    def add(self, family: Family, value: float, *labels: str | bytes) -> None:
        """One sample; `labels` are the values of the family's own labels, in order."""

    def add_histogram(
        self,
        family: Family,
        bounds: Sequence[float],
        below: Sequence[int],
        count: int,
        total: float,
        *labels: str | bytes,
    ) -> None:
        """A histogram: upper bounds in rising order, without `+Inf`, how many were at most that, of how
        many, and the sum of all."""

    def add_dynamic(self, name: str, type: str, help: str, value: float, labels: Mapping[str, str]) -> bool:
        """One sample of a family that is not in the table: `type` is gauge, counter or untyped. Whether it
        was taken: not if the name or a label's is none, or if there are too many names already. A label that
        the target bears itself is left off.
        """
        ...

    def fault(self, subject: str, text: str) -> None:
        """One thing that the collector was told to look at went wrong, and the rest well. The log is told
        when that begins, or changes."""

    def info(self, text: bytes, fill: int = 0) -> None:
        """Read a reply of INFO into the families of this collector that have a source."""


class Collector:
    """Base of all collectors: one file each, one line in `_registry.py`.

    A collector's families are one part: they are refreshed together, on `lane` unless told otherwise.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    lane: ClassVar[Lane]
    families: ClassVar[tuple[Family, ...]]
    #: keys of INFO whose text `Out.fields` gives back
    wanted_fields: ClassVar[tuple[str, ...]] = ()
    #: whether it writes with `Out.add_dynamic`
    dynamic: ClassVar[bool] = False
    #: the servers that know the commands of `acl`, where not all do: elsewhere a rule that names them is an
    #: error
    acl_where: ClassVar[str] = ""
    #: collectors of one memory name share what they remember of a target, and may write the same families;
    #: "": nobody shares it
    memory_name: ClassVar[str] = ""

    def enabled(self, options: Any) -> bool:
        """Whether the options (`exporter.options.groups.Options`) ask for it. Those that do not are not
        even in the table of families."""
        return True

    def wants(self, facts: Facts, options: Any) -> bool:
        """Whether the collector applies to a server: its version, its role, its mode. Asked at every poll."""
        return True

    def acl(self, options: Any) -> tuple[str, ...]:
        """The rules that a user of least rights needs for it, such as `+slowlog|get`."""
        return ()

    def repeats(self, options: Any) -> bool:
        """Whether the same replies as in the poll before mean the same block as then: nothing in it depends
        on the time, or on anything else."""
        return False

    def new_memory(self) -> Any:
        """What is to be remembered of one target from poll to poll, as `Out.memory`. The one thing that
        may be changed."""
        return None

    def collect(self, facts: Facts | None, options: Any, out: Out) -> Batches:
        """Ask and write. `facts` is None for INFO alone, on the first poll of a target."""
        raise NotImplementedError
        yield []


def raise_failure(*replies: Reply) -> None:
    """Raise the first error that is no refusal. The driver remembers refusals: of those nothing is
    written."""
    for reply in replies:
        if isinstance(reply, ReplyError) and not reply.unsupported:
            raise reply.as_target_error()
