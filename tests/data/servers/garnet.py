"""Microsoft Garnet 1.0, with its monitors on (github.com/microsoft/garnet).

- INFO, sections that only their names show (Keyspace, Commandstats), N/A, names with blanks and brackets:
  libs/server/Metrics/Info/GarnetInfoMetrics.cs
- INFO with a name it does not know: libs/server/Metrics/Info/InfoCommand.cs
- redis_version: libs/host/GarnetServer.cs
- SLOWLOG GET, oldest entry first: libs/server/Metrics/Slowlog/SlowLogContainer.cs
- LATENCY knows HISTOGRAM, of events and percentiles: libs/server/Metrics/Latency/GarnetLatencyMetrics.cs
- CONFIG GET takes several names: libs/server/ServerConfig.cs
- CLIENT LIST: libs/server/Resp/BasicCommands.cs, WriteClientInfo
- other commands: libs/server/Resp/CmdStrings.cs; other subcommands: libs/server/Resp/Parser/RespCommand.cs
"""

from collections.abc import Sequence

from tests.server_kinds import OK, Refusal, Reply, Status, config, info

INFO = """
# Server
garnet_version:1.0.84
server_name:garnet
os:Unix 6.1.0.30
processor_count:8
arch_bits:64
uptime_in_seconds:7215
uptime_in_days:0
monitor_task:enabled
monitor_freq:5
latency_monitor:enabled
commandstats_monitor:enabled
run_id:c2f6b9d1e8a74f5390d2b1c7e6f5a4938271605f
redis_version:7.4.3
redis_mode:standalone

# Memory
system_page_size:4096
total_system_memory:33534373888
total_system_memory(MB):31981
available_system_memory:21474836480
available_system_memory(MB):20480
proc_paged_memory_size:0
proc_paged_memory_size(MB):0
proc_physical_memory_size:421232640
proc_physical_memory_size(MB):401
proc_peak_physical_memory_size:433815552
proc_peak_physical_memory_size(MB):413
gc_committed_bytes:180355072
gc_heap_bytes:98566144
gc_managed_memory_bytes_excluding_heap:81788928
gc_fragmented_bytes:1048576
native_allocator_bytes:0
store_index_size:134217728
store_mainlog_memory_size:16777216
store_readcache_memory_size:0
total_main_store_size:150994944
store_heap_memory_target_size:0
aof_memory_size:-1

# Cluster
cluster_enabled:0

# Replication
role:master
connected_slaves:0
master_failover_state:no-failover
master_replid:7a1e0c3b5d9f2a4681c3e5b7d9f1a3c5e7092b4d
master_replid2:7a1e0c3b5d9f2a4681c3e5b7d9f1a3c5e7092b4d
master_repl_offset:N/A
second_repl_offset:N/A
store_current_safe_aof_address:N/A
store_recovered_safe_aof_address:N/A

# Stats
total_connections_active:14
total_connections_received:912
total_connections_disposed:898
total_commands_processed:5012334
instantaneous_ops_per_sec:1520
total_net_input_bytes:201334411
total_net_output_bytes:341223190
instantaneous_net_input_KBps:61.2
instantaneous_net_output_KBps:104.5
total_pending:0
total_found:4000100
total_notfound:2012
garnet_hit_rate:99.95
total_cluster_commands_processed:0
total_write_commands_processed:1000222
total_read_commands_processed:4002112
total_number_resp_server_session_exceptions:0
total_transaction_commands_received:0
total_transaction_commands_execution_failed:0

# Store_DB_0
CurrentVersion:1
LastCheckpointedVersion:0
SystemState:PREPARE, 1
IndexBucketCount:1048576
IndexBucketSizeBytes:64
LogDir:
Log.PageSizeBytes:33554432
ReadCache.PageSizeBytes:N/A

# Clients
connected_clients:14

# Keyspace
db0:keys=90123,expires=411,avg_ttl=0

# Modules

# BufferPoolStats
server_socket_0:totalReferences=14,levels=4,maxEntriesPerLevel=16,minAllocationSize=512

# CheckpointInfo

# Commandstats
cmdstat_get:calls=4002112,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0
cmdstat_set:calls=1000222,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=3
"""
KNOWN = info(INFO, hidden=("keyspace", "commandstats"))
SECTIONS = {"all", "default", "everything", "server", "memory", "cluster", "replication", "stats", "clients"}
CONFIG = {"timeout": "0", "save": "", "appendonly": "no", "slave-read-only": "no", "databases": "16"}
SLOW = [
    (7, 1795379970, 12000, ["GET", "page:1"], "10.0.0.3:51002", "app"),
    (8, 1795379990, 41200, ["KEYS", "*"], "10.0.0.3:51002", "app"),
]


def answer_info(words: Sequence[str]) -> Reply:
    for name in words[1:]:
        if name.lower() not in SECTIONS | {"keyspace", "commandstats", "modules"}:
            return Refusal(f"ERR Invalid section {name}. Try INFO HELP")
    return KNOWN(words)


def slowlog(words: Sequence[str]) -> Reply:
    return [list(entry) for entry in SLOW[-int(words[2]) :]]


REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "CLIENT SETNAME": OK,
    "CLIENT LIST": "id=4 addr=10.0.0.3:51002 laddr=10.0.0.2:6379 name=app age=120 user=default "
    "flags=N db=0 resp=2 lib-name= lib-ver=\n",
    "INFO": answer_info,
    "CONFIG GET": config(CONFIG),
    "SLOWLOG LEN": len(SLOW),
    "SLOWLOG GET": slowlog,
    "LATENCY HISTOGRAM": [
        "NET_RS_LAT",
        [
            "calls",
            5012334,
            "size",
            35328,
            "histogram_usec",
            [
                "min",
                "1.00",
                "5th",
                "2.00",
                "50th",
                "6.00",
                "mean",
                "7.11",
                "99th",
                "31.00",
                "99.9th",
                "80.00",
            ],
        ],
    ],
    "LATENCY": Refusal("ERR unknown subcommand 'LATEST'. Try LATENCY HELP"),
    "MEMORY": Refusal("ERR unknown subcommand 'STATS'."),
    "ACL LIST": ["user default on nopass +@all"],
    "ACL USERS": ["default"],
    "ACL": Refusal("ERR unknown subcommand 'LOG'."),
    "MODULE": Refusal("ERR unknown subcommand 'LIST'."),
    "CLUSTER": Refusal("ERR This instance has cluster support disabled"),
}
UNKNOWN = Refusal("ERR unknown command")
