"""Amazon ElastiCache Serverless (Redis OSS 7.1): one virtual node of a cluster, over TLS.

- commands it has and has not (CLIENT SETNAME and INFO, not CLIENT LIST, CONFIG, SLOWLOG, LATENCY, MEMORY,
  ACL LOG): https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/SupportedCommands.html
- wording of a refusal: https://github.com/oliver006/redis_exporter/issues/1054
- cluster-enabled, one virtual node owns all slots:
  https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/RedisConfiguration.html
- fields of INFO are in no document; these are the sections that its users show: Server, Replication, Cluster
"""

from tests.server_kinds import OK, Refusal, Status, info

INFO = """
# Server
redis_version:7.1.0
redis_mode:cluster
os:Amazon ElastiCache
arch_bits:64
run_id:0

# Replication
role:master
connected_slaves:1
slave0:ip=cache-abc123.serverless.use1.cache.amazonaws.com,port=6380,state=online,offset=0,lag=0
master_failover_state:no-failover
master_replid:0
master_repl_offset:0

# Cluster
cluster_enabled:1
"""
REPLIES = {
    "PING": Status("PONG"),
    "SELECT 0": OK,
    "CLIENT SETNAME": OK,
    "INFO": info(INFO),
    "CLUSTER INFO": "cluster_state:ok\ncluster_slots_assigned:16384\ncluster_slots_ok:16384\n"
    "cluster_slots_pfail:0\ncluster_slots_fail:0\ncluster_known_nodes:1\ncluster_size:1\n"
    "cluster_current_epoch:0\ncluster_my_epoch:0\n",
    "ACL LIST": Refusal("NOPERM this user has no permissions to run the 'acl|list' command"),
}
UNKNOWN = Refusal("ERR unknown command '{command}', with args beginning with: {arguments}")
