"""Envoy's Redis proxy since 1.36, in front of three servers (github.com/envoyproxy/envoy).

- commands it knows (INFO, CONFIG, SLOWLOG, SELECT go to all servers, CLUSTER to any one):
  source/extensions/filters/network/common/redis/supported_commands.h
- INFO is its own selection of fields, summed up, without Persistence and Replication; numbers with a fraction
  become 0; of several names it looks at the first:
  source/extensions/filters/network/redis_proxy/info_command_handler.cc
- SLOWLOG GET and CONFIG GET are the replies of all servers, one after the other, SLOWLOG LEN their sum:
  source/extensions/filters/network/redis_proxy/cluster_response_handler.cc
- other commands: source/extensions/filters/network/redis_proxy/command_splitter_impl.cc
"""

from collections.abc import Sequence

from tests.server_kinds import OK, Refusal, Reply, Status, info

INFO = """
# Server
redis_version:7.4.1
redis_git_sha1:00000000
redis_git_dirty:0
redis_build_id:760a4b6c70d62a14
redis_mode:cluster
os:Linux 6.1.0-30-amd64 x86_64
arch_bits:64
gcc_version:12.2.0
multiplexing_api:epoll
atomicvar_api:c11-builtin
process_supervised:no
run_id:29dc7d30af1e7255cff5b99057e6a010b8c10eb1
server_time_usec:1795380000000000
uptime_in_seconds:90210
uptime_in_days:1
hz:10
configured_hz:10
lru_clock:216113
executable:/usr/local/bin/redis-server
config_file:
io_threads_active:0

# Clients
connected_clients:36
cluster_connections:12
maxclients:10000
client_recent_max_input_buffer:20480
client_recent_max_output_buffer:0
blocked_clients:0
tracking_clients:0
pubsub_clients:0
watching_clients:0
clients_in_timeout_table:0
total_watched_keys:0
total_blocking_keys:0
total_blocking_keys_on_nokey:0

# Memory
used_memory:9012344
used_memory_human:8.59M
used_memory_rss:40012344
used_memory_rss_human:38.16M
used_memory_peak:3312344
used_memory_peak_human:3.16M
maxmemory:0
maxmemory_human:0B
maxmemory_policy:noeviction
mem_allocator:jemalloc-5.3.0
active_defrag_running:0
lazyfree_pending_objects:0
lazyfreed_objects:0

# Stats
total_connections_received:1203
total_commands_processed:912334
instantaneous_ops_per_sec:312
total_net_input_bytes:71203344
total_net_output_bytes:190233411
instantaneous_input_kbps:0
instantaneous_output_kbps:0
rejected_connections:0
sync_full:0
sync_partial_ok:0
sync_partial_err:0
expired_keys:41
evicted_keys:0
keyspace_hits:700123
keyspace_misses:4012
pubsub_channels:0
pubsub_patterns:0
latest_fork_usec:0
total_error_replies:12
total_reads_processed:912334
total_writes_processed:912330

# CPU
used_cpu_sys:0
used_cpu_user:0
used_cpu_sys_children:0
used_cpu_user_children:0

# Cluster
cluster_enabled:1

# Keyspace
db0:keys=90123,expires=411,avg_ttl=0
"""
KNOWN = info(INFO)
#: of each server: its entries; ids repeat
SLOW = [
    (1, 1795379990, 41200, ["KEYS", "*"], "10.0.0.3:51002", ""),
    (0, 1795379970, 12000, ["GET", "page:1"], "10.0.0.3:51002", ""),
    (0, 1795379980, 30500, ["GET", "page:2"], "10.0.0.3:40110", ""),
    (4, 1795379960, 11500, ["GET", "page:3"], "10.0.0.3:40118", ""),
]
SERVERS = 3


def slowlog(words: Sequence[str]) -> Reply:
    """As many entries as are asked for, of each server."""
    count = int(words[2])
    return [list(entry) for of in (SLOW[:2], SLOW[2:3], SLOW[3:]) for entry in of[:count]]


def config(words: Sequence[str]) -> Reply:
    one = {"maxclients": "10000", "maxmemory": "0", "databases": "16", "repl-backlog-size": "1048576"}
    names = one if words[2:] == ["*"] else [name for name in words[2:] if name in one]
    return [text for _ in range(SERVERS) for name in names for text in (name, one[name])]


REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "INFO": lambda words: KNOWN(words[:2]),
    "CONFIG GET": config,
    "SLOWLOG LEN": len(SLOW),
    "SLOWLOG GET": slowlog,
    "CLUSTER INFO": "cluster_state:ok\ncluster_slots_assigned:16384\ncluster_slots_ok:16384\n"
    "cluster_slots_pfail:0\ncluster_slots_fail:0\ncluster_known_nodes:3\ncluster_size:3\n",
}
UNKNOWN = Refusal("ERR unknown command '{command}', with args beginning with: {arguments}")
