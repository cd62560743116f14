"""The contract of a collector: it asks and it writes, and does nothing else: no I/O, no clock, no logging.

`collect` is a generator: it yields batches of commands and is sent their replies, in order. An error reply
comes as a `ReplyError` value:

    def collect(self, facts, options, out):
        [length] = yield [Command.of("SLOWLOG", "LEN")]
        if isinstance(length, int):
            out.add(LENGTH, length)

It may yield PAUSE between two batches, at least once in some hundred rows, so that long work leaves room for
other work. A collector that asks one batch in most polls may have `read_again` too, which reads replies to
the same commands in one go. An exception fails this collector only: the server's last samples of it stay, and
its success gauge turns 0. A test drives it with `next(g)` and `g.send(replies)`: no loop, no server, no mock.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

from exporter.errors import ReplyError
from exporter.metrics.family import Family
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.cluster import ClusterView
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts
from exporter.protocol.forks import Forks
from exporter.protocol.neighbours import Neighbours

Batches = Generator[list[Command], list[Reply], None]
Identification = Generator[list[Command], list[Reply], Facts]

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class KnownBounds(Protocol):
    """The bounds of histograms that one server has shown: a bucket that was seen once stays."""

    bounds_max: ClassVar[int]  # that a reply may have of one command
    by_command: dict[str, tuple[int, ...]]

    def widened(
        self, command: str, seen: tuple[int, ...], below: list[int]
    ) -> tuple[tuple[int, ...], list[int]]:
        """All bounds of a command, with those just seen, and the counts: a bound that a reply leaves out has
        that of the one before it."""
        ...


class Out(Protocol):
    """Where a collector writes. One object for each collector and poll."""

    now: float  # wall-clock seconds at which the poll began
    spent_s: float  # how long the poll has taken when the newest replies came
    db: int  # the target's own database: selected before each batch, and to be selected after it
    cut: int  # lines, rows and names of replies that a limit leaves out; a collector adds its own
    rows_max: int  # rows of one kind to ask for at most

    @property
    def is_new_connection(self) -> bool:
        """Whether nothing is known yet of the run of the server behind the connection: it may be another
        one."""
        ...

    def add(self, family: Family, value: float, *labels: str | bytes) -> None:
        """Write one sample. `labels` are the values of the family's own labels, in order."""

    def add_histogram(
        self,
        family: Family,
        bounds: Sequence[float],
        below: Sequence[int],
        count: int,
        total: float,
        *labels: str | bytes,
    ) -> None:
        """Write a histogram: upper bounds in rising order without `+Inf`, how many values are at most each
        bound, the count and the sum of all values."""

    def read_histograms(self, family: Family, reply: bytes, statistics: bytes, bounds: KnownBounds) -> bool:
        """Write all histograms of a reply to LATENCY HISTOGRAM as it came, with the sums of INFO
        commandstats. Nothing else may be written. False if something is out of the ordinary: nothing is
        written or remembered then."""
        ...

    def add_runtime(self, name: str, type: str, help: str, value: float, labels: Mapping[str, str]) -> bool:
        """Write one sample of a family that is not in the table. `type` is gauge, counter or untyped. A label
        that the target has too is left off.

        False if it is not written: the name or a label is not valid, or there are too many names already.
        """
        ...

    def fault(self, subject: str, text: str) -> None:
        """One thing that the collector looks at went wrong, and the rest went well. The log says so when that
        begins or changes."""

    def info(self, text: bytes, fill: int = 0) -> tuple[bytes | None, ...]:
        """Read a reply of INFO into the families of this collector that have a source. Returns the texts of
        its `wanted_fields`."""
        ...

    def learn_replication(self, info: bytes) -> None:
        """Take the section about replication of a reply to INFO."""
        ...

    def learn_configuration(self, hash: str) -> None:
        """Take a hash of the server's configuration: servers with the same one are configured alike."""
        ...

    def learn_forks(self, forks: Forks) -> None:
        """Take what INFO says about forks, where that changes."""

    def learn_command_stats(self, text: bytes) -> None:
        """Take INFO commandstats, for what polls cost the server."""

    def learn_cluster(self, view: ClusterView) -> None:
        """Remember the target's cluster, for those who look for its nodes."""

    def learn_sentinel(self, view: Neighbours) -> None:
        """Remember what the target watches as a Sentinel, for those who look for these servers."""

    def is_refused(self, command: Command) -> bool:
        """Whether the server has refused this command about itself. It gets the error reply of then."""
        ...


class OutWithMemory(Out, Protocol[M_co]):
    """The same for a collector that remembers something of each target."""

    @property
    def memory(self) -> M_co:
        """What `Collector.new_memory` made at the target's first poll. It lasts as long as the target."""
        ...


class Collector(Generic[M]):
    """Base of all collectors: one file each, one line in `_registry.py`. `M` is what it remembers of a
    target.

    All families of a collector are refreshed together, on its `lane`.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    lane: ClassVar[Lane]
    #: its lane where --poll.thrifty is off; None: the same
    unthrifty_lane: ClassVar[Lane | None] = None
    #: how many turns of its lane there are to one of its own; with --poll.thrifty=false 1, unless the options
    #: say otherwise
    turns: ClassVar[int] = 1
    families: ClassVar[tuple[Family, ...]]
    #: whether it finds the facts that all others decide by: it runs first, and its failure fails the poll
    identifies: ClassVar[bool] = False
    #: whether it has `read_again`
    reads_again: ClassVar[bool] = False
    #: keys of INFO whose texts `Out.info` returns
    wanted_fields: ClassVar[tuple[str, ...]] = ()
    #: whether it writes with `Out.add_runtime`
    has_runtime_families: ClassVar[bool] = False
    #: which servers know the commands of `acl`, where some do not: those refuse a rule that names them
    acl_where: ClassVar[str] = ""
    #: collectors of one memory name share what they remember of a target, and may write the same families;
    #: "": this collector alone
    memory_name: ClassVar[str] = ""

    def enabled(self, options: Options) -> bool:
        """Whether the options ask for it. The table of families leaves the others out."""
        return True

    def wants(self, facts: Facts, options: Options) -> bool:
        """Whether it applies to a server of this version, role and mode. Asked when the facts change."""
        return True

    def acl(self, options: Options) -> tuple[str, ...]:
        """The rules that a user with least rights needs for it, such as `+slowlog|get`."""
        return ()

    def repeats(self, options: Options) -> bool:
        """Whether the same replies always mean the same samples: they depend on nothing else, such as the
        time."""
        return False

    def new_memory(self) -> M:
        """What to remember of one target from poll to poll, as `Out.memory`. Nothing else may change."""
        return cast(M, None)  # a collector that remembers something overrides this

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[M]) -> Batches:
        """Ask and write."""
        raise NotImplementedError
        yield []

    def read_again(
        self, facts: Facts, options: Options, out: OutWithMemory[M], replies: Sequence[bytes | None]
    ) -> bool:
        """Write what `collect` or `identify` would, which asked one batch in an earlier poll and went well.
        `facts` are the same as then, `replies` those to the same commands, each of the same type as then: a
        text as its bytes, a list as it came over the wire (RESP2, complete and within the limits). A command
        that the server has refused before is not sent: it has a None among the replies. Batches of such
        commands alone may have been asked besides.

        False where they would ask more now, return other facts or fail: then they run with the same replies,
        and what was written here counts nothing. Nothing that they remember may have changed before that.
        """
        raise NotImplementedError

    def identify(self, known: Facts | None, options: Options, out: OutWithMemory[M]) -> Identification:
        """Ask, write and return the facts, in place of `collect`. Return `known`, the facts of the poll
        before, where they still hold."""
        raise NotImplementedError
        yield []


AnyCollector = Collector[Any]


def raise_failure(*replies: Reply) -> None:
    """Raise the first error that is no refusal. The driver remembers refusals: nothing is written for
    them."""
    for reply in replies:
        if isinstance(reply, ReplyError) and not reply.is_refusal:
            raise reply.as_target_error()
