"""predixy 1.0.5, in front of Redis or a Redis Cluster (github.com/joyieldInc/predixy).

- INFO is the proxy's own, its names begin with capitals, lines end with a line feed alone, Uptime is the time
  of the start: src/Handler.cpp, Handler::infoRequest; the table in it: src/LatencyMonitor.cpp
- INFO takes three arguments and looks at the first: src/Command.cpp; src/Handler.cpp
- CONFIG is for administrators: src/Command.cpp, "config"; src/Response.cpp, PermissionDeny
- CLIENT, SLOWLOG, LATENCY, MEMORY, ACL are unknown: src/Command.cpp; wording: src/Response.cpp, UnknownCmd
"""

from tests.server_kinds import OK, Refusal, Status

INFO = b"""# Proxy
Version:1.0.5
Name:PredixyExample
Bind:0.0.0.0:7617
RedisMode:proxy
SingleThread:false
WorkerThreads:4
Uptime:1795290000
UptimeSince:2026-11-27 11:00:00

# SystemResource
UsedMemory:8812344
MaxMemory:0
MaxRSS:24117248
UsedCpuSys:12.112
UsedCpuUser:40.331

# Stats
Accept:1201
ClientConnections:33
TotalRequests:901233
TotalResponses:901230
TotalRecvClientBytes:81233411
TotalSendServerBytes:81233400
TotalRecvServerBytes:190233411
TotalSendClientBytes:190233411

# Servers
Server:10.0.0.5:6379
Role:master
Group:shard001
DC:
CurrentIsFail:0
Connections:4
Connect:5
Requests:450616
Responses:450615
SendBytes:40616705
RecvBytes:95116705

Server:10.0.0.6:6379
Role:slave
Group:shard001
DC:
CurrentIsFail:0
Connections:4
Connect:5
Requests:450617
Responses:450615
SendBytes:40616695
RecvBytes:95116706


# LatencyMonitor
LatencyMonitorName:all
<=          100             90123300           801233 88.90%
<=          500             30000000           100000 100.00%
T           133            120123300           901233

"""
REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "INFO": INFO,
    "CONFIG": Refusal("ERR auth permission deny"),
    "COMMAND": [],
}
UNKNOWN = Refusal("ERR unknown command")
