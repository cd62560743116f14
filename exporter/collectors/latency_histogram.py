"""LATENCY HISTOGRAM: how long the calls of each command took. The sums come from INFO commandstats of the
same pipeline.

A server names only the bounds at which a count rises, so that a bucket appears with the first call that falls
into it. Buckets that were seen are written until the server is restarted: none goes away when the counts are
reset. https://redis.io/docs/latest/commands/latency-histogram/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from exporter import engine
from exporter.collectors._contract import Batches, Collector, OutWithMemory, raise_failure
from exporter.collectors.latency_stats import COMMANDS
from exporter.collectors.stats import STATISTICS, gives_commands, lacks_commands
from exporter.metrics.family import NameSet, histogram
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command
from exporter.protocol.facts import Facts

LATENCIES = histogram(
    "commands_latencies_usec",
    "Duration of a command's calls in microseconds.",
    labels=("cmd",),
    since="7.0",
    name_set=NameSet.GO,
)
HISTOGRAMS = Command.of("LATENCY", "HISTOGRAM")
#: commands whose buckets are remembered, and buckets of one command: a server has some hundreds, and about 20
COMMANDS_MAX = 10_000
BOUNDS_MAX = 64

_STATISTICS = re.compile(rb"^cmdstat_(.+?):calls=[0-9]+,usec=([0-9]{1,20})\b", re.M)
#: what INFO puts in the place of characters that would break its lines
_SAFE = bytes.maketrans(b"#:\n\r", b"____")


@lru_cache(1024)
def _one_of(bounds: tuple[int, ...]) -> tuple[int, ...]:
    """The same object for all that are equal: the commands of a fleet's servers have much the same bounds."""
    return bounds


@dataclass(slots=True)
class BucketBounds:
    """The bounds that were seen in one run of a server, by command, in rising order."""

    bounds_max: ClassVar[int] = BOUNDS_MAX
    run_id: str = ""
    by_command: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def widened(
        self, command: str, seen: tuple[int, ...], below: list[int]
    ) -> tuple[tuple[int, ...], list[int]]:
        """See `KnownBounds`."""
        known = self.by_command.get(command, ())
        if known == seen:
            return seen, below
        if not set(seen) <= set(known):
            known = _one_of(tuple(sorted({*known, *seen})))
            if len(known) <= BOUNDS_MAX and (
                command in self.by_command or len(self.by_command) < COMMANDS_MAX
            ):
                self.by_command[command] = known
        count, counts, counted = 0, [], dict(zip(seen, below, strict=True))
        for bound in known:
            count = counted.get(bound, count)
            counts.append(count)
        return known, counts


class LatencyHistogramCollector(Collector[BucketBounds]):
    name = "latency_histogram"
    help = "Latencies by command."
    lane = Lane.SLOW
    turns = 2
    families = (LATENCIES,)
    reads_again = True

    def enabled(self, options: Options) -> bool:
        return not options.metrics.exclude_latency_histogram_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.mode != "sentinel" and facts.version >= (7, 0, 0)

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+latency|histogram", "+info")

    def new_memory(self) -> BucketBounds:
        return BucketBounds()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[BucketBounds]) -> Batches:
        histograms, statistics = yield [HISTOGRAMS, STATISTICS]
        raise_failure(histograms)
        if lacks_commands(statistics):
            [statistics] = yield [COMMANDS]
            raise_failure(statistics)
            if not isinstance(statistics, bytes):
                return
        memory = out.memory
        if memory.run_id != facts.run_id:
            memory.run_id = facts.run_id
            memory.by_command.clear()
        rows = {row[0]: row for row in engine.histogram_rows(histograms, BOUNDS_MAX)}
        yield PAUSE
        totals = _totals(rows, statistics)
        yield PAUSE
        shown = {
            sys.intern(name.decode("utf-8", "replace")): name for name in totals
        }  # no two samples may have the same labels
        for at, (command, name) in enumerate(shown.items(), 1):
            if at % PIECE == 0:
                yield PAUSE
            _, calls, seen, counts = rows[name]
            bounds, below = memory.widened(command, seen, counts)
            out.add_histogram(LATENCIES, bounds, below, calls, totals[name], command)

    def read_again(
        self,
        facts: Facts,
        options: Options,
        out: OutWithMemory[BucketBounds],
        replies: Sequence[bytes | None],
    ) -> bool:
        if len(replies) != 2 or out.memory.run_id != facts.run_id or not gives_commands(replies[1]):
            return False
        histograms, statistics = replies
        if histograms is None or statistics is None:
            return True
        return out.read_histograms(LATENCIES, histograms, statistics, out.memory)


def _totals(counts: Collection[bytes], statistics: bytes) -> dict[bytes, int]:
    """Microseconds of all calls, by command; without those that INFO does not know.

    A container's histogram stands for its sub-commands too if they have none of their own.
    """
    usec = {name: int(number) for name, number in _STATISTICS.findall(statistics)}
    safe = {name: name.translate(_SAFE) for name in counts}
    own = set(safe.values())
    within: dict[bytes, int] = {}
    for name, number in usec.items():
        container, bar, _ = name.partition(b"|")
        if bar and name not in own:
            within[container] = within.get(container, 0) + number
    return {
        name: usec.get(inner, 0) + within.get(inner, 0)
        for name, inner in safe.items()
        if inner in usec or inner in within
    }
