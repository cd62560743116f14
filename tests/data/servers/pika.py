"""Pika 4.0 (github.com/OpenAtomFoundation/pika). INFO has no redis_version.

- INFO, its sections, blanks after colons and commas, a keyspace by type, commands without `cmdstat_`:
  src/pika_admin.cc, InfoCmd; the record of a replica: src/pika_server.cc, GetSlaveListString
- INFO with two sections, CONFIG GET with two patterns: src/pika_admin.cc, InfoCmd::DoInitial, ConfigCmd
- SLOWLOG, entries of four: src/pika_admin.cc, SlowlogCmd
- CLIENT LIST (address, descriptor and idle time only): src/pika_admin.cc, ClientCmd::Do
- other commands: src/pika_client_conn.cc, "unknown command"
"""

from tests.server_kinds import OK, Refusal, Status, config, info, newest

INFO = """
# Server
pika_version:4.0.2
pika_git_sha:218b68bb0b3f
pika_build_compile_date: Nov 14 2026
os:Linux 6.1.0-30-amd64 x86_64
arch_bits:64
process_id:11
tcp_port:9221
thread_num:1
sync_thread_num:6
sync_binlog_thread_num:1
uptime_in_seconds:72089
uptime_in_days:2
config_file:/etc/pika/pika.conf
server_id:1
run_id:4be8d1d4c8f2a0b8e0f4c2d1a9b8c7d6e5f40312

# Data
db_size:770439
db_size_human:0M
log_size:110174
log_size_human:0M
compression:snappy
used_memory:4248
used_memory_human:0M
db_memtable_usage:4120
db_tablereader_usage:128
db_fatal:0
db_fatal_msg:nullptr

# Clients
connected_clients:12

# Stats
total_connections_received:1401
instantaneous_ops_per_sec:31
total_commands_processed:91402
keyspace_hits:8001
keyspace_misses:32
total_net_input_bytes:9012331
total_net_output_bytes:22013341
total_net_repl_input_bytes:120
total_net_repl_output_bytes:88012
instantaneous_input_kbps:1.25
instantaneous_output_kbps:3.5
instantaneous_input_repl_kbps:0
instantaneous_output_repl_kbps:0.12
is_bgsaving:No
is_scaning_keyspace:No
is_compact:No
compact_cron:
compact_interval:
is_slots_reloading:No, , 0
is_slots_cleaningup:No, , 0
is_slots_migrating:No, , 0
slow_logs_count:2

# Command_Exec_Count
GET:71
SET:12

# Commandstats
get:calls=71, usec=7200.00, usec_per_call=101.41
set:calls=12, usec=2400.00, usec_per_call=200.00

# Cache
cache_status:Disable

# CPU
used_cpu_sys:3638.63
used_cpu_user:8121.40
used_cpu_sys_children:0.05
used_cpu_user_children:0.07

# Replication(MASTER)
role:master
ReplicationID:94d2fbd3c0a5f9e6d4b1c8a7e2f3905b6a7c8d9e
connected_slaves:1
slave0:ip=10.0.0.8,port=9221,conn_fd=88,lag=(db0:0)
is_eligible_for_master_election:true
db0:binlog_offset=0 388,safety_purge=none
slave_repl_offset:388

# Keyspace
# Use "info keyspace 1" to do async statistics
# Time:1970-01-01 08:00:00
# Duration: 0s
db0 Strings_keys=5, expires=1, invalid_keys=0
db0 Hashes_keys=2, expires=0, invalid_keys=0
db0 Lists_keys=0, expires=0, invalid_keys=0
db0 Zsets_keys=0, expires=0, invalid_keys=0
db0 Sets_keys=0, expires=0, invalid_keys=0

db0 Streams_keys=0, expires=0, invalid_keys=0

# RocksDB
db0_num_immutable_mem_table:0
db0_cur_size_all_mem_tables:2048
db0_block_cache_usage:6360
"""
CONFIG = {
    "databases": "1",
    "maxclients": "20000",
    "maxmemory": "10737418240",
    "timeout": "60",
    "requirepass": "",
}
SLOW = [
    (1, 1795379990, 41200, ["keys", "*"]),
    (0, 1795379970, 12000, ["hgetall", "page:1"]),
]
REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "CLIENT SETNAME": OK,
    "CLIENT LIST": "addr=10.0.0.3:51002 fd=41 idle=2\n",
    "INFO": info(
        INFO,
        hidden=("command_exec_count", "commandstats", "cache", "rocksdb"),
        several=Refusal("ERR syntax error"),
    ),
    "CONFIG GET": config(CONFIG, several=Refusal("ERR Wrong number of arguments for CONFIG get")),
    "SLOWLOG LEN": len(SLOW),
    "SLOWLOG GET": newest(SLOW),
    "ACL LIST": ["user default on nopass ~* &* +@all"],
    "ACL USERS": ["default"],
    "ACL LOG": [],
    "COMMAND": [],
}
UNKNOWN = Refusal('ERR unknown command "{command}"')
