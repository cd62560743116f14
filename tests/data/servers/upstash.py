"""Upstash Redis. It calls itself Redis 6.2.6.

- INFO, its sections (its own Persistence, no Replication and CPU), at most one name, a heading for a section
  that it does not have: https://upstash.com/docs/redis/commands/server/info
- fields: a reply on record in github.com/keepselvesreal/Xai_Community; upstash_version tells it from Redis in
  github.com/redis/RedisInsight too
- CONFIG GET knows notify-keyspace-events only: https://upstash.com/docs/redis/commands/server/config-get
- CLIENT SETNAME and LIST, SELECT of database 0: https://upstash.com/docs/redis/commands/connection/overview
- other commands: https://github.com/sidekiq/sidekiq/issues/5641
- TLS only, default user: https://upstash.com/docs/redis/howto/connectclient
"""

from collections.abc import Sequence

from tests.server_kinds import OK, Refusal, Reply, Status, config, info

INFO = """
# Server
upstash_version:1.13.3
redis_version:6.2.6
redis_git_sha1:b8ef06c
redis_build_id:20250422
redis_mode:standalone

# Clients
connected_clients:3
maxclients:10000

# Memory
used_memory:81024
used_memory_human:79.125KB
maxmemory:67108864
maxmemory_human:64.000MB
maxmemory_policy:noeviction

# Persistence
total_keys:15
total_data_size:2048
total_data_size_human:2.000KB
max_data_size:268435456
max_data_size_human:256.000MB

# Stats
total_connections_received:50
total_commands_processed:1500
instantaneous_ops_per_sec:5
max_ops_per_sec:10000
evicted_clients:0
expired_keys:3
evicted_keys:0
keyspace_hits:350
keyspace_misses:85
total_reads_processed:800
total_writes_processed:200

# Cluster
cluster_enabled:0

# Keyspace
db0:keys=15,expires=3,avg_ttl=0
"""
KNOWN = info(INFO, several=Refusal("ERR wrong number of arguments for 'info' command"))


def answer_info(words: Sequence[str]) -> Reply:
    reply = KNOWN(words)
    return reply if reply != "" else f"# {words[1].capitalize()}\r\n"


REPLIES = {
    "PING": Status("PONG"),
    "SELECT 0": OK,
    "SELECT": Refusal("ERR Only 0th database is supported! Selected DB: 1"),
    "CLIENT SETNAME": OK,
    "CLIENT LIST": "id=8 addr=10.0.0.3:51002 laddr=10.0.0.2:6379 fd=0 name=app age=120 idle=2 flags=N db=0 "
    "user=default\n",
    "INFO": answer_info,
    "CONFIG GET": config({"notify-keyspace-events": ""}),
    "ACL LIST": ["user default on ~* &* +@all"],
    "ACL USERS": ["default"],
    "ACL LOG": [],
    "COMMAND": [],
}
UNKNOWN = Refusal(
    "ERR Command is not available: '{command}'. See https://docs.upstash.com/overall/rediscompatibility for "
    "details"
)
