"""Rows of one server about what it does: commands, latency, clients, network and CPU."""

from __future__ import annotations

from deploy.grafana.src.board import Row
from deploy.grafana.src.one import CMD, FILL, HEAT, ONE, RATE
from deploy.grafana.src.panels import (
    Query,
    buckets,
    graph,
    query,
    rows,
)

COMMANDS = Row(
    "Commands",
    [
        graph(
            "Commands a second",
            "Commands that the server processed a second.",
            "ops",
            query(f"rate(redis_commands_processed_total{{{ONE}}}{RATE})"),
        ),
        graph(
            "Calls by command",
            "Calls of each command a second.",
            "ops",
            query(f"rate(redis_commands_total{{{CMD}}}{RATE}) > 0", "{{cmd}}"),
            stack=True,
            width=16,
        ),
        graph(
            "Time by command",
            "Seconds that the server spent on each command a second; 1 is a whole core.",
            "percentunit",
            query(f"rate(redis_commands_duration_seconds_total{{{CMD}}}{RATE}) > 0", "{{cmd}}"),
            stack=True,
            width=12,
        ),
        graph(
            "Mean time of a call",
            "Time spent on each command divided by its calls.",
            "s",
            query(
                f"rate(redis_commands_duration_seconds_total{{{CMD}}}{RATE}) / "
                f"(rate(redis_commands_total{{{CMD}}}{RATE}) > 0)",
                "{{cmd}}",
            ),
            width=12,
        ),
        graph(
            "Errors by code",
            "Error replies a second, by their first word.",
            "ops",
            query(f"rate(redis_errors_total{{{ONE}}}{RATE})", "{{err}}"),
            stack=True,
        ),
        graph(
            "Failed calls by command",
            "Calls a second that ended with an error.",
            "ops",
            query(f"rate(redis_commands_failed_calls_total{{{CMD}}}{RATE}) > 0", "{{cmd}}"),
            stack=True,
        ),
        graph(
            "Rejected calls by command",
            "Calls a second that the server refused before they ran: by access rules, or for want of memory.",
            "ops",
            query(f"rate(redis_commands_rejected_calls_total{{{CMD}}}{RATE}) > 0", "{{cmd}}"),
            stack=True,
        ),
    ],
)

#: the exporter reads the histograms every two minutes
LATENCY_RATE = "[5m]"

LATENCY = Row(
    "Latency",
    [
        graph(
            "Median and 99th percentile, by command",
            "How long calls took, as the server counts since its start or since CONFIG RESETSTAT: the ten "
            "commands that take most of its time.",
            "s",
            query(
                f"redis_command_call_duration_seconds{{{CMD}}} and on (job, instance, cmd) "
                f"topk(10, rate(redis_commands_duration_seconds_total{{{CMD}}}{RATE} @ end()))",
                "{{cmd}} {{quantile}}",
            ),
            width=12,
            log=True,
        ),
        graph(
            "99th percentile, of now",
            "How long 99 of 100 calls took at most, over the last 5 minutes: the ten commands that take "
            "most of the server's time.",
            "µs",
            query(
                "histogram_quantile(0.99, sum by (cmd, le) "
                f"(rate(redis_commands_latencies_usec_bucket{{{CMD}}}{LATENCY_RATE}))) and on (cmd) "
                f"topk(10, rate(redis_commands_duration_seconds_total{{{CMD}}}{RATE} @ end()))",
                "{{cmd}}",
            ),
            width=12,
            log=True,
        ),
        buckets(
            "Calls of one command by their duration",
            "How many calls of the command that is chosen for the heat map took how long, in the last "
            "5 minutes each.",
            "µs",
            query(f"sum by (le) (increase(redis_commands_latencies_usec_bucket{{{HEAT}}}{LATENCY_RATE}))"),
            width=24,
            height=9,
        ),
        graph(
            "Slow log, by command",
            "Entries that the slow log added a second.",
            "ops",
            query(f"rate(redis_slowlog_entries_total{{{CMD}}}{RATE})", "{{cmd}}"),
            stack=True,
        ),
        graph(
            "Longest slow commands",
            "Longest time in the entries of the slow log since the exporter watches the server, and of the "
            "newest entry.",
            "s",
            query(f"redis_slowlog_entry_max_duration_seconds{{{CMD}}}", "{{cmd}}"),
            query(f"redis_last_slow_execution_duration_seconds{{{ONE}}}", "newest"),
            log=True,
        ),
        graph(
            "Length of the slow log",
            "Entries that are in the slow log.",
            "short",
            query(f"redis_slowlog_length{{{ONE}}}", "entries"),
        ),
        graph(
            "Latency events",
            "Duration of the newest latency spike of each event. Empty unless the server's "
            "latency-monitor-threshold is above 0 and an event took longer.",
            "s",
            query(f"redis_latency_spike_duration_seconds{{{ONE}}}", "{{event_name}}"),
        ),
        graph(
            "Newest connection",
            "How long the exporter's newest connection took: name look-up, connect, TLS and login.",
            "s",
            query(f"redis_exporter_last_scrape_connect_time_seconds{{{ONE}}}", "connect"),
        ),
        graph(
            "Polls",
            "How long the newest poll of the exporter took.",
            "s",
            query(f"redis_exporter_last_scrape_duration_seconds{{{ONE}}}", "poll"),
        ),
    ],
)

CLIENTS = Row(
    "Clients",
    [
        graph(
            "Clients",
            "Connected clients, and those that wait in a blocking command.",
            "short",
            query(f"redis_connected_clients{{{ONE}}}", "connected"),
            query(f"redis_blocked_clients{{{ONE}}}", "blocked"),
        ),
        graph(
            "Clients against their limit",
            "Connected clients divided by maxclients: at 1 the server rejects connections.",
            "percentunit",
            query(f"redis_connected_clients{{{ONE}}} / (redis_max_clients{{{ONE}}} > 0)", "clients"),
            steps=FILL,
        ),
        graph(
            "New and rejected connections",
            "Connections a second that the server accepted, and that it refused because of maxclients.",
            "ops",
            query(f"rate(redis_connections_received_total{{{ONE}}}{RATE})", "accepted"),
            query(f"rate(redis_rejected_connections_total{{{ONE}}}{RATE})", "rejected"),
        ),
        graph(
            "Largest buffers of clients",
            "Largest input and output buffer of a client, as the server saw lately.",
            "bytes",
            query(f"redis_client_recent_max_input_buffer_bytes{{{ONE}}}", "input"),
            query(f"redis_client_recent_max_output_buffer_bytes{{{ONE}}}", "output"),
        ),
        graph(
            "Clients by group",
            "Clients by their name, user and so on. Needs `--client-list-by`.",
            "short",
            query(
                f"redis_client_group_clients{{{ONE}}}",
                "{{name}} {{user}} {{lib_name}} {{cmd}} {{flags}}",
            ),
            stack=True,
            width=16,
        ),
        rows(
            "Clients one by one",
            "Address, user and memory of each client. Needs `--export-client-list`.",
            Query(
                f"max by (id, name) (redis_connected_client_total_memory_consumed_bytes{{{ONE}}})",
                "Memory",
                "bytes",
            ),
            Query(f"max by (id, name, host, user, db, flags) (redis_connected_client_info{{{ONE}}})"),
            Query(
                f"time() - max by (id, name) (redis_connected_client_idle_since_timestamp{{{ONE}}})",
                "Silent for",
                "s",
            ),
            labels={
                "id": "Id",
                "name": "Name",
                "host": "Host",
                "user": "User",
                "db": "Database",
                "flags": "Flags",
            },
            sort="Memory",
            width=24,
        ),
    ],
    folded=True,
)

MACHINE = Row(
    "Network and CPU",
    [
        graph(
            "Network",
            "Bytes a second that the server read and wrote.",
            "Bps",
            query(f"rate(redis_net_input_bytes_total{{{ONE}}}{RATE})", "read"),
            query(f"rate(redis_net_output_bytes_total{{{ONE}}}{RATE})", "written"),
        ),
        graph(
            "CPU",
            "CPU seconds a second; 1 is a whole core.",
            "percentunit",
            query(f"rate(redis_cpu_sys_seconds_total{{{ONE}}}{RATE})", "system"),
            query(f"rate(redis_cpu_user_seconds_total{{{ONE}}}{RATE})", "user"),
            query(f"rate(redis_cpu_sys_children_seconds_total{{{ONE}}}{RATE})", "system, children"),
            query(f"rate(redis_cpu_user_children_seconds_total{{{ONE}}}{RATE})", "user, children"),
            stack=True,
        ),
        graph(
            "CPU of the main thread",
            "CPU seconds a second of the thread that runs commands: near 1 the server is at its limit.",
            "percentunit",
            query(
                f"rate(redis_cpu_sys_main_thread_seconds_total{{{ONE}}}{RATE}) + "
                f"rate(redis_cpu_user_main_thread_seconds_total{{{ONE}}}{RATE})",
                "main thread",
            ),
            steps=FILL,
        ),
        graph(
            "Events of I/O",
            "Read and write events a second, and those that I/O threads processed.",
            "ops",
            query(f"rate(redis_total_reads_processed{{{ONE}}}{RATE})", "reads"),
            query(f"rate(redis_total_writes_processed{{{ONE}}}{RATE})", "writes"),
            query(f"rate(redis_io_threaded_reads_processed{{{ONE}}}{RATE})", "reads of I/O threads"),
            query(f"rate(redis_io_threaded_writes_processed{{{ONE}}}{RATE})", "writes of I/O threads"),
        ),
        graph(
            "Publish and subscribe",
            "Channels and patterns that clients subscribe to.",
            "short",
            query(f"redis_pubsub_channels{{{ONE}}}", "channels"),
            query(f"redis_pubsub_patterns{{{ONE}}}", "patterns"),
        ),
        rows(
            "Configuration",
            "Values of the server's configuration that are numbers. Needs `--include-config-metrics`.",
            Query(f"max by (key) (redis_config_value{{{ONE}}})", "Value", "none"),
            labels={"key": "Key"},
            width=8,
        ),
    ],
    folded=True,
)
