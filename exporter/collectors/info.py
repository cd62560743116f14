"""INFO, the sections that move all the time: part of every poll. The whole text is the source of a server's
facts; it is read with the sections of `server.py`, and by every poll where a server gives no sections alone.

To add a metric from INFO, add a row. Names and types of `NameSet.GO` are those of the Go exporter, also where
they break the rules of naming (some gauges end in `_total`); `NameSet.SECOND` gives a value a second name;
the rest are ours. Field meanings: https://redis.io/docs/latest/commands/info/ and
https://valkey.io/commands/info/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, partial
from operator import itemgetter

from exporter.collectors._contract import Collector, Identification, OutWithMemory
from exporter.collectors._info_replies import (
    DATABASES_DEFAULT,
    InfoMemory,
    ask_info,
    asks_for_part,
    has_all,
    is_cluster,
    is_sentinel,
    is_whole,
    join_texts,
    may_ask_for_part,
    shown_databases,
)
from exporter.collectors.server import ServerCollector
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import (
    Family,
    Field,
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
from exporter.protocol.facts import FACT_FIELDS, Facts, make_facts
from exporter.protocol.forks import FORK_FIELDS, read_forks
from exporter.protocol.info_commands import INFO_MOVING, PART_BEGINS

#: families that are shown only if the option of this name is on
GATED = {"total_system_memory_bytes": "include_system_metrics"}

go_gauge = partial(gauge, name_set=NameSet.GO)
go_counter = partial(counter, name_set=NameSet.GO)
alias_gauge = partial(gauge, name_set=NameSet.SECOND)

DB = Pattern("db", "db", digits=True, whole=True)
REPLICA = Pattern("slave", "", digits=True)
SENTINEL_MASTER = Pattern("master", "", digits=True)
ACTIVE_THREAD = Pattern("used_active_time_io_thread_", "thread", digits=True)
MASTER = (("master_host", "master_host"), ("master_port", "master_port"))
REPLICA_LABELS = (("slave_ip", "ip"), ("slave_port", "port"), ("slave_state", "state"))
SENTINEL_LABELS = (("master_name", "name"), ("master_address", "address"))

CLIENTS = (
    go_gauge(
        "connected_clients", "Client connections, without those of replicas.", Field("connected_clients")
    ),
    go_gauge(
        "active_clients",
        "Clients that sent something within half a second.",
        Field("active_clients"),
        since="8.8",
    ),
    go_gauge("blocked_clients", "Clients that wait in a blocking command.", Field("blocked_clients")),
    go_gauge(
        "max_clients",
        "Most clients that may be connected at once.",
        Field("maxclients", also=("max_clients",)),
    ),
    go_gauge("tracking_clients", "Clients with client-side caching.", Field("tracking_clients")),
    go_gauge(
        "clients_in_timeout_table", "Clients in the table of timeouts.", Field("clients_in_timeout_table")
    ),
    go_gauge(
        "pubsub_clients",
        "Clients that subscribe to channels or patterns.",
        Field("pubsub_clients"),
        since="7.4",
    ),
    go_gauge("watching_clients", "Clients that WATCH keys.", Field("watching_clients"), since="7.4"),
    go_gauge("total_watched_keys", "Keys that are WATCHed.", Field("total_watched_keys"), since="7.4"),
    go_gauge(
        "total_blocking_keys",
        "Keys that blocked clients wait for.",
        Field("total_blocking_keys"),
        since="7.2",
    ),
    go_gauge(
        "total_blocking_keys_on_nokey",
        "Keys that blocked clients wait for, and whose deletion unblocks them.",
        Field("total_blocking_keys_on_nokey"),
        since="7.2",
    ),
    go_gauge(
        "client_longest_output_list", "Longest output list of a client.", Field("client_longest_output_list")
    ),
    go_gauge(
        "client_biggest_input_buf", "Largest input buffer of a client.", Field("client_biggest_input_buf")
    ),
    go_gauge(
        "client_recent_max_output_buffer_bytes",
        "Largest recent output buffer of a client.",
        Field("client_recent_max_output_buffer"),
    ),
    go_gauge(
        "client_recent_max_input_buffer_bytes",
        "Largest recent input buffer of a client.",
        Field("client_recent_max_input_buffer"),
    ),
    go_gauge(
        "cluster_connections",
        "Approximate number of connections of the cluster bus.",
        Field("cluster_connections"),
    ),
    go_gauge(
        "current_client_thread",
        "Thread of KeyDB that serves the exporter's connection.",
        Field("current_client_thread"),
    ),
    gauge(
        "paused_info",
        "Reason why clients are paused, and the paused actions. Always 1.",
        Field(
            "paused_reason",
            Transform.ONE,
            labels=(("reason", "paused_reason"), ("actions", "paused_actions")),
        ),
        since="valkey 8.1",
    ),
    gauge(
        "paused_timeout_seconds",
        "How long clients stay paused.",
        Field("paused_timeout_milliseconds", Transform.MSEC),
        since="valkey 8.1",
    ),
)

MEMORY = (
    go_gauge("memory_used_bytes", "Memory that the server has allocated.", Field("used_memory")),
    alias_gauge("used_memory_bytes", "Memory in use. Same value as memory_used_bytes.", Field("used_memory")),
    go_gauge(
        "memory_used_rss_bytes",
        "Resident memory, as the operating system reports it.",
        Field("used_memory_rss"),
    ),
    alias_gauge(
        "used_memory_rss_bytes",
        "Resident memory. Same value as memory_used_rss_bytes.",
        Field("used_memory_rss"),
    ),
    go_gauge("memory_used_peak_bytes", "Peak memory since the server started.", Field("used_memory_peak")),
    alias_gauge(
        "used_memory_peak_bytes",
        "Peak memory. Same value as memory_used_peak_bytes.",
        Field("used_memory_peak"),
    ),
    gauge(
        "memory_used_peak_timestamp_seconds",
        "When memory was at its peak, in Unix time.",
        Field("used_memory_peak_time"),
        since="8.2",
    ),
    go_gauge("memory_used_lua_bytes", "Memory of the Lua engine.", Field("used_memory_lua")),
    go_gauge(
        "memory_used_vm_eval_bytes",
        "Memory of the VM of EVAL scripts.",
        Field("used_memory_vm_eval"),
        since="7.0",
    ),
    go_gauge(
        "memory_used_scripts_eval_bytes",
        "Overhead of cached EVAL scripts.",
        Field("used_memory_scripts_eval"),
        since="7.0",
    ),
    go_gauge(
        "memory_used_overhead_bytes", "Memory for everything but the data.", Field("used_memory_overhead")
    ),
    go_gauge(
        "memory_used_startup_bytes",
        "Memory that the server used right after its start.",
        Field("used_memory_startup"),
    ),
    go_gauge("memory_used_dataset_bytes", "Memory of the data.", Field("used_memory_dataset")),
    gauge(
        "memory_used_peak_ratio",
        "Memory in use divided by its peak.",
        Field("used_memory_peak_perc", Transform.PERCENT),
    ),
    gauge(
        "memory_used_dataset_ratio",
        "Memory of the data divided by the memory in use without that of the start.",
        Field("used_memory_dataset_perc", Transform.PERCENT),
    ),
    go_gauge(
        "number_of_cached_scripts",
        "Scripts in the cache, from EVAL and SCRIPT LOAD.",
        Field("number_of_cached_scripts"),
    ),
    go_gauge("number_of_functions", "Functions loaded.", Field("number_of_functions"), since="7.0"),
    go_gauge(
        "number_of_libraries", "Libraries of functions loaded.", Field("number_of_libraries"), since="7.0"
    ),
    go_gauge(
        "memory_used_vm_functions_bytes",
        "Memory of the VM of functions.",
        Field("used_memory_vm_functions"),
        since="7.0",
    ),
    go_gauge("memory_used_scripts_bytes", "Overhead of scripts and functions.", Field("used_memory_scripts")),
    go_gauge(
        "memory_used_functions_bytes", "Overhead of functions.", Field("used_memory_functions"), since="7.0"
    ),
    go_gauge(
        "memory_used_vm_total",
        "Memory of all script VMs in bytes.",
        Field("used_memory_vm_total"),
        since="7.0",
    ),
    go_gauge(
        "memory_used_hash_templates_bytes",
        "Memory of the templates of compact hashes.",
        Field("used_memory_hash_templates"),
        since="8.10",
    ),
    go_gauge("memory_max_bytes", "Configured limit of memory; 0: unlimited.", Field("maxmemory")),
    alias_gauge("maxmemory_bytes", "Limit of memory. Same value as memory_max_bytes.", Field("maxmemory")),
    go_gauge(
        "memory_max_reservation_bytes",
        "Memory that a managed service reserves.",
        Field("maxmemory_reservation"),
    ),
    go_gauge(
        "memory_max_reservation_desired_bytes",
        "Memory that a managed service wants to reserve.",
        Field("maxmemory_desired_reservation"),
    ),
    go_gauge(
        "memory_max_fragmentation_reservation_bytes",
        "Memory that a managed service reserves for fragmentation.",
        Field("maxfragmentationmemory_reservation"),
    ),
    go_gauge(
        "memory_max_fragmentation_reservation_desired_bytes",
        "Memory that a managed service wants to reserve for fragmentation.",
        Field("maxfragmentationmemory_desired_reservation"),
    ),
    go_gauge("total_system_memory_bytes", "Memory of the server's machine.", Field("total_system_memory")),
    gauge(
        "available_system_memory_bytes",
        "Memory free on the server's machine, on KeyDB.",
        Field("available_system_memory"),
    ),
    go_gauge("allocator_active_bytes", "Active pages of the allocator.", Field("allocator_active")),
    go_gauge(
        "allocator_allocated_bytes",
        "Memory that the allocator gave to the server.",
        Field("allocator_allocated"),
    ),
    gauge(
        "allocator_allocated_lua_bytes",
        "Memory that the allocator of Lua gave to the server, of servers that show INFO debug.",
        Field("allocator_allocated_lua"),
        since="7.4",
    ),
    gauge(
        "allocator_active_lua_bytes",
        "Active pages of the allocator of Lua, of servers that show INFO debug.",
        Field("allocator_active_lua"),
        since="7.4",
    ),
    gauge(
        "allocator_resident_lua_bytes",
        "Resident pages of the allocator of Lua, of servers that show INFO debug.",
        Field("allocator_resident_lua"),
        since="7.4",
    ),
    gauge(
        "allocator_frag_lua_bytes",
        "Active minus allocated bytes of Lua, of servers that show INFO debug.",
        Field("allocator_frag_bytes_lua"),
        since="7.4",
    ),
    go_gauge("allocator_resident_bytes", "Resident pages of the allocator.", Field("allocator_resident")),
    go_gauge(
        "allocator_muzzy_bytes",
        "Pages that the allocator returns to the system lazily.",
        Field("allocator_muzzy"),
    ),
    go_gauge(
        "allocator_frag_ratio",
        "Active bytes divided by allocated bytes: the fragmentation of the allocator.",
        Field("allocator_frag_ratio"),
    ),
    go_gauge(
        "allocator_frag_bytes",
        "Active bytes minus allocated bytes.",
        Field("allocator_frag_bytes", Transform.SIGNED),
    ),
    go_gauge(
        "allocator_rss_ratio",
        "Resident bytes divided by active bytes of the allocator.",
        Field("allocator_rss_ratio"),
    ),
    go_gauge(
        "allocator_rss_bytes",
        "Resident bytes minus active bytes of the allocator.",
        Field("allocator_rss_bytes", Transform.SIGNED),
    ),
    gauge(
        "rss_overhead_ratio",
        "Resident memory divided by the allocator's resident memory.",
        Field("rss_overhead_ratio"),
    ),
    gauge(
        "rss_overhead_bytes",
        "Resident memory minus the allocator's resident memory.",
        Field("rss_overhead_bytes", Transform.SIGNED),
    ),
    go_gauge(
        "mem_fragmentation_ratio",
        "Resident memory divided by memory in use.",
        Field("mem_fragmentation_ratio"),
    ),
    go_gauge(
        "mem_fragmentation_bytes",
        "Resident memory minus memory in use.",
        Field("mem_fragmentation_bytes", Transform.SIGNED),
    ),
    go_gauge(
        "mem_clients_slaves", "Memory of the replicas' connections in bytes.", Field("mem_clients_slaves")
    ),
    go_gauge(
        "mem_clients_normal", "Memory of the clients' connections in bytes.", Field("mem_clients_normal")
    ),
    gauge(
        "mem_clients_normal_shared_bytes",
        "Memory that clients' connections share with others.",
        Field("mem_clients_normal_shared"),
        since="8.8",
    ),
    gauge(
        "mem_clients_normal_unshared_bytes",
        "Memory that clients' connections have for themselves.",
        Field("mem_clients_normal_unshared"),
        since="8.8",
    ),
    go_gauge(
        "mem_cluster_links_bytes",
        "Memory of the links to other cluster nodes.",
        Field("mem_cluster_links"),
        since="7.0",
    ),
    go_gauge("mem_aof_buffer_bytes", "Memory of the AOF buffers.", Field("mem_aof_buffer")),
    go_gauge(
        "mem_replication_backlog_bytes",
        "Memory of the replication backlog.",
        Field("mem_replication_backlog"),
    ),
    go_gauge(
        "mem_total_replication_buffers_bytes",
        "Memory of all replication buffers.",
        Field("mem_total_replication_buffers"),
        since="7.0",
    ),
    gauge(
        "mem_replica_full_sync_buffer_bytes",
        "Memory a replica buffers in during a full sync.",
        Field("mem_replica_full_sync_buffer", also=("mem_replicas_repl_buffer",)),
        since="8.0",
    ),
    go_gauge(
        "mem_replicas_repl_buffer_bytes",
        "Memory a replica of Valkey buffers in during a full sync.",
        Field("mem_replicas_repl_buffer"),
        since="valkey 8.0",
    ),
    go_gauge(
        "mem_not_counted_for_eviction_bytes",
        "Memory that does not count towards eviction.",
        Field("mem_not_counted_for_evict"),
    ),
    go_gauge(
        "mem_overhead_db_hashtable_rehashing_bytes",
        "Memory of hash tables that are being rehashed.",
        Field("mem_overhead_db_hashtable_rehashing"),
        since="7.4",
    ),
    gauge(
        "mem_cluster_slot_migration_output_buffer_bytes",
        "Memory of the changes that a node has to send while its slots move.",
        Field("mem_cluster_slot_migration_output_buffer"),
        since="8.4",
    ),
    gauge(
        "mem_cluster_slot_migration_input_buffer_bytes",
        "Memory of the changes that a node has received while slots move to it.",
        Field("mem_cluster_slot_migration_input_buffer"),
        since="8.4",
    ),
    gauge(
        "mem_cluster_slot_migration_input_buffer_peak_bytes",
        "Most memory of the changes that a node has received while slots moved to it.",
        Field("mem_cluster_slot_migration_input_buffer_peak"),
        since="8.4",
    ),
    gauge(
        "mem_cluster_slot_import_bytes",
        "Memory of slots being imported.",
        Field("mem_cluster_slot_import"),
        since="valkey 9.1",
    ),
    gauge(
        "mem_cluster_slot_export_bytes",
        "Memory of slots being exported.",
        Field("mem_cluster_slot_export"),
        since="valkey 9.1",
    ),
    go_gauge(
        "lazyfree_pending_objects",
        "Objects waiting to be freed in the background.",
        Field("lazyfree_pending_objects"),
    ),
    go_gauge("lazyfreed_objects", "Objects that were freed in the background.", Field("lazyfreed_objects")),
    go_gauge(
        "active_defrag_running",
        "1 (or the effort in percent) while active defragmentation runs.",
        Field("active_defrag_running"),
    ),
    gauge("mvcc_depth", "Depth of the snapshots of KeyDB.", Field("mvcc_depth")),
    gauge(
        "storage_provider_info",
        "The storage provider of KeyDB. Always 1.",
        Field("storage_provider", Transform.ONE, labels=(("provider", "storage_provider"),)),
    ),
)

STATS = (
    go_counter("connections_received_total", "Connections accepted.", Field("total_connections_received")),
    go_counter("commands_processed_total", "Commands processed.", Field("total_commands_processed")),
    gauge(
        "instantaneous_ops_per_second",
        "Commands per second, averaged by the server over a short time.",
        Field("instantaneous_ops_per_sec"),
    ),
    go_counter(
        "rejected_connections_total",
        "Connections refused because of maxclients.",
        Field("rejected_connections"),
    ),
    go_counter("net_input_bytes_total", "Bytes read from the network.", Field("total_net_input_bytes")),
    go_counter("net_output_bytes_total", "Bytes written to the network.", Field("total_net_output_bytes")),
    go_counter(
        "net_repl_input_bytes_total",
        "Bytes read for replication.",
        Field("total_net_repl_input_bytes"),
        since="7.0",
    ),
    go_counter(
        "net_repl_output_bytes_total",
        "Bytes written for replication.",
        Field("total_net_repl_output_bytes"),
        since="7.0",
    ),
    gauge(
        "instantaneous_input_bytes_per_second",
        "Bytes read per second, averaged by the server.",
        Field("instantaneous_input_kbps", Transform.KIB),
    ),
    gauge(
        "instantaneous_output_bytes_per_second",
        "Bytes written per second, averaged by the server.",
        Field("instantaneous_output_kbps", Transform.KIB),
    ),
    gauge(
        "instantaneous_input_repl_bytes_per_second",
        "Bytes read per second for replication, averaged by the server.",
        Field("instantaneous_input_repl_kbps", Transform.KIB),
        since="7.0",
    ),
    gauge(
        "instantaneous_output_repl_bytes_per_second",
        "Bytes written per second for replication, averaged by the server.",
        Field("instantaneous_output_repl_kbps", Transform.KIB),
        since="7.0",
    ),
    counter(
        "net_cluster_slot_import_bytes_total",
        "Bytes read to import slots.",
        Field("total_net_cluster_slot_import_bytes"),
        since="valkey 9.1",
    ),
    counter(
        "net_cluster_slot_export_bytes_total",
        "Bytes written to export slots.",
        Field("total_net_cluster_slot_export_bytes"),
        since="valkey 9.1",
    ),
    go_counter(
        "expired_subkeys_total", "Fields of hashes that expired.", Field("expired_subkeys"), since="7.4"
    ),
    counter(
        "expired_subkeys_active_total",
        "Fields of hashes that the server found expired by itself.",
        Field("expired_subkeys_active"),
        since="8.6",
    ),
    go_counter(
        "expired_fields_total",
        "Fields of hashes that expired, on Valkey.",
        Field("expired_fields"),
        since="valkey 9.0",
    ),
    go_counter("expired_keys_total", "Keys that expired.", Field("expired_keys")),
    counter(
        "expired_keys_active_total",
        "Keys that the server found expired by itself.",
        Field("expired_keys_active"),
        since="8.6",
    ),
    go_gauge(
        "expired_stale_percentage",
        "Estimated keys that have expired and are not deleted yet, in percent.",
        Field("expired_stale_perc"),
    ),
    go_gauge(
        "expired_keys_with_volatile_items_stale_percentage",
        "Estimated keys with expiring items that hold expired ones, in percent.",
        Field("expired_keys_with_volatile_items_stale_perc"),
        since="valkey 9.0",
    ),
    alias_gauge(
        "expired_keys_with_volatile_items_stale_ratio",
        "The same as expired_keys_with_volatile_items_stale_percentage, from 0 to 1.",
        Field("expired_keys_with_volatile_items_stale_perc", Transform.PERCENT),
        since="valkey 9.0",
    ),
    go_counter(
        "expired_time_cap_reached_total",
        "Expiry cycles that reached their time limit.",
        Field("expired_time_cap_reached_count"),
    ),
    go_counter(
        "expire_cycle_cpu_time_ms_total",
        "Milliseconds spent in expiry cycles.",
        Field("expire_cycle_cpu_milliseconds"),
    ),
    go_counter("evicted_keys_total", "Keys evicted because of maxmemory.", Field("evicted_keys")),
    go_counter(
        "evicted_clients_total",
        "Clients evicted because of maxmemory-clients.",
        Field("evicted_clients"),
        since="7.0",
    ),
    go_counter(
        "evicted_scripts_total", "Scripts evicted from the cache.", Field("evicted_scripts"), since="7.4"
    ),
    go_counter(
        "eviction_exceeded_time_ms_total",
        "Milliseconds that memory was above maxmemory.",
        Field("total_eviction_exceeded_time"),
        since="7.0",
    ),
    go_gauge(
        "current_eviction_exceeded_time_ms",
        "Milliseconds since memory rose above maxmemory; 0 while below.",
        Field("current_eviction_exceeded_time"),
        since="7.0",
    ),
    go_counter("keyspace_hits_total", "Look-ups that found the key.", Field("keyspace_hits")),
    go_counter("keyspace_misses_total", "Look-ups that did not find the key.", Field("keyspace_misses")),
    go_gauge("hash_templates", "Templates of compact hashes.", Field("hash_templates"), since="8.10"),
    go_gauge(
        "hash_template_keys",
        "Hashes that are stored by a template.",
        Field("hash_template_keys"),
        since="8.10",
    ),
    go_gauge("pubsub_channels", "Channels with subscribers.", Field("pubsub_channels")),
    go_gauge("pubsub_patterns", "Patterns with subscribers.", Field("pubsub_patterns")),
    go_gauge(
        "pubsubshard_channels",
        "Shard channels with subscribers.",
        Field("pubsubshard_channels"),
        since="7.0.3",
    ),
    go_gauge(
        "latest_fork_seconds", "Duration of the newest fork.", Field("latest_fork_usec", Transform.USEC)
    ),
    counter("forks_total", "Forks since the server started.", Field("total_forks")),
    go_gauge("migrate_cached_sockets_total", "Sockets open for MIGRATE.", Field("migrate_cached_sockets")),
    go_gauge(
        "slave_expires_tracked_keys",
        "Keys with an expiry that a writable replica keeps track of.",
        Field("slave_expires_tracked_keys"),
    ),
    go_gauge("defrag_hits", "Values moved by active defragmentation.", Field("active_defrag_hits")),
    go_gauge(
        "defrag_misses", "Moves of values that active defragmentation stopped.", Field("active_defrag_misses")
    ),
    go_gauge(
        "defrag_key_hits", "Keys that active defragmentation worked on.", Field("active_defrag_key_hits")
    ),
    go_gauge(
        "defrag_key_misses",
        "Keys that active defragmentation skipped.",
        Field("active_defrag_key_misses"),
    ),
    counter(
        "active_defrag_seconds_total",
        "Time that fragmentation was above its limit.",
        Field("total_active_defrag_time", Transform.MSEC),
        since="7.0",
    ),
    gauge(
        "current_active_defrag_seconds",
        "Time since fragmentation rose above its limit; 0 while below.",
        Field("current_active_defrag_time", Transform.MSEC),
        since="7.0",
    ),
    go_gauge("tracking_total_keys", "Keys tracked for client-side caching.", Field("tracking_total_keys")),
    go_gauge(
        "tracking_total_items",
        "Items tracked for client-side caching: keys times clients.",
        Field("tracking_total_items"),
    ),
    go_gauge(
        "tracking_total_prefixes",
        "Prefixes tracked for client-side caching.",
        Field("tracking_total_prefixes"),
    ),
    go_counter(
        "unexpected_error_replies",
        "Errors that replication or AOF did not expect.",
        Field("unexpected_error_replies"),
    ),
    go_counter("total_error_replies", "Error replies sent.", Field("total_error_replies")),
    go_counter(
        "dump_payload_sanitizations", "Deep checks of dump payloads.", Field("dump_payload_sanitizations")
    ),
    go_counter("total_reads_processed", "Read events processed.", Field("total_reads_processed")),
    go_counter("total_writes_processed", "Write events processed.", Field("total_writes_processed")),
    go_counter(
        "io_threaded_reads_processed",
        "Read events processed by I/O threads.",
        Field("io_threaded_reads_processed"),
    ),
    go_counter(
        "io_threaded_writes_processed",
        "Write events processed by I/O threads.",
        Field("io_threaded_writes_processed"),
    ),
    counter(
        "io_threaded_freed_objects_total",
        "Objects freed by I/O threads.",
        Field("io_threaded_freed_objects"),
        since="valkey 8.0",
    ),
    counter(
        "io_threaded_accept_processed_total",
        "Connections accepted by I/O threads.",
        Field("io_threaded_accept_processed"),
        since="valkey 8.1",
    ),
    counter(
        "io_threaded_poll_processed_total",
        "Polls for events done by I/O threads.",
        Field("io_threaded_poll_processed"),
        since="valkey 8.0",
    ),
    counter(
        "io_threaded_prefetch_batches_total",
        "Batches of prefetched keys.",
        Field("io_threaded_total_prefetch_batches"),
        since="valkey 8.0",
    ),
    counter(
        "io_threaded_prefetch_entries_total",
        "Keys that were prefetched.",
        Field("io_threaded_total_prefetch_entries"),
        since="valkey 8.0",
    ),
    go_counter(
        "client_query_buffer_limit_disconnections_total",
        "Clients disconnected because of their query buffer.",
        Field("client_query_buffer_limit_disconnections"),
        since="7.4",
    ),
    go_counter(
        "client_output_buffer_limit_disconnections_total",
        "Clients disconnected because of their output buffer.",
        Field("client_output_buffer_limit_disconnections"),
        since="7.4",
    ),
    go_counter(
        "reply_buffer_shrinks_total",
        "Times a reply buffer was made smaller.",
        Field("reply_buffer_shrinks"),
        since="7.0",
    ),
    go_counter(
        "reply_buffer_expands_total",
        "Times a reply buffer was made larger.",
        Field("reply_buffer_expands"),
        since="7.0",
    ),
    go_counter("eventloop_cycles_total", "Turns of the event loop.", Field("eventloop_cycles"), since="7.2"),
    go_counter(
        "eventloop_duration_sum_usec_total",
        "Microseconds spent in the event loop.",
        Field("eventloop_duration_sum"),
        since="7.2",
    ),
    go_counter(
        "eventloop_duration_cmd_sum_usec_total",
        "Microseconds spent on commands.",
        Field("eventloop_duration_cmd_sum"),
        since="7.2",
    ),
    go_counter(
        "eventloop_cycles_with_clients_processing_total",
        "Turns of the event loop in which clients had sent something.",
        Field("eventloop_cycles_with_clients_processing"),
        since="8.8",
    ),
    go_counter(
        "client_processing_events_total",
        "Times the server looked for commands in what a client had sent.",
        Field("total_client_processing_events"),
        since="8.8",
    ),
    go_counter(
        "client_processing_pipeline_commands_total",
        "Commands found in what clients had sent.",
        Field("avg_pipeline_length_sum", also=("commands_per_parse_batch_sum",)),
        since="8.8",
    ),
    go_counter(
        "client_processing_pipeline_batches_total",
        "Times at least one command was found in what a client had sent.",
        Field("avg_pipeline_length_cnt", also=("commands_per_parse_batch_cnt",)),
        since="8.8",
    ),
    go_gauge(
        "client_processing_pipeline_length",
        "Average number of commands found at once in what a client had sent.",
        Field("avg_pipeline_length", also=("commands_per_parse_batch_avg",)),
        since="8.8",
    ),
    go_counter(
        "slowlog_commands_total",
        "Commands written to the slow log.",
        Field("slowlog_commands_count"),
        since="8.8",
    ),
    go_counter(
        "slowlog_commands_duration_seconds_total",
        "Time spent on commands that were written to the slow log.",
        Field("slowlog_commands_time_ms_sum", Transform.MSEC),
        since="8.8",
    ),
    go_gauge(
        "slowlog_commands_duration_seconds_max",
        "Longest time of a command that was written to the slow log.",
        Field("slowlog_commands_time_ms_max", Transform.MSEC),
        since="8.8",
    ),
    counter(
        "eventloop_duration_aof_seconds_total",
        "Time the event loop spent on AOF.",
        Field("eventloop_duration_aof_sum", Transform.USEC),
    ),
    counter(
        "eventloop_duration_cron_seconds_total",
        "Time the event loop spent on cron.",
        Field("eventloop_duration_cron_sum", Transform.USEC),
    ),
    gauge(
        "eventloop_duration_max_seconds",
        "Longest turn of the event loop.",
        Field("eventloop_duration_max", Transform.USEC),
    ),
    gauge(
        "eventloop_commands_per_cycle_max",
        "Most commands in one turn of the event loop.",
        Field("eventloop_cmd_per_cycle_max"),
    ),
    go_gauge(
        "instantaneous_eventloop_cycles_per_sec",
        "Turns of the event loop per second.",
        Field("instantaneous_eventloop_cycles_per_sec"),
        since="7.2",
    ),
    go_gauge(
        "instantaneous_eventloop_duration_usec",
        "Average microseconds of one turn of the event loop.",
        Field("instantaneous_eventloop_duration_usec"),
        since="7.2",
    ),
    go_counter(
        "acl_access_denied_auth_total",
        "Failed authentications.",
        Field("acl_access_denied_auth"),
        since="7.2",
    ),
    go_counter(
        "acl_access_denied_cmd_total", "Commands denied by ACL.", Field("acl_access_denied_cmd"), since="7.2"
    ),
    go_counter(
        "acl_access_denied_key_total", "Keys denied by ACL.", Field("acl_access_denied_key"), since="7.2"
    ),
    go_counter(
        "acl_access_denied_channel_total",
        "Channels denied by ACL.",
        Field("acl_access_denied_channel"),
        since="7.2",
    ),
    go_counter(
        "acl_access_denied_db_total",
        "Databases denied by ACL.",
        Field("acl_access_denied_db"),
        since="valkey 9.1",
    ),
    go_counter(
        "acl_access_denied_tls_cert_total",
        "Certificates of clients that name no user.",
        Field("acl_access_denied_tls_cert"),
        since="8.6",
    ),
    counter(
        "cluster_incompatible_ops_total",
        "Sampled commands that a cluster would refuse.",
        Field("cluster_incompatible_ops"),
        since="8.0",
    ),
    go_counter("cached_keys_total", "Keys that KeyDB's FLASH caches in memory.", Field("cached_keys")),
    go_counter(
        "storage_provider_read_hits",
        "Reads that KeyDB's storage provider answered.",
        Field("storage_provider_read_hits"),
    ),
    go_counter(
        "storage_provider_read_misses",
        "Reads that KeyDB's storage provider could not answer.",
        Field("storage_provider_read_misses"),
    ),
    gauge(
        "instantaneous_lock_contention",
        "Threads of KeyDB that wait for the lock.",
        Field("instantaneous_lock_contention"),
    ),
    gauge(
        "lock_contention_average",
        "Average number of KeyDB's threads that wait for the lock.",
        Field("avg_lock_contention"),
    ),
)

REPLICATION = (
    go_gauge(
        "slave_info",
        "Which server the replica follows. Always 1.",
        Field("master_host", Transform.ONE, labels=(*MASTER, ("read_only", "slave_read_only"))),
    ),
    go_gauge("connected_slaves", "Replicas connected.", Field("connected_slaves")),
    gauge("connected_masters", "Masters that KeyDB follows.", Field("connected_masters")),
    go_gauge("replication_backlog_bytes", "Size of the replication backlog.", Field("repl_backlog_size")),
    alias_gauge(
        "repl_backlog_size",
        "Size of the replication backlog. Same value as replication_backlog_bytes.",
        Field("repl_backlog_size"),
    ),
    go_gauge(
        "repl_backlog_is_active", "1 if the server has a replication backlog.", Field("repl_backlog_active")
    ),
    go_gauge(
        "repl_backlog_first_byte_offset",
        "Replication offset where the backlog begins.",
        Field("repl_backlog_first_byte_offset"),
    ),
    go_gauge("repl_backlog_history_bytes", "Bytes of data in the backlog.", Field("repl_backlog_histlen")),
    go_gauge(
        "master_repl_offset",
        "The server's replication offset.",
        Field("master_repl_offset", Transform.SIGNED),
    ),
    go_gauge(
        "second_repl_offset",
        "Replication offset up to which the former replication id is accepted.",
        Field("second_repl_offset", Transform.SIGNED),
    ),
    go_gauge("slave_priority", "Priority of the replica in a failover.", Field("slave_priority")),
    gauge("replica_announced", "1 if Sentinel announces the replica.", Field("replica_announced")),
    gauge(
        "min_slaves_good_slaves",
        "Replicas that count for min-replicas-to-write.",
        Field("min_slaves_good_slaves"),
    ),
    go_gauge(
        "replicas_waiting_psync",
        "Replicas that wait to sync.",
        Field("replicas_waiting_psync"),
        since="valkey 8.0",
    ),
    gauge(
        "replica_full_sync_buffer_bytes",
        "Bytes a replica buffers during a full sync.",
        Field("replica_full_sync_buffer_size", also=("replicas_repl_buffer_size",)),
        since="8.0",
    ),
    gauge(
        "replica_full_sync_buffer_peak_bytes",
        "Most bytes a replica buffered during a full sync.",
        Field("replica_full_sync_buffer_peak", also=("replicas_repl_buffer_peak",)),
        since="8.0",
    ),
    go_gauge(
        "replicas_repl_buffer_size_bytes",
        "Bytes a replica of Valkey buffers during a full sync.",
        Field("replicas_repl_buffer_size"),
        since="valkey 8.0",
    ),
    go_gauge(
        "replicas_repl_buffer_peak_bytes",
        "Most bytes a replica of Valkey buffered during a full sync.",
        Field("replicas_repl_buffer_peak"),
        since="valkey 8.0",
    ),
    go_gauge("replica_resyncs_full", "Full resynchronisations with replicas.", Field("sync_full")),
    go_gauge(
        "replica_partial_resync_accepted", "Partial resynchronisations accepted.", Field("sync_partial_ok")
    ),
    go_gauge(
        "replica_partial_resync_denied", "Partial resynchronisations denied.", Field("sync_partial_err")
    ),
    gauge(
        "master_failover_info",
        "State of a failover that FAILOVER started. Always 1.",
        Field("master_failover_state", Transform.ONE, labels=(("state", "master_failover_state"),)),
    ),
    go_gauge(
        "master_link_up",
        "1 if the link to the master is up.",
        Field("master_link_status", Transform.UP, labels=MASTER),
    ),
    go_gauge(
        "master_last_io_seconds_ago",
        "Seconds since the master last sent something; -1: the link is down.",
        Field("master_last_io_seconds_ago", Transform.SIGNED, labels=MASTER),
    ),
    alias_gauge(
        "master_last_io_seconds",
        "Seconds since the master last sent something. Same value as master_last_io_seconds_ago.",
        Field("master_last_io_seconds_ago", Transform.SIGNED, labels=MASTER),
    ),
    go_gauge(
        "master_sync_in_progress",
        "1 while the replica syncs from its master.",
        Field("master_sync_in_progress", labels=MASTER),
    ),
    go_gauge(
        "slave_repl_offset",
        "The replica's replication offset.",
        Field("slave_repl_offset", Transform.SIGNED, labels=MASTER),
    ),
    gauge(
        "slave_read_repl_offset",
        "Replication offset up to which the replica has read.",
        Field("slave_read_repl_offset", labels=MASTER),
    ),
    gauge(
        "master_link_down_since_seconds",
        "Seconds since the link to the master went down.",
        Field("master_link_down_since_seconds", labels=MASTER),
    ),
    gauge(
        "master_link_up_since_seconds",
        "Seconds since the link to the master came up.",
        Field("master_link_up_since_seconds", labels=MASTER),
        since="8.2",
    ),
    counter(
        "master_link_down_seconds_total",
        "Time that the link to a master was down.",
        Field("total_disconnect_time_sec"),
        since="8.2",
    ),
    gauge(
        "master_client_io_thread",
        "I/O thread that serves the link to the master; 0: the main thread.",
        Field("master_client_io_thread", labels=MASTER),
        since="8.6",
    ),
    gauge(
        "master_current_sync_attempts",
        "Attempts to sync from the master since the link to it went down.",
        Field("master_current_sync_attempts", labels=MASTER),
        since="8.2",
    ),
    counter(
        "master_sync_attempts_total",
        "Attempts to sync from a master.",
        Field("master_total_sync_attempts"),
        since="8.2",
    ),
    gauge(
        "master_sync_size_bytes",
        "Bytes that the current sync transfers.",
        Field("master_sync_total_bytes", labels=MASTER),
    ),
    gauge(
        "master_sync_read_bytes",
        "Bytes that the current sync has transferred.",
        Field("master_sync_read_bytes", labels=MASTER),
    ),
    gauge(
        "master_sync_left_bytes",
        "Bytes that the current sync still has to transfer.",
        Field("master_sync_left_bytes", labels=MASTER),
    ),
    gauge(
        "master_sync_ratio",
        "Share of the current sync that is transferred.",
        Field("master_sync_perc", Transform.PERCENT, labels=MASTER),
        since="6.2",
    ),
    gauge(
        "master_sync_last_io_ago_seconds",
        "Seconds since the current sync last transferred data.",
        Field("master_sync_last_io_seconds_ago", labels=MASTER),
    ),
    go_gauge(
        "connected_slave_offset_bytes",
        "Replication offset of a replica.",
        Record(REPLICA, "offset", labels=REPLICA_LABELS),
    ),
    go_gauge(
        "connected_slave_lag_seconds",
        "Seconds since a replica last acknowledged.",
        Record(REPLICA, "lag", labels=REPLICA_LABELS),
    ),
    gauge(
        "connected_slave_io_thread",
        "I/O thread that serves a replica; 0: the main thread.",
        Record(REPLICA, "io-thread", labels=REPLICA_LABELS),
        since="8.6",
    ),
)

CPU = (
    go_counter("cpu_sys_seconds_total", "System CPU of the server.", Field("used_cpu_sys")),
    go_counter("cpu_user_seconds_total", "User CPU of the server.", Field("used_cpu_user")),
    go_counter(
        "cpu_sys_children_seconds_total",
        "System CPU of the server's children.",
        Field("used_cpu_sys_children"),
    ),
    go_counter(
        "cpu_user_children_seconds_total",
        "User CPU of the server's children.",
        Field("used_cpu_user_children"),
    ),
    go_counter(
        "cpu_sys_main_thread_seconds_total",
        "System CPU of the main thread.",
        Field("used_cpu_sys_main_thread"),
    ),
    go_counter(
        "cpu_user_main_thread_seconds_total",
        "User CPU of the main thread.",
        Field("used_cpu_user_main_thread"),
    ),
    go_counter(
        "active_time_main_thread_seconds_total",
        "Time the main thread was busy.",
        Field("used_active_time_main_thread"),
        since="valkey 9.1",
    ),
    go_counter(
        "active_time_io_thread_seconds_total",
        "Time an I/O thread was busy.",
        Record(ACTIVE_THREAD, ""),
        since="valkey 9.1",
    ),
    go_gauge("server_threads_total", "Threads of KeyDB.", Field("server_threads")),
    go_gauge("long_lock_waits_total", "Long waits for KeyDB's lock.", Field("long_lock_waits")),
)

KEYSPACE = (
    go_gauge("db_keys", "Keys of a database.", Record(DB, "keys", fill=True)),
    go_gauge("db_keys_expiring", "Keys of a database that have an expiry.", Record(DB, "expires", fill=True)),
    go_gauge(
        "db_avg_ttl_seconds",
        "Average time to live of the keys that have an expiry.",
        Record(DB, "avg_ttl", Transform.MSEC),
    ),
    go_gauge(
        "db_keys_cached",
        "Keys of a database cached in memory, on KeyDB.",
        Record(DB, "cached_keys"),
    ),
    go_gauge(
        "db_keys_with_expiring_items",
        "Hashes of a database with fields that expire.",
        Record(DB, "subexpiry|keys_with_volatile_items"),
        since="7.4",
    ),
    alias_gauge(
        "db_keys_with_volatile_items",
        "Hashes of a database of Valkey with fields that expire. Same value as db_keys_with_expiring_items.",
        Record(DB, "keys_with_volatile_items"),
        since="valkey 9.0",
    ),
)

SENTINEL = (
    go_gauge("sentinel_masters", "Masters that the Sentinel watches.", Field("sentinel_masters")),
    go_gauge("sentinel_tilt", "1 while the Sentinel is in TILT mode.", Field("sentinel_tilt")),
    gauge(
        "sentinel_tilt_since_seconds",
        "How long the Sentinel has been in TILT mode.",
        Field("sentinel_tilt_since_seconds"),
        since="7.0",
    ),
    counter(
        "sentinel_tilts_total",
        "Times that the Sentinel went into TILT mode.",
        Field("sentinel_total_tilt"),
        since="8.2",
    ),
    go_gauge(
        "sentinel_running_scripts", "Scripts that the Sentinel runs.", Field("sentinel_running_scripts")
    ),
    go_gauge(
        "sentinel_scripts_queue_length",
        "Scripts that wait for the Sentinel to run them.",
        Field("sentinel_scripts_queue_length"),
    ),
    go_gauge(
        "sentinel_simulate_failure_flags",
        "Failures that the Sentinel simulates.",
        Field("sentinel_simulate_failure_flags"),
    ),
    go_gauge(
        "sentinel_master_status",
        "1 if the Sentinel reports the master as ok.",
        Record(
            SENTINEL_MASTER,
            "status",
            Transform.STATUS,
            labels=(*SENTINEL_LABELS, ("master_status", "status")),
        ),
    ),
    go_gauge(
        "sentinel_master_slaves",
        "Replicas of the master.",
        Record(SENTINEL_MASTER, "slaves", labels=SENTINEL_LABELS),
    ),
    go_gauge(
        "sentinel_master_sentinels",
        "Sentinels that watch the master.",
        Record(SENTINEL_MASTER, "sentinels", labels=SENTINEL_LABELS),
    ),
)


#: where the part would do, and the whole text is read again for so long, somebody looks why
WHOLES_MAX = 20
#: of the wanted fields, in their order
WantedTexts = tuple[bytes | None, ...]
#: of the wanted fields those that stand in the moving sections
MOVING_FIELDS = ("role", "latest_fork_usec")

#: of the wanted texts, which one names the run
_RUN_ID_AT = FACT_FIELDS.index("run_id")
#: takes the texts that move out of all wanted ones
_MOVING_OF = itemgetter(*((*FACT_FIELDS, *FORK_FIELDS).index(key) for key in MOVING_FIELDS))


class InfoCollector(Collector[InfoMemory]):
    name = "info"
    help = "INFO, the sections that move all the time."
    lane = Lane.FAST
    families = (
        *CLIENTS,
        *MEMORY,
        *STATS,
        *REPLICATION,
        *CPU,
        *KEYSPACE,
        *SENTINEL,
    )
    wanted_fields = (*FACT_FIELDS, *FORK_FIELDS)
    identifies = True
    reads_again = True
    memory_name = "info"

    def new_memory(self) -> InfoMemory:
        return InfoMemory()

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info",) if options.redis.config_command in ("", "-") else ("+info", "+config|get")

    def identify(
        self, known: Facts | None, options: Options, out: OutWithMemory[InfoMemory]
    ) -> Identification:
        moving = out.memory.moving
        moving.wholes_in_a_row = 0
        replies: Sequence[Reply] = ()
        if known is not None and _asks_for_part(known, options, out):
            replies = yield [INFO_MOVING]
            text = replies[0]
            if isinstance(text, bytes) and not is_whole(text) and _is_enough(out):
                return self._read_part(text, known, options, out)
            if isinstance(text, ReplyError) and text.is_refusal:
                moving.note(known.run_id, out.now, are_given=False)
        if not replies or not isinstance(replies[0], bytes) or not is_whole(replies[0]):
            replies = yield from ask_info(
                out.memory.sections, None if known is None else known.run_id, out.now
            )
        text = replies[0]
        if isinstance(text, ReplyError):
            raise text.as_target_error()
        if not isinstance(text, bytes):
            raise ProtocolError("the reply to INFO is not a text")
        text = join_texts(replies)
        facts = yield from self._read_whole(text, known, options, out)
        is_same_run = known is not None and facts.run_id == known.run_id
        if (
            is_same_run
            and moving.is_due(facts.run_id, out.now)
            and may_ask_for_part(facts, options, out.memory)
        ):
            [part] = yield [INFO_MOVING]
            are_given = isinstance(part, bytes) and has_all(part, text, _keys_of(self.families))
            moving.note(facts.run_id, out.now, are_given=are_given)
        return facts

    def _read_whole(
        self, text: bytes, known: Facts | None, options: Options, out: OutWithMemory[InfoMemory]
    ) -> Identification:
        """Write the values, and return the facts."""
        memory = out.memory
        databases = None if known is None else known.databases
        if databases is None and _shows_how_many(text, options):
            [reply] = yield [_ask_how_many(options)]
            databases = _databases(reply)
        texts = out.info(text, _databases_in_whole(text, databases, options))
        out.learn_replication(text)
        if not any(texts) and not _has_known_field(text):
            raise ProtocolError(
                "the reply to INFO has no field that the exporter knows: is it a Redis server?"
            )
        if known is None or texts != memory.texts or databases != known.databases:
            known = make_facts(dict(zip(self.wanted_fields, texts, strict=True)), databases)
            out.learn_forks(read_forks(texts[len(FACT_FIELDS) :]))
            memory.texts = texts
        memory.moving.wants_whole = _is_in_change(known, texts)
        apart = memory.sections.apart
        if apart.run_id is None:
            apart.run_id = memory.sections.whole.run_id = known.run_id
        return known

    def _read_part(
        self, text: bytes, known: Facts, options: Options, out: OutWithMemory[InfoMemory]
    ) -> Facts:
        """Write the values of the moving sections. What stands in the others is still as it was known."""
        memory = out.memory
        texts = self._merged(self._write_part(text, known, options, out), memory.texts)
        out.learn_replication(text)
        if texts != memory.texts:
            memory.texts = texts
            memory.moving.wants_whole = True  # the role has changed, or a child was forked
            out.learn_forks(read_forks(texts[len(FACT_FIELDS) :]))
            return make_facts(dict(zip(self.wanted_fields, texts, strict=True)), known.databases)
        return known

    def _write_part(
        self, text: bytes, known: Facts, options: Options, out: OutWithMemory[InfoMemory]
    ) -> WantedTexts:
        return out.info(
            text, shown_databases(text, known.databases, options, in_cluster=known.cluster_enabled)
        )

    def _merged(self, moving: WantedTexts, before: WantedTexts) -> WantedTexts:
        """The wanted texts, those that are not in the moving sections as they were."""
        return tuple(
            new if key in MOVING_FIELDS else old
            for key, old, new in zip(self.wanted_fields, before, moving, strict=True)
        )

    def read_again(
        self,
        facts: Facts,
        options: Options,
        out: OutWithMemory[InfoMemory],
        replies: Sequence[bytes | None],
    ) -> bool:
        memory, text = out.memory, replies[0]
        moving, sections = memory.moving, memory.sections
        if text is None or len(replies) > 1:
            return False
        # the engine finds out on its way whether a part names the run: a search takes as long as all the rest
        if text.startswith(PART_BEGINS) or not is_whole(text):
            if not _is_enough(out) or not asks_for_part(facts, options, memory, out.now):
                return False
            texts, moving_texts = self._write_part(text, facts, options, out), _MOVING_OF
            if texts[_RUN_ID_AT] is not None or moving_texts(texts) != moving_texts(memory.texts):
                return False
            moving.wholes_in_a_row = 0
            out.learn_replication(text)
            return True
        if moving.wholes_in_a_row >= WHOLES_MAX and _asks_for_part(facts, options, out):
            return False
        if sections.apart.names or sections.whole.names or sections.apart.is_due(facts.run_id, out.now):
            return False
        if moving.is_due(facts.run_id, out.now) and may_ask_for_part(facts, options, memory):
            return False
        asks_how_many = facts.databases is None and _shows_how_many(text, options)
        if asks_how_many and not out.is_refused(_ask_how_many(options)):
            return False
        texts = out.info(text, _databases_in_whole(text, facts.databases, options))
        if texts != memory.texts or not any(texts):
            return False
        moving.wants_whole = _is_in_change(facts, texts)
        moving.wholes_in_a_row += 1
        out.learn_replication(text)
        return True


def _is_in_change(facts: Facts, texts: WantedTexts) -> bool:
    """Whether a child works, or the server loads. Only the whole text says so: it is asked for until they
    have ended."""
    return facts.loading or read_forks(texts[len(FACT_FIELDS) :]).is_running


def _shows_how_many(text: bytes, options: Options) -> bool:
    """Whether the server's configuration has a number of databases that matters, and may be asked for it."""
    return (
        options.redis.config_command not in ("", "-")
        and (b"_version:" in text or b"role:" in text)
        and not is_sentinel(text)
        and not is_cluster(text)
    )


def _ask_how_many(options: Options) -> Command:
    return Command.of(options.redis.config_command, "GET", "databases")


def _databases_in_whole(text: bytes, databases: int | None, options: Options) -> int:
    return 0 if is_sentinel(text) else shown_databases(text, databases, options, in_cluster=is_cluster(text))


def _asks_for_part(known: Facts, options: Options, out: OutWithMemory[InfoMemory]) -> bool:
    """Whether to ask for the moving sections alone first."""
    return not out.is_new_connection and asks_for_part(known, options, out.memory, out.now)


def _is_enough(out: OutWithMemory[InfoMemory]) -> bool:
    """Whether the moving sections are enough in this poll: the run of the server is known, and nothing that
    the others say is under way."""
    return not out.is_new_connection and not out.memory.moving.wants_whole


@cache
def _keys_of(families: Iterable[Family]) -> frozenset[bytes]:
    """The keys of the lines that these families read."""
    keys: set[str] = set()
    for family in families:
        if isinstance(family.source, Field):
            keys.update((family.source.key, *family.source.also))
    return frozenset(key.encode() for key in keys)


def _has_known_field(text: bytes) -> bool:
    return not _keys_of((*InfoCollector.families, *ServerCollector.families)).isdisjoint(
        line.partition(b":")[0] for line in text.split(b"\n")
    )


def _databases(reply: object) -> int | None:
    """The number in a reply to CONFIG GET databases; None after an error: a later poll asks again."""
    if isinstance(reply, ReplyError):
        return None
    if isinstance(reply, list):  # some servers list more keys than they are asked for
        for key, value in zip(reply[::2], reply[1::2], strict=False):
            if key == b"databases" and isinstance(value, bytes) and value.isdigit() and len(value) < 9:
                return int(value)
    return DATABASES_DEFAULT
