"""The table of faults. A row drives the test of a fault, its figures, and its row in docs/reliability.md."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tests.faults import said
from tests.faults.names import FAILS, HANGS
from tests.faults.said import MB
from tests.faults.subjects import (
    OTHER_HOST,
    BlackHole,
    Blocked,
    Certified,
    ClockJumps,
    FailedOver,
    FullDisk,
    Named,
    Paused,
    Process,
    Resharded,
    Restarted,
    Scripted,
    Start,
)
from tests.servers import Conversation

HOUR_S = 3600.0
STAYS_UP = ""


@dataclass(frozen=True)
class Group:
    """Faults that befall servers of one exporter at the same time. Each server that is well is as many
    targets as `databases`; the faults of a `world` are those of the exporter's own machine. `real`: they need
    the redis-server of the system; `slow`: a machine that is busy with other tests is too slow for them."""

    databases: int = 1
    world: bool = False
    real: bool = False
    slow: bool = False


GROUPS = {
    "processes": Group(),
    "blocked": Group(real=True),
    "conversations": Group(),
    "framing": Group(),
    "sizes": Group(),
    "names": Group(),
    "errors": Group(),
    "tls": Group(),
    "resolver": Group(),
    "dead": Group(databases=5, slow=True),
    "clusters": Group(real=True),
    "disk": Group(world=True),
    "clock": Group(world=True),
}


@dataclass(frozen=True)
class Fault:
    """`does` and `seen` are for the reader. With the reason `STAYS_UP` the targets do. `start` makes the
    server, None: the test of its `group` does something else. It takes `develops_s` until it is there, and
    lasts at least `lasts_s`."""

    name: str
    does: str
    reason: str
    seen: str
    group: str
    start: Start | None
    develops_s: float = 0.0
    lasts_s: float = 0.0


#: what a limit on rows leaves on the page
_ROWS_ARE_CUT = (b"redis_exporter_collector_rows_cut", 'collector="info"', False)
#: and what the collector leaves that has failed
_STATS_FAILED = (b"redis_exporter_collector_success", 'collector="stats"', True)

_COMMANDSTATS = b"cmdstat_%07d:calls=1,usec=1,usec_per_call=1.00\r\n"
_ERRORSTATS = b"errorstat_E%07d:count=1\r\n"
_KEYSPACE = b"db%d:keys=1,expires=0,avg_ttl=0\r\n"
_NESTED = (10, 100, 10_000, 1_000_000)
_HEADERS = (10**8, 10**9, 10**10, 10**12)
_PIECE, _DROP = (b"$%d\r\n%s\r\n" % (size, b"x" * size) for size in (4 * MB, 65_536))

FAULTS: tuple[Fault, ...] = (
    # of real servers
    Fault("killed", "its process is killed", "refused", "down at the next poll", "processes", Process),
    Fault(
        "restarted",
        "its process is killed and started again at once",
        STAYS_UP,
        "the counters of the new run",
        "processes",
        Restarted,
    ),
    Fault(
        "stopped",
        "SIGSTOP, later SIGCONT: the kernel takes connections, nobody answers",
        "timeout",
        "down at the deadline",
        "processes",
        Paused,
    ),
    Fault(
        "blocked for 30 s",
        "one command (DEBUG SLEEP) blocks it",
        "timeout",
        "down at the deadline; values older than `--max-age` go",
        "blocked",
        partial(Blocked, seconds=31.0),
        lasts_s=30.0,
    ),
    # conversations that go wrong
    Fault(
        "silent",
        "accepts, and says nothing",
        "timeout",
        "down at the deadline",
        "conversations",
        partial(Scripted, script=Conversation.silence),
    ),
    Fault(
        "resets",
        "accepts, and resets the connection",
        "reset",
        "down at the next poll",
        "conversations",
        partial(Scripted, script=Conversation.reset),
    ),
    Fault(
        "a byte a second",
        "answers as it should, one byte each second",
        "timeout",
        "down at the deadline",
        "conversations",
        partial(Scripted, replies=said.a_byte_a_second),
    ),
    Fault(
        "cut by FIN",
        "closes in the middle of the reply to INFO",
        "reset",
        "down at the next poll",
        "conversations",
        partial(Scripted, replies=said.cut(Conversation.close)),
    ),
    Fault(
        "cut by RST",
        "resets the connection in the middle of the reply to INFO",
        "reset",
        "down at the next poll",
        "conversations",
        partial(Scripted, replies=said.cut(Conversation.reset)),
    ),
    Fault(
        "garbage",
        "sends 64 kB of noise",
        "protocol",
        "down at the next poll",
        "conversations",
        partial(Scripted, script=said.say_noise),
    ),
    Fault(
        "an HTTP server",
        "answers 400 Bad Request",
        "protocol",
        "down; the log says that this is an HTTP server",
        "conversations",
        partial(Scripted, script=said.serve_http),
    ),
    Fault(
        "late",
        f"answers each command after {said.LATE_S:g} s",
        "timeout",
        "down at the deadline",
        "conversations",
        partial(Scripted, replies=said.late),
    ),
    Fault(
        "twice",
        "sends each reply twice",
        "protocol",
        "down: more replies than commands",
        "conversations",
        partial(Scripted, replies=said.twice),
    ),
    Fault(
        "reordered",
        "answers the commands of a pipeline in the opposite order",
        "protocol",
        "down: the reply to INFO is not a text",
        "conversations",
        partial(Scripted, order=lambda replies: replies[::-1]),
    ),
    Fault(
        "RESP3",
        "answers INFO with each type of RESP3 in turn",
        "protocol",
        "down: a reply of an unknown type",
        "conversations",
        partial(Scripted, replies=said.to_info_in_turn(said.TYPES_OF_RESP3)),
    ),
    Fault(
        "pushes before replies",
        "sends a push of RESP3 before each reply",
        "protocol",
        "down: a reply of an unknown type",
        "conversations",
        partial(Scripted, replies=said.after_a_push),
    ),
    Fault(
        "pushes first",
        "sends a push of RESP3 before anybody asks",
        "protocol",
        "down: a reply of an unknown type",
        "conversations",
        partial(Scripted, script=said.push_first),
    ),
    # what is announced, and what does not end
    Fault(
        "a text of 9 GB",
        "announces it, and begins",
        "too_large",
        "down as soon as it is announced",
        "framing",
        partial(Scripted, replies=said.to_info_without_end(b"x" * 65_536, b"$%d\r\n" % (9 << 30))),
    ),
    Fault(
        "lists of 10⁸ to 10¹²",
        "announces lists with that number of elements",
        "too_large",
        "down as soon as they are announced",
        "framing",
        partial(Scripted, replies=said.to_info_in_turn([b"*%d\r\n" % count for count in _HEADERS])),
    ),
    Fault(
        "nesting of 10 to 10⁶",
        "answers INFO with lists within lists",
        "protocol",
        "down: not a text, or nested too deeply",
        "framing",
        partial(Scripted, replies=said.to_info_in_turn([b"*1\r\n" * depth + b":1\r\n" for depth in _NESTED])),
    ),
    Fault(
        "a line without end",
        "answers INFO with a status that does not end",
        "too_large",
        "down after 64 kB",
        "framing",
        partial(Scripted, replies=said.to_info_without_end(b"x" * 65_536, b"+")),
    ),
    Fault(
        "replies without end",
        "answers INFO with more and more replies",
        "protocol",
        "down: more replies than commands, or not a text",
        "framing",
        partial(Scripted, replies=said.to_info_without_end(b"+OK\r\n" * 10_000)),
    ),
    # replies that are large
    Fault(
        "200 MB at once",
        "answers INFO with fifty texts of 4 MB",
        "too_large",
        "down after 64 MB",
        "sizes",
        partial(Scripted, replies=said.to_info(b"*50\r\n", *[_PIECE] * 50)),
    ),
    Fault(
        "200 MB in drops",
        "the same, 64 kB every 10 ms",
        "timeout",
        "down at the deadline",
        "sizes",
        partial(Scripted, replies=said.to_info_without_end(_DROP, b"*3200\r\n", 0.01)),
    ),
    Fault(
        "1.5 million lines",
        "answers INFO with 30 MB of lines",
        "too_large",
        "down: the reply is passed over",
        "sizes",
        partial(Scripted, replies=said.lines_alone(1_500_000)),
    ),
    Fault(
        "190,000 lines",
        "answers INFO with as many lines as a reply may have bytes for",
        STAYS_UP,
        "up, with the first 10,000 lines; `redis_exporter_collector_rows_cut`",
        "sizes",
        partial(
            Scripted,
            replies=said.more_of("keyspace", b"field%07d:1000\r\n", 190_000),
            shows=_ROWS_ARE_CUT,
        ),
    ),
    # names by the million
    Fault(
        "a million databases",
        "lists them in INFO keyspace",
        "too_large",
        "down: the reply is passed over",
        "names",
        partial(Scripted, replies=said.more_of("keyspace", _KEYSPACE, 1_000_000)),
    ),
    Fault(
        "100,000 databases",
        "lists them in INFO keyspace",
        STAYS_UP,
        "up, with the first of them",
        "names",
        partial(Scripted, replies=said.more_of("keyspace", _KEYSPACE, 100_000), shows=_ROWS_ARE_CUT),
    ),
    Fault(
        "a million commands",
        "lists them in INFO commandstats",
        STAYS_UP,
        "up; the collector of statistics fails",
        "names",
        partial(
            Scripted,
            replies=said.more_of("commandstats", _COMMANDSTATS, 1_000_000),
            shows=_STATS_FAILED,
        ),
    ),
    Fault(
        "a million kinds of errors",
        "lists them in INFO errorstats",
        STAYS_UP,
        "up; the collector of statistics fails",
        "names",
        partial(
            Scripted,
            replies=said.more_of("errorstats", _ERRORSTATS, 1_000_000),
            shows=_STATS_FAILED,
        ),
    ),
    # error replies
    Fault(
        "NOAUTH",
        "says it to every command, WRONGPASS in turn with it",
        "auth",
        "down at the next poll",
        "errors",
        partial(Scripted, replies=said.errors_to_all("NOAUTH", "WRONGPASS")),
    ),
    Fault(
        "NOPERM",
        "says it to every command",
        "noperm",
        "down at the next poll",
        "errors",
        partial(Scripted, replies=said.errors_to_all("NOPERM")),
    ),
    Fault(
        "BUSY",
        "says it to every command",
        "busy",
        "down at the next poll",
        "errors",
        partial(Scripted, replies=said.errors_to_all("BUSY")),
    ),
    Fault(
        "DENIED",
        "says it to every command",
        "refused",
        "down at the next poll",
        "errors",
        partial(Scripted, replies=said.errors_to_all("DENIED")),
    ),
    Fault(
        "no room for clients",
        "says `ERR max number of clients reached` to every command",
        "max_clients",
        "down at the next poll",
        "errors",
        partial(Scripted, replies=said.errors_to_all("ERR max number of clients reached:")),
    ),
    Fault(
        "every other error word",
        f"says each of {len(said.OTHER_WORDS)} words in turn to every command",
        "protocol",
        "down at the next poll",
        "errors",
        partial(Scripted, replies=said.errors_to_all(*said.OTHER_WORDS)),
    ),
    Fault(
        "errors to all but INFO",
        "says each error word in turn to each other command",
        STAYS_UP,
        "up; what is refused is asked less often",
        "errors",
        partial(Scripted, replies=said.errors_to_others()),
    ),
    # TLS
    Fault(
        "TLS where it is not wanted",
        "begins to speak TLS at a port of `redis://`",
        "reset",
        "down; the log says that it may want `rediss://`",
        "tls",
        partial(Certified, well="", unwell="right"),
    ),
    Fault(
        "no TLS where it is wanted",
        "ceases to speak TLS at a port of `rediss://`",
        "tls",
        "down; the log says that the port speaks none",
        "tls",
        partial(Certified, well="right", unwell=""),
    ),
    Fault(
        "an expired certificate",
        "shows it",
        "tls",
        "down at the next poll",
        "tls",
        partial(Certified, well="right", unwell="expired"),
    ),
    Fault(
        "a certificate of another name",
        "shows it",
        "tls",
        "down at the next poll",
        "tls",
        partial(Certified, well="right", unwell="of another name"),
    ),
    Fault(
        "a certificate of an unknown authority",
        "shows it",
        "tls",
        "down at the next poll",
        "tls",
        partial(Certified, well="right", unwell="of an unknown authority"),
    ),
    # names of hosts
    Fault(
        "a name that is gone",
        "its name stands for nothing any longer, and it closes the connection",
        "dns",
        "down at the next poll",
        "resolver",
        partial(Named, name="fails", becomes=FAILS),
    ),
    Fault(
        "a name that hangs",
        "the resolver does not answer for its name, and it closes the connection",
        "dns",
        "down at the deadline",
        "resolver",
        partial(Named, name="hangs", becomes=HANGS),
    ),
    Fault(
        "a name that moves",
        "its name stands for another address",
        STAYS_UP,
        "the other address is polled",
        "resolver",
        partial(Named, name="moves", becomes=OTHER_HOST),
    ),
    # many at once
    Fault(
        "200 dead among 400",
        "black holes: connections are neither taken nor refused",
        "timeout",
        "these 200 are down",
        "dead",
        partial(BlackHole, count=200),
    ),
    Fault(
        "500 targets, 256 files",
        "`ulimit -n 256` for the exporter",
        "open_files",
        "192 targets are up, and the page is there",
        "files",
        None,
    ),
    # servers that change places
    Fault(
        "a cluster is resharded",
        "slots and keys move from node to node all the time",
        STAYS_UP,
        "all nodes are up",
        "clusters",
        Resharded,
    ),
    Fault(
        "a Sentinel fails over",
        "a master is killed; its replica becomes one",
        "refused",
        "the old master is down, the role of the new one changes",
        "clusters",
        FailedOver,
        develops_s=5.0,
    ),
    # the exporter's own machine
    Fault(
        "the disk is full",
        "the log and the state file can take no bytes",
        STAYS_UP,
        "lost lines are counted; no half of a state file",
        "disk",
        FullDisk,
    ),
    Fault(
        "the clock jumps by an hour",
        "the exporter's wall clock, forwards",
        STAYS_UP,
        "timestamps are those of the clock, ages are true",
        "disk",
        partial(ClockJumps, by_s=HOUR_S),
    ),
    Fault(
        "the clock jumps back by an hour",
        "the exporter's wall clock, backwards",
        STAYS_UP,
        "timestamps are those of the clock, ages are true",
        "clock",
        partial(ClockJumps, by_s=-HOUR_S),
    ),
)
