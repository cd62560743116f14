"""Dragonfly, its main branch of 2026 (github.com/dragonflydb/dragonfly).

- INFO, its sections, which of them are hidden, -1 for what it does not know, errors by kind without a
  prefix: src/server/server_family.cc, ServerFamily::FormatInfoMetrics; several sections: ServerFamily::Info
- CONFIG GET takes one pattern: src/server/server_family.cc, ServerFamily::Config
- SLOWLOG: a log for each thread, ids are entry * threads + thread, the reply is sorted by time:
  src/server/server_family.cc, SlowLogGet
- LATENCY LATEST and HISTOGRAM are always empty: src/server/server_family.cc, ServerFamily::Latency
- CLIENT LIST: src/facade/dragonfly_connection.cc, FormatClientInfo
- MEMORY STATS has three numbers: src/server/memory_cmd.cc, MemoryCmd::Stats
- CLUSTER without a cluster: src/server/cluster/cluster_family.cc, kClusterDisabled
- other commands: src/server/main_service.cc, "unknown command"; src/facade/facade.cc, UnknownSubCmd
"""

from tests.server_kinds import OK, Refusal, Status, config, info, newest

INFO = """
# Server
redis_version:7.4.0
dragonfly_version:df-v1.38.0
redis_mode:standalone
arch_bits:64
process_id:1
os:Linux 6.8.0-1021-aws x86_64
thread_count:8
multiplexing_api:iouring
tcp_port:6379
uptime_in_seconds:86512
uptime_in_days:1
hz:100
executable:dragonfly
config_file:

# Clients
connected_clients:24
max_clients:64000
client_read_buffer_bytes:32768
blocked_clients:0
pipeline_queue_length:3
send_delay_ms:0
timeout_disconnects:2

# Memory
used_memory:52847712
used_memory_human:50.40MiB
used_memory_peak:60817408
used_memory_peak_human:58.00MiB
fibers_stack_vms:4128320
fibers_count:56
used_memory_rss:81235968
used_memory_rss_human:77.47MiB
used_memory_peak_rss:83886080
maxmemory:6871947673
maxmemory_human:6.40GiB
used_memory_lua:65536
object_used_memory:21300480
type_used_memory_string:18300480
type_used_memory_hash:3000000
table_used_memory:9437184
prime_capacity:215040
num_entries:100004
inline_keys:99000
small_string_bytes:4194304
pipeline_cache_bytes:0
dispatch_queue_bytes:0
pipeline_queue_bytes:1536
dispatch_queue_subscriber_bytes:0
dispatch_queue_peak_bytes:8192
client_read_buffer_peak_bytes:65536
tls_bytes:0
snapshot_serialization_bytes:0
commands_squashing_replies_bytes:0
psync_buffer_size:0
psync_buffer_bytes:0
cache_mode:store
maxmemory_policy:noeviction
replication_streaming_buffer_bytes:0
replication_full_sync_buffer_bytes:0

# Stats
total_connections_received:1801
total_handshakes_started:0
total_handshakes_completed:0
total_commands_processed:9120342
instantaneous_ops_per_sec:812
total_pipelined_commands:120544
pipeline_throttle_total:0
batch_read_commands_total:0
batch_write_commands_total:0
batch_read_commands_bytes:0
batch_write_commands_bytes:0
rw_throttle_batches_total:0
pipelined_latency_usec:9312200
total_net_input_bytes:512003112
connection_migrations:7
connection_recv_provided_calls:0
total_net_output_bytes:1830011927
rdb_save_usec:0
rdb_save_count:0
big_value_preemptions:0
compressed_blobs:0
instantaneous_input_kbps:-1
instantaneous_output_kbps:-1
rejected_connections:-1
expired_keys:4410
evicted_keys:12
total_heartbeat_expired_keys:4100
total_heartbeat_expired_bytes:321000
total_heartbeat_expired_calls:860000
hard_evictions:0
garbage_checked:0
garbage_collected:0
bump_ups:0
stash_unloaded:0
oom_rejections:0
traverse_ttl_sec:31
delete_ttl_sec:2
keyspace_hits:7000011
keyspace_misses:321456
keyspace_mutations:1200345
total_reads_processed:8998712
total_writes_processed:8998700
huffenc_attempt_total:0
huffenc_success_total:0
defrag_attempt_total:3
defrag_realloc_total:1
defrag_task_invocation_total:865120
borrowed_strings_sent_total:0
blocked_on_interpreter:0
lua_interpreter_cnt:2
lua_blocked_total:0
lua_interpreter_return:2
lua_force_gc_calls:0
lua_gc_freed_memory_total:0
lua_gc_duration_total_sec:0
total_journal_omits:0

# Tiered
tiered_entries:0
tiered_entries_bytes:0
tiered_entries_bytes_human:0B
tiered_total_stashes:0

# Persistence
current_snapshot_perc:0
current_save_keys_processed:0
current_save_keys_total:0
last_success_save:1795370000
last_saved_file:/data/dump-summary.dfs
last_success_save_duration_sec:3
loading:0
saving:0
current_save_duration_sec:0
rdb_string:98004
rdb_hash:2000
rdb_changes_since_last_success_save:512
rdb_bgsave_in_progress:0
rdb_last_bgsave_status:ok
last_failed_save:0
last_error:
last_failed_save_duration_sec:0

# Transaction
tx_shard_polls:2512
tx_shard_optimistic_total:7310020
tx_shard_ooo_total:12
tx_global_total:40
tx_normal_total:1230
tx_inline_runs_total:810233
tx_schedule_cancel_total:0
tx_with_freq:1210,14,0,2,0,0,0,4
squash_with_freq:0,0,0,0,0,0,0,0
tx_queue_len:0
eval_io_coordination_total:0
eval_shardlocal_coordination_total:0
eval_squashed_flushes:0

# Replication
role:master
connected_slaves:1
slave0:ip=10.0.0.7,port=6379,state=stable_sync,lag=0
master_replid:0f1e2d3c4b5a69788796a5b4c3d2e1f001234567

# Commandstats
cmdstat_get:calls=7321467,usec=21964401,usec_per_call=3
cmdstat_info:calls=4312,usec=512440,usec_per_call=118.84044526901669
cmdstat_set:calls=1200345,usec=6001725,usec_per_call=5
unknown_FOOBAR:3

# Modules
module:name=ReJSON,ver=20000,api=1,filters=0,usedby=[search],using=[],options=[handle-io-errors]
module:name=search,ver=20000,api=1,filters=0,usedby=[],using=[ReJSON],options=[handle-io-errors]

# Search
search_memory:0
search_num_indices:0
search_num_entries:0

# Errorstats
syntax_error:91
unknown_cmd:3

# Keyspace
db0:keys=100004,expires=2011,hits=7000011,misses=321456,hit_ratio=95.61,avg_ttl=-1

# Cpu
used_cpu_sys:512.92081
used_cpu_user:1201.331
used_cpu_sys_children:0.1130
used_cpu_user_children:0.3410
used_cpu_sys_main_thread:61.12001
used_cpu_user_main_thread:150.9

# Cluster
cluster_enabled:0
migration_errors_total:0
total_migrated_keys:0

# Latencystats
latency_percentiles_usec_get:p50=2,p99=11,p99.9=40
latency_percentiles_usec_set:p50=4,p99=15,p99.9=61

# Acl
acl_num_users:1
acl_num_passwords:0
"""
HIDDEN = ("tiered", "persistence", "transaction", "commandstats", "search", "errorstats", "acl")
ONE_PATTERN = Refusal("ERR Unknown subcommand or wrong number of arguments for 'GET'. Try CONFIG HELP.")
CONFIG = {
    "databases": "16",
    "maxclients": "64000",
    "maxmemory": "6871947673",
    "requirepass": "",
    "dir": "/data",
}
CLIENTS = (
    "id=3 addr=10.0.0.3:51002 laddr=10.0.0.2:6379 fd=33 name=app tid=1 irqmatch=1 age=120 idle=2 "
    "tot-cmds=512 tot-net-in=20480 tot-read-calls=500 tot-dispatches=12 "
    "db=0 phase=readsock lib-name= lib-ver=\n"
)
SLOW = [
    (21, 1795379990, 41200, ["KEYS", "*"], "10.0.0.3:51002", "app"),
    (9, 1795379970, 12000, ["GET", "page:1"], "10.0.0.3:51002", "app"),
    (13, 1795379960, 30500, ["GET", "page:2"], "10.0.0.4:40110", ""),
]
REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "CLIENT SETNAME": OK,
    "CLIENT LIST": CLIENTS,
    "INFO": info(INFO, hidden=HIDDEN),
    "CONFIG GET": config(CONFIG, several=ONE_PATTERN),
    "SLOWLOG LEN": len(SLOW),
    "SLOWLOG GET": newest(SLOW),
    "LATENCY LATEST": [],
    "LATENCY HISTOGRAM": [],
    "MEMORY STATS": [
        "connections.direct_bytes",
        112640,
        "replication.connections_count",
        1,
        "replication.direct_bytes",
        4096,
    ],
    "MEMORY": Refusal("ERR Unknown subcommand or wrong number of arguments for 'MEMORY'. Try MEMORY HELP."),
    "ACL LIST": ["user default on nopass ~* &* +@all $all"],
    "ACL USERS": ["default"],
    "ACL LOG": [],
    "MODULE LIST": [["name", "ReJSON", "ver", 20808], ["name", "search", "ver", 21015]],
    "CLUSTER": Refusal("ERR Cluster is disabled. Enabled via passing --cluster_mode=emulated|yes"),
    "COMMAND": [],
}
UNKNOWN = Refusal("ERR unknown command `{command}`")
