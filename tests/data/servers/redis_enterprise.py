"""A database of Redis Enterprise Software 7.4, behind its proxy.

- commands it has and has not (SLOWLOG and LATENCY HISTOGRAM, not LATENCY LATEST, MEMORY STATS, ACL LOG):
  https://redis.io/docs/latest/operate/rs/references/compatibility/commands/server/
- CLIENT LIST: https://redis.io/docs/latest/operate/rs/references/compatibility/commands/connection/
- INFO has another set of fields (the same page); there is no list of them: these are the ones that Redis 3
  had, with figures of the whole database and the shape that users show
- CONFIG GET of a setting it does not have is an error:
  https://redis.io/docs/latest/operate/rs/references/compatibility/config-settings/
- the wording of refusals is in no document
"""

from collections.abc import Sequence

from tests.server_kinds import OK, Refusal, Reply, Status, info, newest

INFO = """
# Server
redis_version:7.4.0
redis_git_sha1:00000000
redis_git_dirty:0
redis_build_id:0000000000000000
redis_mode:standalone
os:Linux 5.15.0-1050-aws x86_64
arch_bits:64
multiplexing_api:epoll
gcc_version:9.4.0
process_id:30211
run_id:91f8a7c0b3e2d4f5a6b7c8d9e0f1a2b3c4d5e6f7
tcp_port:12000
uptime_in_seconds:812345
uptime_in_days:9
hz:10
lru_clock:0
config_file:

# Clients
connected_clients:21
client_longest_output_list:0
client_biggest_input_buf:0
blocked_clients:0

# Memory
used_memory:52135496
used_memory_human:49.72M
used_memory_rss:60135496
used_memory_peak:61135496
used_memory_peak_human:58.30M
used_memory_lua:47104
mem_fragmentation_ratio:1.15
mem_allocator:jemalloc-5.1.0

# Persistence
loading:0
rdb_changes_since_last_save:100
rdb_bgsave_in_progress:0
rdb_last_save_time:1795370000
rdb_last_bgsave_status:ok
rdb_last_bgsave_time_sec:0
rdb_current_bgsave_time_sec:-1
aof_enabled:0
aof_rewrite_in_progress:0
aof_rewrite_scheduled:0
aof_last_rewrite_time_sec:-1
aof_current_rewrite_time_sec:-1
aof_last_bgrewrite_status:ok
aof_last_write_status:ok

# Stats
total_connections_received:4120
total_commands_processed:9123344
instantaneous_ops_per_sec:512
total_net_input_bytes:812334411
total_net_output_bytes:1802334411
instantaneous_input_kbps:55.12
instantaneous_output_kbps:120.50
rejected_connections:0
sync_full:0
sync_partial_ok:0
sync_partial_err:0
expired_keys:412
evicted_keys:0
keyspace_hits:7001234
keyspace_misses:20112
pubsub_channels:0
pubsub_patterns:0

# Replication
role:master
connected_slaves:1
slave0:ip=0.0.0.0,port=0,state=online,offset=0,lag=0
master_repl_offset:0
repl_backlog_active:0
repl_backlog_size:1048576
repl_backlog_first_byte_offset:0
repl_backlog_histlen:0

# CPU
used_cpu_sys:0.00
used_cpu_user:0.00
used_cpu_sys_children:0.00
used_cpu_user_children:0.00

# Cluster
cluster_enabled:0

# Keyspace
db0:keys=90123,expires=411,avg_ttl=0
"""
CONFIG = {
    "slowlog-log-slower-than": "10000",
    "slowlog-max-len": "128",
    "notify-keyspace-events": "",
    "hll-sparse-max-bytes": "3000",
}
#: of two shards, joined: ids repeat
SLOW = [
    (4, 1795379990, 41200, ["KEYS", "*"], "10.0.0.3:51002", ""),
    (4, 1795379980, 30500, ["GET", "page:2"], "10.0.0.3:40110", ""),
    (3, 1795379970, 12000, ["GET", "page:1"], "10.0.0.3:51002", ""),
]


def config(words: Sequence[str]) -> Reply:
    if words[2:] == ["*"]:
        return [text for pair in CONFIG.items() for text in pair]
    if len(words) == 3 and words[2] in CONFIG:
        return [words[2], CONFIG[words[2]]]
    return Refusal(f"ERR unsupported CONFIG parameter: {words[2]}")


REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "CLIENT SETNAME": OK,
    "CLIENT LIST": "id=1001 addr=10.0.0.3:51002 fd=7 name=app age=120 idle=2 flags=N db=0 sub=0 "
    "psub=0 multi=-1 qbuf=0 qbuf-free=0 obl=0 oll=0 omem=0 events=r cmd=get user=default\n",
    "INFO": info(INFO),
    "CONFIG GET": config,
    "SLOWLOG LEN": len(SLOW),
    "SLOWLOG GET": newest(SLOW),
    "LATENCY HISTOGRAM": [],
    "LATENCY": Refusal("ERR command is not allowed"),
    "MEMORY": Refusal("ERR command is not allowed"),
    "ACL LIST": ["user default on nopass ~* &* +@all"],
    "ACL USERS": ["default"],
    "ACL": Refusal("ERR command is not allowed"),
    "MODULE LIST": [],
    "CLUSTER": Refusal("ERR This instance has cluster support disabled"),
}
UNKNOWN = Refusal("ERR unknown command '{command}'")
