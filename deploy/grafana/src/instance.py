"""One server: everything that the exporter knows about it without the names of keys."""

from __future__ import annotations

from deploy.grafana.src.board import Board, Event, Row
from deploy.grafana.src.instance_data import KEYS, MEMORY, PERSISTENCE, REPLICATION
from deploy.grafana.src.instance_work import CLIENTS, COMMANDS, LATENCY, MACHINE
from deploy.grafana.src.one import FILL, ONE, RATE
from deploy.grafana.src.panels import (
    GREEN,
    NONE,
    OK,
    ORANGE,
    RED,
    UP,
    Query,
    graph,
    number,
    query,
    timeline,
)
from deploy.grafana.src.variables import choice

OVERVIEW = Row(
    "Overview",
    [
        number(
            "State", "Whether the newest poll got an answer to INFO.", "short", f"redis_up{{{ONE}}}", words=UP
        ),
        number("Uptime", "Time since the server started.", "s", f"redis_uptime_in_seconds{{{ONE}}}"),
        number(
            "Role",
            "Role that the server reports.",
            "short",
            Query(f"redis_instance_info{{{ONE}}}", "{{role}}"),
            name=True,
        ),
        number(
            "Version",
            "Version that the server reports.",
            "short",
            Query(f"redis_instance_info{{{ONE}}}", "{{redis_version}}"),
            name=True,
        ),
        number(
            "Clients",
            "Client connections, without those of replicas.",
            "short",
            f"redis_connected_clients{{{ONE}}}",
        ),
        number(
            "Blocked clients",
            "Clients that wait in a blocking command.",
            "short",
            f"redis_blocked_clients{{{ONE}}}",
        ),
        number(
            "Commands",
            "Commands that the server processes a second.",
            "ops",
            f"rate(redis_commands_processed_total{{{ONE}}}{RATE})",
        ),
        number(
            "Hit ratio",
            "Share of look-ups that find their key. Empty without look-ups.",
            "percentunit",
            f"rate(redis_keyspace_hits_total{{{ONE}}}{RATE}) / "
            f"(rate(redis_keyspace_hits_total{{{ONE}}}{RATE}) + "
            f"rate(redis_keyspace_misses_total{{{ONE}}}{RATE}) > 0)",
            steps=((None, RED), (0.5, ORANGE), (0.8, GREEN)),
            none="no look-ups",
        ),
        number(
            "Memory", "Memory that the server has allocated.", "bytes", f"redis_memory_used_bytes{{{ONE}}}"
        ),
        number(
            "Memory of its limit",
            "Memory in use divided by maxmemory. Empty if the server has no such limit.",
            "percentunit",
            f"redis_memory_used_bytes{{{ONE}}} / (redis_memory_max_bytes{{{ONE}}} > 0)",
            steps=FILL,
            none="no limit",
        ),
        number(
            "Fragmentation",
            "Resident memory divided by memory in use. It says little below some 100 MB.",
            "short",
            f"redis_mem_fragmentation_ratio{{{ONE}}}",
            decimals=2,
        ),
        number("Keys", "Keys of all databases.", "short", f"sum(redis_db_keys{{{ONE}}})"),
        number(
            "Evicted keys",
            "Keys that the server evicts a second because of maxmemory.",
            "ops",
            f"rate(redis_evicted_keys_total{{{ONE}}}{RATE})",
            steps=((None, GREEN), (0.001, ORANGE)),
        ),
        number(
            "Rejected connections",
            "Connections that the server refused within the time range, because of maxclients.",
            "short",
            f"increase(redis_rejected_connections_total{{{ONE}}}[$__range])",
            steps=NONE,
        ),
        number("Replicas", "Replicas that are connected.", "short", f"redis_connected_slaves{{{ONE}}}"),
        number(
            "Age of values",
            "How old the values of the fast lane were at the newest scrape.",
            "s",
            f'redis_exporter_snapshot_age_seconds{{{ONE},lane="fast"}}',
            steps=((None, GREEN), (15, ORANGE), (60, RED)),
        ),
        timeline("State over time", "When the server answered.", query(f"redis_up{{{ONE}}}"), UP, height=4),
        timeline(
            "Why it was down",
            "Reason of each failure. Empty while the server is up.",
            query(f"redis_exporter_target_down{{{ONE}}}", "{{reason}}"),
            {"1": ("down", RED)},
            height=4,
        ),
    ],
)

EXPORTER = Row(
    "What the exporter asks and costs",
    [
        graph(
            "Age of values, by lane",
            "How old the values of each lane were at each scrape.",
            "s",
            query(f"redis_exporter_snapshot_age_seconds{{{ONE}}}", "{{lane}}"),
        ),
        graph(
            "Time of the server that polls take",
            "Seconds a second that the server spends on the exporter's commands, by lane.",
            "percentunit",
            query(
                f"sum by (lane) (rate(redis_exporter_target_server_seconds_total{{{ONE}}}{RATE}))", "{{lane}}"
            ),
            stack=True,
        ),
        graph(
            "Series",
            "Series that the exporter shows of this server, and those that a limit refused. No line of these "
            "while there are none.",
            "short",
            query(f"redis_exporter_target_series{{{ONE}}}", "shown"),
            query(f"redis_exporter_target_series_refused{{{ONE}}}", "refused"),
        ),
        graph(
            "Failed polls",
            "Polls a second that failed, by reason. Empty before the first one.",
            "ops",
            query(f"rate(redis_exporter_target_poll_failures_total{{{ONE}}}{RATE})", "{{reason}}"),
            stack=True,
        ),
        graph(
            "Traffic of polls",
            "Bytes a second that the exporter received from the server and sent to it.",
            "Bps",
            query(f"rate(redis_exporter_target_received_bytes_total{{{ONE}}}{RATE})", "received"),
            query(f"rate(redis_exporter_target_sent_bytes_total{{{ONE}}}{RATE})", "sent"),
        ),
        timeline(
            "Collectors",
            "Whether the newest run of each collector went well.",
            query(f"redis_exporter_collector_success{{{ONE}}}", "{{collector}}"),
            OK,
            width=8,
        ),
    ],
    folded=True,
)

BOARD = Board(
    "instance",
    "Redis: one instance",
    "Everything about one Redis server.",
    [
        choice("job", "Job", "redis_up", several=False),
        choice("instance", "Instance", 'redis_up{job="$job"}', several=False),
        choice(
            "heat",
            "Command of the heat map",
            'redis_commands_latencies_usec_count{job="$job",instance="$instance"}',
            of="cmd",
            several=False,
        ),
        choice("cmd", "Commands", 'redis_commands_total{job="$job",instance="$instance"}'),
    ],
    [OVERVIEW, COMMANDS, LATENCY, MEMORY, KEYS, CLIENTS, PERSISTENCE, REPLICATION, MACHINE, EXPORTER],
    events=[Event("Restarts", f"resets(redis_uptime_in_seconds{{{ONE}}}{RATE}) > 0", RED)],
    takes=(),  # the others may have chosen all jobs
)
