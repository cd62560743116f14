"""Alibaba Cloud Tair (Redis OSS-compatible) 6.0, a cluster behind its proxy nodes.

- INFO is of the whole instance, with the number of its shards; IINFO asks one shard:
  https://www.alibabacloud.com/help/en/redis/developer-reference/in-house-commands-for-tair-instances-in-proxy-mode
- commands (CONFIG, MODULE and ACL are not for users):
  https://www.alibabacloud.com/help/doc-detail/185969.htm
- wording of refusals, where an operator has disabled more (here CLIENT, SLOWLOG, LATENCY, MEMORY):
  https://help.aliyun.com/knowledge_detail/71967.html

No document lists the fields of INFO. Those below are the fields of the Redis version that it names.
"""

from tests.server_kinds import OK, Refusal, Status, info

INFO = """
# Server
redis_version:6.0.5
redis_git_sha1:bb5a0aaa
redis_git_dirty:1
redis_build_id:18f9aa8a
redis_mode:standalone
os:Linux
arch_bits:64
multiplexing_api:epoll
atomicvar_api:atomic-builtin
gcc_version:0.0.0
process_id:119114
run_id:b5a9d3e8f7c6b5a4938271605f4e3d2c1b0a9f8e
tcp_port:6379
uptime_in_seconds:7812345
uptime_in_days:90
hz:10
configured_hz:10
lru_clock:216113
executable:
config_file:

# Clients
connected_clients:44
client_recent_max_input_buffer:0
client_recent_max_output_buffer:0
blocked_clients:0

# Memory
used_memory:152135496
used_memory_human:145.09M
used_memory_rss:170135496
used_memory_rss_human:162.25M
used_memory_peak:161135496
used_memory_peak_human:153.67M
used_memory_lua:47104
maxmemory:4294967296
maxmemory_human:4.00G
maxmemory_policy:volatile-lru
mem_fragmentation_ratio:1.12
mem_allocator:jemalloc-5.1.0

# Persistence
loading:0
rdb_changes_since_last_save:0
rdb_bgsave_in_progress:0
rdb_last_save_time:1795370000
rdb_last_bgsave_status:ok
rdb_last_bgsave_time_sec:1
rdb_current_bgsave_time_sec:-1
aof_enabled:1

# Stats
total_connections_received:84120
total_commands_processed:99123344
instantaneous_ops_per_sec:2512
total_net_input_bytes:8812334411
total_net_output_bytes:18802334411
instantaneous_input_kbps:155.12
instantaneous_output_kbps:320.50
rejected_connections:0
expired_keys:90412
evicted_keys:0
keyspace_hits:77001234
keyspace_misses:320112

# Replication
role:master
connected_slaves:1
slave0:ip=192.168.7.8,port=3002,state=online,offset=2254999,lag=0
master_replid:4c17e0a9d2b85f6311c9e4707a3d5b2f86e0c1d4
master_repl_offset:2254999

# CPU
used_cpu_sys:50123.51
used_cpu_user:61022.02
used_cpu_sys_children:0.00
used_cpu_user_children:0.00

# Cluster
cluster_enabled:0
databases:256
nodecount:4

# Commandstats
cmdstat_get:calls=77321346,usec=154642692,usec_per_call=2.00

# Keyspace
db0:keys=901230,expires=4110,avg_ttl=0
"""
REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "INFO": info(INFO, hidden=["commandstats"], several=Refusal("ERR syntax error")),
}
UNKNOWN = Refusal("ERR command '{command}' not support for normal user")
