"""One server: everything that the exporter knows about it without the names of keys."""

from __future__ import annotations

from deploy.grafana.src.board import Board, Event, Row
from deploy.grafana.src.panels import (
    GREEN,
    NONE,
    OK,
    ORANGE,
    RED,
    UP,
    YES,
    Query,
    bars,
    buckets,
    graph,
    number,
    query,
    rows,
    timeline,
)
from deploy.grafana.src.variables import choice

#: the server that is chosen, and its commands
ONE = 'job="$job",instance="$instance"'
CMD = f'{ONE},cmd=~"$cmd"'
RATE = "[$__rate_interval]"
#: of a share: rather full, nearly full
FILL = ((None, GREEN), (0.8, ORANGE), (0.95, RED))

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
        ),
        number(
            "Fragmentation",
            "Resident memory divided by memory in use. It says little below some 100 MB.",
            "short",
            f"redis_mem_fragmentation_ratio{{{ONE}}}",
            steps=((None, ORANGE), (0.95, GREEN), (1.5, ORANGE), (2, RED)),
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
            query(f"rate(redis_commands_total{{{CMD}}}{RATE})", "{{cmd}}"),
            stack=True,
            width=16,
        ),
        graph(
            "Time by command",
            "Seconds that the server spent on each command a second; 1 is a whole core.",
            "percentunit",
            query(f"rate(redis_commands_duration_seconds_total{{{CMD}}}{RATE})", "{{cmd}}"),
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

LATENCY = Row(
    "Latency",
    [
        graph(
            "Median and 99th percentile, by command",
            "How long calls took, as the server counts since its start or since CONFIG RESETSTAT.",
            "s",
            query(f"redis_command_call_duration_seconds{{{CMD}}}", "{{cmd}} {{quantile}}"),
            width=12,
            log=True,
        ),
        graph(
            "99th percentile, of now",
            "How long 99 of 100 calls took at most, counted over some minutes.",
            "µs",
            query(
                "histogram_quantile(0.99, sum by (cmd, le) "
                f"(rate(redis_commands_latencies_usec_bucket{{{CMD}}}{RATE})))",
                "{{cmd}}",
            ),
            width=12,
            log=True,
        ),
        buckets(
            "Calls by their duration",
            "How many calls of the chosen commands took how long.",
            "µs",
            query(f"sum by (le) (increase(redis_commands_latencies_usec_bucket{{{CMD}}}{RATE}))"),
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

MEMORY = Row(
    "Memory",
    [
        graph(
            "Memory",
            "What the server has allocated, its peak, what is resident, what the data takes, and the limit "
            "where there is one.",
            "bytes",
            query(f"redis_memory_used_bytes{{{ONE}}}", "used"),
            query(f"redis_memory_used_rss_bytes{{{ONE}}}", "resident"),
            query(f"redis_memory_used_peak_bytes{{{ONE}}}", "peak"),
            query(f"redis_memory_used_dataset_bytes{{{ONE}}}", "data"),
            query(f"redis_memory_max_bytes{{{ONE}}} > 0", "limit"),
            width=12,
        ),
        graph(
            "Memory that is not data",
            "What clients, replication, the append-only file and scripts take.",
            "bytes",
            query(f"redis_mem_clients_normal{{{ONE}}}", "clients"),
            query(f"redis_mem_clients_slaves{{{ONE}}}", "connections of replicas"),
            query(f"redis_mem_replication_backlog_bytes{{{ONE}}}", "replication backlog"),
            query(f"redis_mem_aof_buffer_bytes{{{ONE}}}", "buffers of the append-only file"),
            query(f"redis_memory_used_scripts_bytes{{{ONE}}}", "scripts"),
            query(f"redis_mem_cluster_links_bytes{{{ONE}}}", "cluster links"),
            width=12,
            stack=True,
        ),
        graph(
            "Fragmentation",
            "Resident memory divided by memory in use, and the same of the allocator alone.",
            "short",
            query(f"redis_mem_fragmentation_ratio{{{ONE}}}", "server"),
            query(f"redis_allocator_frag_ratio{{{ONE}}}", "allocator"),
            steps=((None, GREEN), (1.5, ORANGE)),
        ),
        graph(
            "Evicted and expired keys",
            "Keys a second that the server removed: for want of memory, or because their time was over.",
            "ops",
            query(f"rate(redis_evicted_keys_total{{{ONE}}}{RATE})", "evicted"),
            query(f"rate(redis_expired_keys_total{{{ONE}}}{RATE})", "expired"),
        ),
        graph(
            "Memory of the host",
            "Memory of the server's machine. Needs `--include-system-metrics`.",
            "bytes",
            query(f"redis_total_system_memory_bytes{{{ONE}}}", "total"),
            query(f"redis_memory_used_rss_bytes{{{ONE}}}", "resident"),
        ),
        graph(
            "Memory of a key",
            "Memory of the data divided by the number of keys. Needs `--include-memory-stats-metrics`.",
            "bytes",
            query(f"redis_memory_stats_bytes_per_key{{{ONE}}}", "a key"),
        ),
        graph(
            "Overhead of databases",
            "Memory of the hash tables of each database. Needs `--include-memory-stats-metrics`.",
            "bytes",
            query(f"redis_memory_stats_db_hashtable_overhead_bytes{{{ONE}}}", "{{db}} {{table}}"),
            stack=True,
        ),
        graph(
            "Freed in the background",
            "Objects that wait to be freed, and objects freed a second.",
            "short",
            query(f"redis_lazyfree_pending_objects{{{ONE}}}", "waiting"),
            query(f"rate(redis_lazyfreed_objects{{{ONE}}}{RATE})", "freed a second"),
        ),
    ],
)

KEYS = Row(
    "Keys",
    [
        graph(
            "Keys by database",
            "Keys of each database.",
            "short",
            query(f"redis_db_keys{{{ONE}}}", "{{db}}"),
            stack=True,
        ),
        graph(
            "Keys that expire",
            "Keys of each database that have an expiry.",
            "short",
            query(f"redis_db_keys_expiring{{{ONE}}}", "{{db}}"),
            stack=True,
        ),
        graph(
            "Mean time to live",
            "Mean time to live of the keys that have an expiry, by database.",
            "s",
            query(f"redis_db_avg_ttl_seconds{{{ONE}}}", "{{db}}"),
        ),
        graph(
            "Hits and misses",
            "Look-ups a second that found their key, and that did not.",
            "ops",
            query(f"rate(redis_keyspace_hits_total{{{ONE}}}{RATE})", "hits"),
            query(f"rate(redis_keyspace_misses_total{{{ONE}}}{RATE})", "misses"),
        ),
        graph(
            "Hit ratio",
            "Share of look-ups that found their key. No line without look-ups.",
            "percentunit",
            query(
                f"rate(redis_keyspace_hits_total{{{ONE}}}{RATE}) / "
                f"(rate(redis_keyspace_hits_total{{{ONE}}}{RATE}) + "
                f"rate(redis_keyspace_misses_total{{{ONE}}}{RATE}) > 0)",
                "hits",
            ),
            top=1,
        ),
        bars(
            "Largest watched keys",
            "Size of watched keys: bytes of a string, elements of others. Needs `--check-keys` or "
            "`--check-single-keys`.",
            "short",
            query(f"topk(15, redis_key_size{{{ONE}}})", "{{db}} {{key}}"),
        ),
    ],
)

CLIENTS = Row(
    "Clients",
    [
        graph(
            "Clients",
            "Connected clients, those that wait in a blocking command, and the limit.",
            "short",
            query(f"redis_connected_clients{{{ONE}}}", "connected"),
            query(f"redis_blocked_clients{{{ONE}}}", "blocked"),
            query(f"redis_max_clients{{{ONE}}}", "limit"),
            log=True,
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
            "Clients by what `--client-list-by` names, such as their name or user. Needs that flag.",
            "short",
            query(
                f"redis_client_group_clients{{{ONE}}}",
                "{{name}} {{user}} {{lib_name}} {{cmd}} {{flags}}",
            ),
            stack=True,
        ),
        rows(
            "Clients one by one",
            "Address, user and memory of each client. Needs `--export-client-list`.",
            Query(
                f"max by (id, name) (redis_connected_client_total_memory_consumed_bytes{{{ONE}}})",
                "Memory",
                "bytes",
            ),
            Query(
                f"max by (id, name, host, user, db, flags) (redis_connected_client_info{{{ONE}}})", "Client"
            ),
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
            width=16,
        ),
    ],
    folded=True,
)

PERSISTENCE = Row(
    "Persistence",
    [
        number(
            "Newest dump",
            "Time since the newest successful dump.",
            "s",
            f"time() - redis_rdb_last_save_timestamp_seconds{{{ONE}}}",
            width=4,
        ),
        number(
            "Dump",
            "Whether the newest dump went well.",
            "short",
            f"redis_rdb_last_bgsave_status{{{ONE}}}",
            words=OK,
            width=4,
        ),
        number(
            "Append-only file",
            "Whether the append-only file is on.",
            "short",
            f"redis_aof_enabled{{{ONE}}}",
            words=YES,
            width=4,
        ),
        number(
            "Write to it",
            "Whether the newest write to the append-only file went well.",
            "short",
            f"redis_aof_last_write_status{{{ONE}}}",
            words=OK,
            width=4,
        ),
        number(
            "Rewrite of it",
            "Whether the newest rewrite of the append-only file went well.",
            "short",
            f"redis_aof_last_bgrewrite_status{{{ONE}}}",
            words=OK,
            width=4,
        ),
        number(
            "Newest fork",
            "How long the newest fork took; the server stood still meanwhile.",
            "s",
            f"redis_latest_fork_seconds{{{ONE}}}",
            steps=((None, GREEN), (0.1, ORANGE), (1, RED)),
            width=4,
        ),
        graph(
            "Changes since the newest dump",
            "Writes that would be lost if only the dump were left.",
            "short",
            query(f"redis_rdb_changes_since_last_save{{{ONE}}}", "changes"),
        ),
        graph(
            "Duration of dumps and rewrites",
            "How long the newest dump and the newest rewrite of the append-only file took. No line "
            "before the "
            "first one.",
            "s",
            query(f"redis_rdb_last_bgsave_duration_sec{{{ONE}}} >= 0", "dump"),
            query(f"redis_aof_last_rewrite_duration_sec{{{ONE}}} >= 0", "rewrite"),
        ),
        graph(
            "In progress",
            "1 while the server writes a dump, rewrites the append-only file, or loads its data.",
            "short",
            query(f"redis_rdb_bgsave_in_progress{{{ONE}}}", "dump"),
            query(f"redis_aof_rewrite_in_progress{{{ONE}}}", "rewrite"),
            query(f"redis_loading_dump_file{{{ONE}}}", "loading"),
            top=1,
        ),
        graph(
            "Size of the append-only file",
            "Size of the file now and after its newest rewrite. Empty unless the server has appendonly on.",
            "bytes",
            query(f"redis_aof_current_size_bytes{{{ONE}}}", "now"),
            query(f"redis_aof_base_size_bytes{{{ONE}}}", "after the rewrite"),
        ),
        graph(
            "Copied on write",
            "Memory that was copied during the newest dump and rewrite, because the data changed meanwhile.",
            "bytes",
            query(f"redis_rdb_last_cow_size_bytes{{{ONE}}}", "dump"),
            query(f"redis_aof_last_cow_size_bytes{{{ONE}}}", "rewrite"),
        ),
        graph(
            "Delayed fsync",
            "Calls of fsync that wait, and that were delayed a second. Empty unless the server has "
            "appendonly on.",
            "short",
            query(f"redis_aof_pending_bio_fsync{{{ONE}}}", "waiting"),
            query(f"rate(redis_aof_delayed_fsync{{{ONE}}}{RATE})", "delayed a second"),
        ),
    ],
    folded=True,
)

REPLICATION = Row(
    "Replication",
    [
        graph(
            "Replication offset",
            "Where the server is in the stream of changes, and where each of its replicas is.",
            "bytes",
            query(f"redis_master_repl_offset{{{ONE}}}", "server"),
            query(f"redis_connected_slave_offset_bytes{{{ONE}}}", "{{slave_ip}}:{{slave_port}}"),
        ),
        graph(
            "How far its replicas are behind",
            "Bytes that each replica has not confirmed yet. Empty without replicas.",
            "bytes",
            query(
                f"redis_master_repl_offset{{{ONE}}} - on (job, instance) group_right () "
                f"redis_connected_slave_offset_bytes{{{ONE}}} >= 0",
                "{{slave_ip}}:{{slave_port}}",
            ),
        ),
        graph(
            "Last word of replicas",
            "Seconds since each replica last confirmed. Empty without replicas.",
            "s",
            query(f"redis_connected_slave_lag_seconds{{{ONE}}}", "{{slave_ip}}:{{slave_port}}"),
        ),
        graph(
            "Replication backlog",
            "Size of the backlog, and how much of it is filled: a replica that was away for more "
            "starts anew.",
            "bytes",
            query(f"redis_replication_backlog_bytes{{{ONE}}}", "size"),
            query(f"redis_repl_backlog_history_bytes{{{ONE}}}", "filled"),
        ),
        graph(
            "Traffic of replication",
            "Bytes a second that the server sent and received for replication.",
            "Bps",
            query(f"rate(redis_net_repl_output_bytes_total{{{ONE}}}{RATE})", "sent"),
            query(f"rate(redis_net_repl_input_bytes_total{{{ONE}}}{RATE})", "received"),
        ),
        graph(
            "Link to its master",
            "1 while the link to the master is up, and seconds since the master last sent something. Empty "
            "unless the server is a replica.",
            "short",
            query(f"redis_master_link_up{{{ONE}}}", "link"),
            query(f"redis_master_last_io_seconds_ago{{{ONE}}} >= 0", "silent for"),
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
            "Series that the exporter shows of this server, and those that a limit refused.",
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
            "Collectors that failed",
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
        choice("cmd", "Command", 'redis_commands_total{job="$job",instance="$instance"}'),
    ],
    [OVERVIEW, COMMANDS, LATENCY, MEMORY, KEYS, CLIENTS, PERSISTENCE, REPLICATION, MACHINE, EXPORTER],
    events=[Event("Restarts", f"resets(redis_uptime_in_seconds{{{ONE}}}{RATE}) > 0", RED)],
    takes=(),  # the others may have chosen all jobs
)
