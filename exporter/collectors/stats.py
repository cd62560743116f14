"""Statistics by command and by error: INFO's commandstats, errorstats and latencystats, on the standard lane.

They make up most of the series of a server and seldom need to be as fresh as the rest.
"""

from __future__ import annotations

from functools import partial

from exporter.collectors._contract import Batches, Collector, OutWithMemory, raise_failure
from exporter.collectors._several import Sections, Several, ask_whole, section, shows_section
from exporter.errors import ReplyError
from exporter.metrics.family import (
    EverySubField,
    NameSet,
    Pattern,
    Record,
    SubFieldLabel,
    Transform,
    counter,
    gauge,
    summary,
)
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts

COMMAND = Pattern("cmdstat_", "cmd", first="calls=")
ERROR = Pattern("errorstat_", "err", first="count=")
LATENCY = Pattern("latency_percentiles_usec_", "cmd", first="p")

go_counter = partial(counter, name_set=NameSet.GO)

FAMILIES = (
    go_counter("commands_total", "Calls of a command.", Record(COMMAND, "calls")),
    go_counter(
        "commands_duration_seconds_total", "Time spent on a command.", Record(COMMAND, "usec", Transform.USEC)
    ),
    go_counter(
        "commands_rejected_calls_total",
        "Calls of a command refused before they ran.",
        Record(COMMAND, "rejected_calls"),
        since="6.2",
    ),
    go_counter(
        "commands_failed_calls_total",
        "Calls of a command that failed.",
        Record(COMMAND, "failed_calls"),
        since="6.2",
    ),
    go_counter(
        "commands_slowlog_total",
        "Calls of a command that were written to the slow log.",
        Record(COMMAND, "slowlog_count"),
        since="8.8",
    ),
    go_counter(
        "commands_slowlog_duration_seconds_total",
        "Time spent on calls of a command that were written to the slow log.",
        Record(COMMAND, "slowlog_time_ms_sum", Transform.MSEC),
        since="8.8",
    ),
    gauge(
        "commands_slowlog_duration_seconds_max",
        "Longest call of a command that was written to the slow log.",
        Record(COMMAND, "slowlog_time_ms_max", Transform.MSEC),
        since="8.8",
        name_set=NameSet.GO,
    ),
    go_counter("errors_total", "Error replies by their code.", Record(ERROR, "count"), since="6.2"),
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


#: the third from 7.0 on, the second from 6.2
SECTIONS = ("commandstats", "errorstats", "latencystats")


class StatsCollector(Collector[Sections]):
    name = "stats"
    help = "Statistics by command and by error."
    lane = Lane.STANDARD
    families = FAMILIES

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.version >= (2, 6, 0) and facts.mode != "sentinel"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info",)

    def new_memory(self) -> Sections:
        return Sections()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[Sections]) -> Batches:
        sections = SECTIONS[: 2 if facts.version >= (6, 2, 0) else 1]
        replies: list[Reply] = [None]
        if facts.version >= (7, 0, 0):  # earlier servers answer several sections with a syntax error
            sections = SECTIONS
            several = Several(Command.of("INFO", *sections), section, sections, shows_section)
            replies = yield from several.ask(out.memory.apart, facts.run_id, out.now)
            raise_failure(replies[0])
        if replies[0] is None or isinstance(replies[0], ReplyError):
            replies = yield list(map(section, sections))
        if not any(map(_gives_commands, replies)):
            replies += yield from ask_whole(out.memory.whole, _gives_commands, facts.run_id, out.now)
        texts = [reply for reply in replies if isinstance(reply, bytes)]
        if not texts:
            for reply in replies:
                if isinstance(reply, ReplyError):
                    raise reply.as_target_error()
        text = b"\r\n".join(texts)
        out.learn_command_stats(text)
        out.info(text)


def _gives_commands(reply: Reply) -> bool:
    return isinstance(reply, bytes) and b"cmdstat_" in reply
