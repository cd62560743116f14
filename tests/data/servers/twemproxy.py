"""twemproxy (nutcracker) 0.5, in front of Redis. It parses each command itself and closes the connection at
one that it does not know: INFO is among these, so there is nothing to read.

- commands it knows (PING, QUIT, COMMAND, LOLWUT besides those on keys): github.com/twitter/twemproxy
  notes/redis.md, "Redis Command Support"
- it hangs up on others: src/proto/nc_redis.c, "parsed unsupported command"
"""

from tests.server_kinds import HANG_UP, Status

REPLIES = {"PING": Status("PONG")}
UNKNOWN = HANG_UP
DOWN = "reset"
