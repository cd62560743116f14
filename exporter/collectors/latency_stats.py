"""INFO latencystats: percentiles of how long the calls of each command took. Their sums and counts come from
INFO commandstats of the same pipeline.

The percentiles are of all calls since the server started, or since the statistics were reset. So they hardly
move within minutes, and a server takes longer to say them than for all that the fast lane asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.collectors.stats import COMMAND, STATISTICS, gives_commands, lacks_commands
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import (
    EverySubField,
    NameSet,
    Pattern,
    Record,
    SubFieldLabel,
    Transform,
    summary,
)
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts

LATENCY = Pattern("latency_percentiles_usec_", "cmd", first="p")
LATENCIES = Command.of("INFO", "latencystats")
#: for servers that give it alone
COMMANDS = Command.of("INFO", "commandstats")

FAMILIES = (
    summary(
        "latency_percentiles_usec",
        "Microseconds of a command's calls; the quantile is a percentile.",
        EverySubField(
            LATENCY,
            "quantile",
            SubFieldLabel.PERCENTILE,
            Transform.NUM,
            sum=Record(COMMAND, "usec"),
            count=Record(COMMAND, "calls"),
        ),
        labels=("cmd",),
        since="7.0",
        name_set=NameSet.GO,
    ),
    summary(
        "command_call_duration_seconds",
        "Seconds of a command's calls: the median and the 99th percentile, without sum and count.",
        EverySubField(LATENCY, "quantile", SubFieldLabel.FRACTION, Transform.USEC, only=("p50", "p99")),
        labels=("cmd",),
        since="7.0",
        name_set=NameSet.SECOND,
    ),
)


class LatencyStatsCollector(Collector[None]):
    name = "latency_stats"
    help = "Percentiles of latencies by command."
    lane = Lane.SLOW
    unthrifty_lane = Lane.STANDARD
    turns = 2
    families = FAMILIES
    reads_again = True

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.version >= (7, 0, 0) and facts.mode != "sentinel"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info",)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        latencies, statistics = yield [LATENCIES, STATISTICS]
        raise_failure(latencies)
        if isinstance(latencies, ReplyError):
            return
        if not isinstance(latencies, bytes):
            raise ProtocolError("the reply to INFO latencystats is not a text")
        if lacks_commands(statistics):
            [statistics] = yield [COMMANDS]
        _write([latencies, statistics] if isinstance(statistics, bytes) else [latencies], out)

    def read_again(self, facts: Facts, options: Options, out: Out, replies: Sequence[bytes | None]) -> bool:
        if len(replies) != 2 or not gives_commands(replies[1]):
            return False
        latencies, statistics = replies
        if latencies is not None and statistics is not None:
            _write((latencies, statistics), out)
        return True


def _write(texts: Sequence[bytes], out: Out) -> None:
    out.info(b"\r\n".join(texts))
