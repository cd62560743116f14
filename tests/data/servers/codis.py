"""Codis 3.2, a proxy in front of Redis 3.2 (github.com/CodisLabs/codis).

- plain INFO is answered by whichever server the clock points at, here by two in turn; a word after INFO is
  the address of a server: pkg/proxy/session.go, handleRequestInfo
- commands it does not let through: pkg/proxy/mapper.go, FlagNotAllow; wording: pkg/proxy/session.go,
  handleRequest and loopReader
- the rest goes to a server, which does not know it either
"""

from collections.abc import Sequence
from itertools import chain, cycle, islice, repeat

from tests.server_kinds import OK, Refusal, Reply, Status

SERVER = """# Server
redis_version:3.2.11
redis_git_sha1:de1ad026
redis_git_dirty:0
redis_build_id:3d7d3b1b1bf9b1f6
redis_mode:standalone
os:Linux 4.18.0 x86_64
arch_bits:64
multiplexing_api:epoll
gcc_version:4.8.5
process_id:{pid}
run_id:{run_id}
tcp_port:{port}
uptime_in_seconds:901234
uptime_in_days:10
hz:10

# Clients
connected_clients:9
blocked_clients:0

# Memory
used_memory:1200344
used_memory_rss:4200344

# Stats
total_connections_received:77
total_commands_processed:1200

# Replication
role:master
connected_slaves:0

# CPU
used_cpu_sys:11.20
used_cpu_user:9.10

# Cluster
cluster_enabled:0

# Keyspace
db0:keys=100,expires=0,avg_ttl=0
"""
ONE, OTHER = (
    SERVER.format(pid=pid, run_id=letter * 40, port=port).replace("\n", "\r\n")
    for pid, letter, port in ((21, "a", 6379), (22, "b", 6380))
)
#: in the end always the same one, so that the page is the same in each run
ANSWERING = chain(islice(cycle((ONE, OTHER)), 60), repeat(ONE))


def info(words: Sequence[str]) -> Reply:
    if len(words) > 1:
        return Refusal(f"ERR backend server '{words[1]}' not found")
    return next(ANSWERING)


REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "INFO": info,
    **{
        name: Refusal(f"ERR handle request, command '{name}' is not allowed")
        for name in ("CLIENT", "CLUSTER", "CONFIG", "LATENCY", "SLOWLOG", "TIME")
    },
}
UNKNOWN = Refusal("ERR unknown command '{command}'")
