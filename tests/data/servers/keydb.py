"""KeyDB 6.3.4, with its replies on record in `tests/data/keydb-6.3.4` (github.com/Snapchat/KeyDB).

- INFO takes one section and is silent about statistics by command without a name: src/server.cpp, infoCommand
- CONFIG GET takes one pattern: src/config.cpp, configCommand
- LATENCY HISTOGRAM and CLUSTER SHARDS came later: recorded
"""

import json

from tests.replay import DATA
from tests.server_kinds import OK, Refusal, Status, config, info, newest

FOLDER = DATA / "keydb-6.3.4"


def recorded(name: str) -> str:
    return (FOLDER / name).read_text(errors="surrogateescape")


ONE_PATTERN = Refusal("ERR Unknown subcommand or wrong number of arguments for 'GET'. Try CONFIG HELP.")
PAIRS = json.loads(recorded("config_get.json"))
SLOW = json.loads(recorded("slowlog_get.json"))
REPLIES = {
    "PING": Status("PONG"),
    "SELECT": OK,
    "CLIENT SETNAME": OK,
    "CLIENT LIST": recorded("client_list.txt"),
    "INFO": info(
        recorded("info_all.txt"),
        hidden=("commandstats", "errorstats", "latencystats"),
        several=Refusal("ERR syntax error"),
    ),
    "CONFIG GET": config(dict(zip(PAIRS[::2], PAIRS[1::2], strict=True)), several=ONE_PATTERN),
    "SLOWLOG LEN": len(SLOW),
    "SLOWLOG GET": newest(SLOW),
    "LATENCY LATEST": json.loads(recorded("latency_latest.json")),
    "LATENCY": Refusal(
        "ERR Unknown subcommand or wrong number of arguments for 'HISTOGRAM'. Try LATENCY HELP."
    ),
    "MEMORY STATS": json.loads(recorded("memory_stats.json")),
    "ACL LIST": json.loads(recorded("acl_list.json")),
    "ACL USERS": [rule.split(" ")[1] for rule in json.loads(recorded("acl_list.json"))],
    "ACL LOG": json.loads(recorded("acl_log.json")),
    "CLUSTER": Refusal("ERR This instance has cluster support disabled"),
}
UNKNOWN = Refusal("ERR unknown command `{command}`, with args beginning with: `{arguments}`, ")
