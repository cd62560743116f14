"""Rows of one server about its data: memory, keys, persistence and replication."""

from __future__ import annotations

from deploy.grafana.src.board import Row
from deploy.grafana.src.one import ONE, RATE
from deploy.grafana.src.panels import (
    GREEN,
    OK,
    ORANGE,
    RED,
    YES,
    bars,
    graph,
    number,
    query,
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
            "Keys of each database with keys.",
            "short",
            query(f"redis_db_keys{{{ONE}}} > 0", "{{db}}"),
            stack=True,
        ),
        graph(
            "Keys that expire",
            "Keys of each database that have an expiry.",
            "short",
            query(f"redis_db_keys_expiring{{{ONE}}} > 0", "{{db}}"),
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
