"""Apache Kvrocks 2.10 (github.com/apache/kvrocks). It calls itself Redis 4.0.0.

- INFO, its sections and odd keys (`estimate_keys[default]`, `used_percent: 0%`), all of them without a name:
  src/server/server.cc, Server::GetInfo; several sections: src/commands/cmd_server.cc, CommandInfo
- CONFIG GET takes one pattern: src/commands/cmd_server.cc, CommandConfig
- SLOWLOG, ids from 1: src/stats/log_collector.cc
- CLIENT LIST without `db`: src/server/redis_connection.cc, Connection::ToString
- MEMORY takes USAGE only: src/commands/cmd_server.cc, CommandMemory and its number of arguments
- CLUSTER without a cluster: src/commands/cmd_cluster.cc
- other commands: src/server/redis_connection.cc, "unknown command"
"""

from tests.server_kinds import OK, Refusal, Status, config, info, newest

INFO = """
# Server
version:2.10.1
kvrocks_version:2.10.1
redis_version:4.0.0
git_sha1:5fccd57c
kvrocks_git_sha1:5fccd57c
redis_mode:standalone
kvrocks_mode:standalone
os:Linux 6.1.0-30-amd64 x86_64
gcc_version:12.2.0
arch_bits:64
process_id:7
tcp_port:6666
uptime_in_seconds:90210
uptime_in_days:1

# Clients
maxclients:10000
connected_clients:12
monitor_clients:0
blocked_clients:1

# Memory
used_memory_rss:152043520
used_memory_rss_human:145.00M
used_memory_lua:41984
used_memory_lua_human:41.00K
used_memory_startup:23040000

# Persistence
loading:0
bgsave_in_progress:0
last_bgsave_time:1795370000
last_bgsave_status:ok
last_bgsave_time_sec:-1

# Stats
total_connections_received:3120
total_commands_processed:810233
instantaneous_ops_per_sec:92
total_net_input_bytes:71203344
total_net_output_bytes:190233411
instantaneous_input_kbps:3
instantaneous_output_kbps:8
sync_full:1
sync_partial_ok:2
sync_partial_err:0
keyspace_hits:600123
keyspace_misses:4012
pubsub_channels:2
pubsub_patterns:1

# Replication
role:master
connected_slaves:1
slave0:ip=10.0.0.9,port=6666,offset=2254990,lag=9
master_repl_offset:2254999

# CPU
used_cpu_sys:51
used_cpu_user:201

# Commandstats
cmdstat_get:calls=600123,usec=3000615,usec_per_call=5
cmdstat_set:calls=200000,usec=2200000,usec_per_call=11

# Cluster
cluster_enabled:0

# Keyspace
# Last DBSIZE SCAN time: Sat Nov 28 11:00:05 2026
db0:keys=81233,expires=512,avg_ttl=3600,expired=7
sequence:2254999
used_db_size:41231234
max_db_size:0
used_percent: 0%
disk_capacity:105089261568
used_disk_size:21474836480
used_disk_percent: 20%

# RocksDB
block_cache_usage:8388608
block_cache_pinned_usage[default]:88
estimate_keys[default]:81233
index_and_filter_cache_usage[default]:0
level0_file_limit_slowdown[default]:0
level0_file_limit_stop[default]:0
estimate_keys[metadata]:81233
all_mem_tables:4194304
cur_mem_tables:2097152
snapshots:0
num_immutable_tables:0
num_running_flushes:0
memtable_flush_pending:0
compaction_pending:0
num_running_compactions:0
num_live_versions:7
num_super_version:7
num_background_errors:0
flush_count:3
compaction_count:1
put_per_sec:14
get_per_sec:77
seek_per_sec:0
next_per_sec:0
prev_per_sec:0
is_bgsaving:no
is_compacting:no
"""
CONFIG = {
    "maxclients": "10000",
    "max-db-size": "0",
    "dir": "/var/lib/kvrocks",
    "requirepass": "",
}
SLOW = [
    (3, 1795379990, 120034, ["keys", "*"], "10.0.0.3:51002", "app"),
    (2, 1795379970, 101000, ["smembers", "all"], "10.0.0.3:51002", "app"),
    (1, 1795379960, 100500, ["zrange", "board", "0", "-1"], "10.0.0.4:40110", ""),
]
REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "CLIENT SETNAME": OK,
    "CLIENT LIST": "id=5 addr=10.0.0.3:51002 fd=41 name=app age=120 idle=2 flags=N "
    "namespace=__namespace qbuf=0 obuf=0 cmd=get\n",
    "INFO": info(INFO, several=Refusal("ERR syntax error")),
    "CONFIG GET": config(CONFIG, several=Refusal("ERR wrong number of arguments")),
    "SLOWLOG LEN": len(SLOW),
    "SLOWLOG GET": newest(SLOW),
    "MEMORY": Refusal("ERR wrong number of arguments"),
    "CLUSTER": Refusal("ERR Cluster mode is not enabled"),
    "COMMAND": [],
}
UNKNOWN = Refusal("ERR unknown command `{command}`, with args beginning with: `{arguments}`")
