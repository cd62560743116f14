"""CLIENT LIST, on demand: each client, or clients counted by some of their fields.

The server makes the list in one go, about 2 µs a client, and answers nobody meanwhile. So it is asked how
many there are first. https://redis.io/docs/latest/commands/client-list/
"""

from __future__ import annotations

import re
from functools import partial

from exporter import engine
from exporter.collectors._contract import Batches, Collector, Out
from exporter.collectors._several import section, shows_section
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import NameSet, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command, Reply
from exporter.protocol.facts import Facts

client_gauge = partial(gauge, labels=("id", "name"), name_set=NameSet.GO)
client_counter = partial(counter, labels=("id", "name"), name_set=NameSet.GO)

CLIENT_INFO = gauge(
    "connected_client_info",
    "A client's address, user and state. Always 1.",
    labels=("id", "name", "flags", "db", "host", "port", "user", "resp"),
    name_set=NameSet.GO,
)
CREATED = client_gauge(
    "connected_client_created_at_timestamp",
    "When the client connected, in Unix time by the exporter's clock.",
)
IDLE_SINCE = client_gauge(
    "connected_client_idle_since_timestamp", "When the client last sent a command, by the exporter's clock."
)
#: field → family. Nothing is written where the field is missing: Dragonfly, Garnet and Kvrocks know few
NUMBERS = {
    b"omem": client_gauge(
        "connected_client_output_buffer_memory_usage_bytes", "Memory of the client's output buffers."
    ),
    b"tot-mem": client_gauge(
        "connected_client_total_memory_consumed_bytes", "Memory of the client with all its buffers."
    ),
    b"sub": client_gauge(
        "connected_client_channel_subscriptions_count", "Channels the client is subscribed to."
    ),
    b"psub": client_gauge(
        "connected_client_pattern_matching_subscriptions_count", "Patterns the client is subscribed to."
    ),
    b"qbuf": client_gauge(
        "connected_client_query_buffer_length_bytes", "Bytes in the client's query buffer."
    ),
    b"qbuf-free": client_gauge(
        "connected_client_query_buffer_free_space_bytes", "Bytes still free in the client's query buffer."
    ),
    b"obl": client_gauge(
        "connected_client_output_buffer_length_bytes", "Bytes in the client's fixed output buffer."
    ),
    b"oll": client_gauge("connected_client_output_list_length", "Replies in the client's output list."),
    b"ssub": client_gauge(
        "connected_client_shard_channel_subscriptions_count",
        "Shard channels the client is subscribed to.",
        since="7.0",
    ),
    b"watch": client_gauge(
        "connected_client_shard_channel_watched_keys", "Keys the client WATCHes.", since="7.4"
    ),
    b"read-events": client_counter(
        "connected_client_read_events_total", "Times the server read from the client.", since="8.8"
    ),
    b"avg-pipeline-len-sum": client_counter(
        "connected_client_pipeline_commands_total", "Commands found in what the client sent.", since="8.8"
    ),
    b"avg-pipeline-len-cnt": client_counter(
        "connected_client_pipeline_batches_total",
        "Times at least one command was found in what the client sent.",
        since="8.8",
    ),
}

#: what `--client-list-by` may name; each is a label, empty where it was not asked for
BY = ("name", "user", "lib-name", "cmd", "db", "flags")
group_gauge = partial(gauge, labels=tuple(field.replace("-", "_") for field in BY))
GROUPS = (
    group_gauge("client_group_clients", "Clients with these values of the labels."),
    group_gauge("client_group_output_memory_bytes", "Memory of the output buffers of the group's clients."),
    group_gauge(
        "client_group_output_memory_max_bytes",
        "Largest memory of a client's output buffers in the group.",
    ),
    group_gauge(
        "client_group_memory_bytes", "Memory of the group's clients with all their buffers.", since="6.2"
    ),
    group_gauge("client_group_memory_max_bytes", "Largest memory of a client in the group.", since="6.2"),
    group_gauge("client_group_idle_max_seconds", "Longest time that a client of the group has sent nothing."),
    group_gauge(
        "client_group_age_max_seconds", "Longest time that a client of the group has been connected."
    ),
)
#: the field that each of them is made of; a list without it gives no value
GROUP_FIELDS = (b"", b"omem", b"omem", b"tot-mem", b"tot-mem", b"idle", b"age")

IDLE = gauge(
    "client_connections_idle",
    "Clients that have sent nothing for at least this many seconds.",
    labels=("threshold_seconds",),
)
IDLE_THRESHOLDS_S = (60, 300, 3600, 86400)

SKIPPED = gauge(
    "exporter_client_list_skipped",
    "1 if the exporter skips CLIENT LIST because of too many clients, else 0.",
)
STALL = gauge(
    "exporter_client_list_duration_seconds",
    "Duration of the newest CLIENT LIST and the commands sent with it: the most that it blocked the server.",
)

_NUMBER = re.compile(rb"-?[0-9]{1,18}\Z")
_SECONDS = re.compile(rb"[0-9]{1,18}\Z")


class ClientsCollector(Collector[None]):
    name = "clients"
    help = "CLIENT LIST."
    lane = Lane.SLOW
    families = (
        CLIENT_INFO, CREATED, IDLE_SINCE, *NUMBERS.values(), *GROUPS, IDLE,
        SKIPPED, STALL,
    )  # fmt: skip

    def enabled(self, options: Options) -> bool:
        return bool(options.metrics.export_client_list or options.metrics.client_list_by)

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.version >= ((3, 0, 0) if facts.mode == "sentinel" else (2, 6, 0))

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info", "+client|list")

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        metrics = options.metrics
        replies = yield [section("clients"), section("replication")]
        if not all(map(shows_section, replies, ("clients", "replication"))):
            replies = yield [Command.of("INFO")]
        too_many = clients_of(replies) > metrics.client_list_max_clients
        out.add(SKIPPED, int(too_many))
        if too_many:
            return
        began_s = out.spent_s
        [text] = yield [Command.of("CLIENT", "LIST")]
        if isinstance(text, ReplyError):
            raise text.as_target_error()
        if not isinstance(text, bytes):
            raise ProtocolError("the reply to CLIENT LIST is not a text")
        out.add(STALL, out.spent_s - began_s)
        if b" idle=" in text:
            for seconds, count in idle_counts(text):
                out.add(IDLE, count, str(seconds))
        yield PAUSE
        if metrics.client_list_by:
            yield from _write_groups(text, metrics.client_list_by, out)
        if metrics.export_client_list:
            yield from _write_clients(text, metrics.export_client_port, out)


def clients_of(replies: list[Reply]) -> int:
    """How many lines CLIENT LIST would have, by the replies of INFO clients and INFO replication: the
    second has the replicas. 0 if the server does not say it."""
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise reply.as_target_error()
    text = b"\n".join(reply for reply in replies if isinstance(reply, bytes))
    found = dict(re.findall(rb"^(connected_clients|connected_slaves):([0-9]{1,9})\r?$", text, re.M))
    return sum(map(int, found.values()))


def idle_counts(text: bytes) -> list[tuple[int, int]]:
    """For each threshold in seconds, how many clients of a CLIENT LIST have been idle for that long."""
    idle = [(number(group[0][0]), group[1]) for group in engine.tally_clients(text, ("idle",))]
    return [
        (threshold, sum(count for seconds, count in idle if seconds >= threshold))
        for threshold in IDLE_THRESHOLDS_S
    ]


def _write_groups(text: bytes, by: tuple[str, ...], out: Out) -> Batches:
    families = [
        family
        for family, field in zip(GROUPS, GROUP_FIELDS, strict=True)
        if not field or b" %s=" % field in text
    ]
    tallies = engine.tally_clients(text, by)
    yield PAUSE
    for at, (values, *numbers) in enumerate(tallies, 1):
        if at % PIECE == 0:
            yield PAUSE
        known = dict(zip(by, values, strict=True))
        labels = [known.get(field, b"") for field in BY]
        sums = dict(zip(GROUPS, numbers, strict=True))
        for family in families:
            out.add(family, sums[family], *labels)


def _write_clients(text: bytes, with_port: bool, out: Out) -> Batches:
    lines = text.split(b"\n")
    for at in range(0, len(lines), PIECE):
        if at:
            yield PAUSE
        _write_piece(b"\n".join(lines[at : at + PIECE]), with_port, out)


def _write_piece(text: bytes, with_port: bool, out: Out) -> None:
    now = int(out.now)
    for row in engine.client_rows(text):
        client, name = row.get(b"id", b""), row.get(b"name", b"")
        if not client.isdigit():
            continue
        host, _, port = row[b"addr"].rpartition(b":")
        shown = [row.get(field, b"") for field in (b"flags", b"db", b"user", b"resp")]
        out.add(
            CLIENT_INFO,
            1,
            client,
            name,
            shown[0],
            shown[1],
            host,
            port if with_port else b"",
            shown[2],
            shown[3],
        )
        for family, field in ((CREATED, b"age"), (IDLE_SINCE, b"idle")):
            if _SECONDS.match(row.get(field, b"")):
                out.add(family, now - int(row[field]), client, name)
        for field, family in NUMBERS.items():
            if field in row and (value := number(row[field])) >= 0:
                out.add(family, value, client, name)


def number(text: bytes) -> int:
    """A whole number; what is none counts as 0."""
    return int(text) if _NUMBER.match(text) else 0
