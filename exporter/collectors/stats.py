"""Statistics by command and by error: INFO's commandstats and errorstats, on the standard lane.

They make up most of the series of a server and seldom need to be as fresh as the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from exporter.collectors._contract import Batches, Collector, Out, OutWithMemory, raise_failure
from exporter.collectors._several import Sections, Several, ask_whole, section, shows_section
from exporter.errors import ReplyError
from exporter.metrics.family import (
    NameSet,
    Pattern,
    Record,
    Transform,
    counter,
    gauge,
)
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts

COMMAND = Pattern("cmdstat_", "cmd", first="calls=")
ERROR = Pattern("errorstat_", "err", first="count=")

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
)


#: the second from 6.2 on
SECTIONS = ("commandstats", "errorstats")
#: both with one command, from 7.0 on: earlier servers answer several sections with a syntax error
STATISTICS = Command.of("INFO", *SECTIONS)


class StatsCollector(Collector[Sections]):
    name = "stats"
    help = "Statistics by command and by error."
    lane = Lane.STANDARD
    families = FAMILIES
    reads_again = True

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.version >= (2, 6, 0) and facts.mode != "sentinel"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info",)

    def new_memory(self) -> Sections:
        return Sections()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[Sections]) -> Batches:
        sections = SECTIONS[: 2 if facts.version >= (6, 2, 0) else 1]
        replies: list[Reply] = [None]
        if facts.version >= (7, 0, 0):
            several = Several(STATISTICS, section, sections, shows_section)
            replies = yield from several.ask(out.memory.apart, facts.run_id, out.now)
            raise_failure(replies[0])
        if replies[0] is None or isinstance(replies[0], ReplyError):
            replies = yield list(map(section, sections))
        if not any(map(gives_commands, replies)):
            replies += yield from ask_whole(out.memory.whole, gives_commands, facts.run_id, out.now)
        texts = [reply for reply in replies if isinstance(reply, bytes)]
        if not texts:
            for reply in replies:
                if isinstance(reply, ReplyError):
                    raise reply.as_target_error()
        _write(texts, out)

    def read_again(
        self, facts: Facts, options: Options, out: OutWithMemory[Sections], replies: Sequence[bytes | None]
    ) -> bool:
        apart, are_together = out.memory.apart, facts.version >= (7, 0, 0) and not out.is_refused(STATISTICS)
        if are_together and (apart.is_due(facts.run_id, out.now) or len(replies) != 1 + len(apart.names)):
            return False
        if not any(map(gives_commands, replies)):
            return False
        _write([text for text in replies if text is not None], out)
        return True


def _write(texts: Sequence[bytes], out: Out) -> None:
    text = b"\r\n".join(texts)
    out.learn_command_stats(text)
    out.info(text)


def lacks_commands(reply: Reply) -> bool:
    """Whether a reply to `STATISTICS` leaves the statistics of commands out, so that they are asked for
    alone."""
    return not gives_commands(reply) and not shows_section(reply, SECTIONS[0])


def gives_commands(reply: Reply) -> bool:
    """Whether a text has statistics of commands."""
    return isinstance(reply, bytes) and reply.find(b"cmdstat_") >= 0  # quicker than `in`
