"""What a Sentinel knows of its masters, their replicas and the other Sentinels, and of its links to them.

INFO of a Sentinel has more of the masters; those rows are the INFO collector's.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import partial

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import Family, NameSet, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command, Reply
from exporter.protocol.facts import Facts
from exporter.protocol.neighbours import NamedServer, Neighbours

#: a link's or master's fields by name
Entry = Mapping[bytes, bytes]

#: masters that are asked about in one poll, with three commands each
MASTERS_MAX = 1000
PORT_MAX = 65535
#: pairs of name and value of one entry that are read; the longest on record has 23
FIELDS_MAX = 100

MASTER = ("master_name", "master_address")
LINK = ("master_name", "link", "address")
REPLICA = ("master_name", "address")

go_gauge = partial(gauge, name_set=NameSet.GO)

QUORUM = go_gauge(
    "sentinel_master_ckquorum_status",
    "1 if enough Sentinels are reachable. The message counts them, so the series changes with their number.",
    labels=("master_name", "message"),
)
QUORUM_OK = gauge(
    "sentinel_master_quorum_ok", "1 if enough Sentinels are reachable for a failover.", labels=MASTER
)
OK_SENTINELS = go_gauge(
    "sentinel_master_ok_sentinels", "Sentinels that are not down, including the target itself.", labels=MASTER
)
OK_REPLICAS = go_gauge("sentinel_master_ok_slaves", "Replicas that are not down.", labels=MASTER)
PEER = go_gauge(
    "sentinel_peer_info",
    "Another Sentinel of a master. Always 1.",
    labels=(*MASTER, "name", "ip", "port", "runid", "flags"),
)

LAST_OK = go_gauge(
    "sentinel_master_last_ok_ping_reply_seconds",
    "Time since the master last answered a ping with success.",
    labels=MASTER,
)
SETTINGS: tuple[tuple[Family, bytes], ...] = (
    (
        go_gauge(
            "sentinel_master_setting_ckquorum", "Sentinels that must agree on a failure.", labels=MASTER
        ),
        b"quorum",
    ),
    (
        go_gauge(
            "sentinel_master_setting_failover_timeout",
            "Milliseconds that a failover may take.",
            labels=MASTER,
        ),
        b"failover-timeout",
    ),
    (
        go_gauge(
            "sentinel_master_setting_parallel_syncs",
            "Replicas that sync from a new master at the same time.",
            labels=MASTER,
        ),
        b"parallel-syncs",
    ),
    (
        go_gauge(
            "sentinel_master_setting_down_after_milliseconds",
            "Milliseconds of silence until it counts as down.",
            labels=MASTER,
        ),
        b"down-after-milliseconds",
    ),
    (
        go_gauge("sentinel_master_config_epoch", "Epoch of the master's configuration.", labels=MASTER),
        b"config-epoch",
    ),
)

CONNECTED = gauge("sentinel_link_connected", "1 if the Sentinel is connected to the other end.", labels=LINK)
PENDING = gauge("sentinel_link_pending_commands", "Commands on the link that wait for a reply.", labels=LINK)
#: milliseconds, as seconds
LINK_TIMES: tuple[tuple[Family, bytes], ...] = tuple(
    (gauge(f"sentinel_link_{name}_seconds", help, labels=LINK), field)
    for name, help, field in (
        ("ping_pending", "Time that a ping waits for an answer; 0 without one.", b"last-ping-sent"),
        ("last_ok_ping_reply", "Time since a ping was last answered with success.", b"last-ok-ping-reply"),
        (
            "last_ping_reply",
            "Time since a ping was last answered, with success or an error.",
            b"last-ping-reply",
        ),
        ("down_after", "Silence after which the other end counts as down.", b"down-after-milliseconds"),
        (
            "role_reported",
            "Time since the other end last changed the role that it reports.",
            b"role-reported-time",
        ),
    )
)
S_DOWN = gauge(
    "sentinel_link_subjective_down_seconds",
    "Time since this Sentinel found the other end down; 0 while up.",
    labels=LINK,
)
O_DOWN = gauge(
    "sentinel_link_objective_down_seconds",
    "Time since enough Sentinels agreed that the master is down; 0 while up.",
    labels=LINK,
)

REPLICA_UP = gauge(
    "sentinel_replica_master_link_up", "1 if the replica is connected to its master.", labels=REPLICA
)
REPLICA_DOWN = gauge(
    "sentinel_replica_master_link_down_seconds",
    "Time since the replica lost its master; 0 while connected.",
    labels=REPLICA,
)
PRIORITY = gauge(
    "sentinel_replica_priority",
    "Priority of the replica in a failover: the lowest goes first, 0 never.",
    labels=REPLICA,
)
OFFSET = gauge(
    "sentinel_replica_repl_offset_bytes",
    "Replication offset of the replica when the Sentinel last asked it.",
    labels=REPLICA,
)
HELLO = gauge(
    "sentinel_peer_last_hello_seconds",
    "Time since the last hello of another Sentinel.",
    labels=("master_name", "address"),
)

#: none of them can be below 0: -1 says that the Sentinel does not know
_NUMBER = re.compile(rb"[0-9]{1,18}\Z")


class SentinelCollector(Collector[None]):
    name = "sentinel"
    help = "Masters, replicas and other Sentinels, of a Sentinel."
    lane = Lane.FAST
    families = (
        *(QUORUM, QUORUM_OK),
        *(family for family, _ in SETTINGS),
        *(LAST_OK, OK_SENTINELS, OK_REPLICAS, PEER, CONNECTED, PENDING),
        *(family for family, _ in LINK_TIMES),
        *(S_DOWN, O_DOWN, REPLICA_UP, REPLICA_DOWN, PRIORITY, OFFSET, HELLO),
    )

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.mode == "sentinel" and facts.version >= (2, 8, 0)

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+sentinel|masters", "+sentinel|ckquorum", "+sentinel|sentinels", "+sentinel|replicas")

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        replicas = "REPLICAS" if facts.version >= (5, 0, 0) else "SLAVES"
        [reply] = yield [Command.of("SENTINEL", "MASTERS")]
        raise_failure(reply)
        if isinstance(reply, ReplyError):
            return
        if not isinstance(reply, list):
            raise ProtocolError("the reply to SENTINEL MASTERS is not a list")
        out.cut += max(0, len(reply) - MASTERS_MAX)
        entries = yield from _entries(reply[:MASTERS_MAX])
        masters = {entry[b"name"]: entry for entry in entries if entry.get(b"name")}
        if not masters:
            out.learn_sentinel(Neighbours((), out.now))
            return
        commands: list[Command] = []
        for name in masters:
            commands += [Command.of("SENTINEL", what, name) for what in ("CKQUORUM", "SENTINELS", replicas)]
            yield PAUSE
        replies = yield commands
        named: dict[NamedServer, None] = {}  # each once: all masters may have the same Sentinels
        for number, master in enumerate(masters.values()):
            if number:
                yield PAUSE
            quorum, peers, followers = replies[3 * number : 3 * number + 3]
            _write_master(master, quorum, out)
            _add_named(named, master, master, "master")
            yield from _write_peers(
                master, peers, out, named, shown=options.metrics.include_sentinel_peer_info
            )
            yield from _write_replicas(master, followers, out, named)
        out.learn_sentinel(Neighbours(tuple(named), out.now))


def _entries(reply: Reply) -> Generator[list[Command], list[Reply], list[Entry]]:
    """The entries of a reply: each a flat list of names and values. What is of another shape is left out.
    In pieces."""
    found: list[Entry] = []
    for at, item in enumerate(reply if isinstance(reply, list) else (), 1):
        if at % PIECE == 0:
            yield PAUSE
        if isinstance(item, list):
            pairs = zip(item[: 2 * FIELDS_MAX : 2], item[1 : 2 * FIELDS_MAX : 2], strict=False)
            found.append(
                {name: value for name, value in pairs if isinstance(name, bytes) and isinstance(value, bytes)}
            )
    return found


def _by_address(entries: Iterable[Entry]) -> Generator[list[Command], list[Reply], dict[bytes, Entry]]:
    found: dict[bytes, Entry] = {}
    for at, entry in enumerate(entries, 1):
        if at % PIECE == 0:
            yield PAUSE
        found[_address(entry)] = entry
    return found


def _number(entry: Entry, *names: bytes) -> int | None:
    """Of the first of these fields that holds one."""
    return next((int(text) for name in names if _NUMBER.match(text := entry.get(name, b""))), None)


def _address(entry: Entry) -> bytes:
    """As INFO of a Sentinel writes it: IPv6 without brackets."""
    return entry.get(b"ip", b"") + b":" + entry.get(b"port", b"")


def _flags(entry: Entry) -> Sequence[bytes]:
    return entry.get(b"flags", b"").split(b",")


def _free(entries: list[Entry]) -> Batches:
    """In pieces: it takes a third of the time that their making takes."""
    while entries:
        del entries[-PIECE:]
        yield PAUSE


def _working(entries: Iterable[Entry]) -> Generator[list[Command], list[Reply], int]:
    """How many are not down. Entries without flags are not counted."""
    count = 0
    for at, entry in enumerate(entries, 1):
        if at % PIECE == 0:
            yield PAUSE
        count += b"flags" in entry and not {b"s_down", b"o_down"}.intersection(_flags(entry))
    return count


def _write_master(master: Entry, quorum: Reply, out: Out) -> None:
    labels = (master[b"name"], _address(master))
    # an answer that only says it is not known or not allowed here says nothing about the quorum
    if isinstance(quorum, ReplyError) and not quorum.is_refusal:
        out.add(QUORUM, 0, master[b"name"], quorum.text)
        out.add(QUORUM_OK, 0, *labels)
    elif isinstance(quorum, str | bytes):
        out.add(QUORUM, 1, master[b"name"], quorum)
        out.add(QUORUM_OK, 1, *labels)
    for family, name in SETTINGS:
        if (value := _number(master, name)) is not None:
            out.add(family, value, *labels)
    if (value := _number(master, b"last-ok-ping-reply")) is not None:
        out.add(LAST_OK, value / 1000, *labels)
    _write_link(master, master, "master", out)
    out.add(
        O_DOWN, (_number(master, b"o-down-time") or 0) / 1000, master[b"name"], "master", _address(master)
    )


def _add_named(named: dict[NamedServer, None], master: Entry, entry: Entry, role: str) -> None:
    """Note an entry as a server of its own, if it has an address."""
    host, port = entry.get(b"ip", b""), _number(entry, b"port") or 0
    if not host or not 0 < port <= PORT_MAX:
        return
    is_sentinel = role == "sentinel"
    server = NamedServer(
        host.decode("utf-8", "replace"),
        port,
        role,
        entry.get(b"runid", b"").decode("utf-8", "replace") if is_sentinel else "",
        master_name="" if is_sentinel else master[b"name"].decode("utf-8", "replace"),
        works=not any(flag in (b"s_down", b"o_down") for flag in _flags(entry)),
    )
    named[server] = None


def _write_peers(
    master: Entry, reply: Reply, out: Out, named: dict[NamedServer, None], *, shown: bool
) -> Batches:
    if not isinstance(reply, list):
        return
    peers = yield from _entries(reply)
    labels = (master[b"name"], _address(master))
    out.add(OK_SENTINELS, 1 + (yield from _working(peers)), *labels)
    by_address = yield from _by_address(peers)
    for at, peer in enumerate(by_address.values(), 1):
        if at % PIECE == 0:
            yield PAUSE
        _write_link(master, peer, "sentinel", out)
        _add_named(named, master, peer, "sentinel")
        if (value := _number(peer, b"last-hello-message")) is not None:
            out.add(HELLO, value / 1000, master[b"name"], _address(peer))
    if shown:
        names = (b"name", b"ip", b"port", b"runid", b"flags")
        written: set[tuple[bytes, ...]] = set()
        for at, peer in enumerate(peers, 1):
            if at % PIECE == 0:
                yield PAUSE
            values = tuple([peer.get(name, b"") for name in names])
            if values not in written:
                written.add(values)
                out.add(PEER, 1, *labels, *values)
    by_address.clear()
    yield from _free(peers)


def _write_replicas(master: Entry, reply: Reply, out: Out, named: dict[NamedServer, None]) -> Batches:
    if not isinstance(reply, list):
        return
    replicas = yield from _entries(reply)
    out.add(OK_REPLICAS, (yield from _working(replicas)), master[b"name"], _address(master))
    by_address = yield from _by_address(replicas)
    for at, (address, replica) in enumerate(by_address.items(), 1):
        if at % PIECE == 0:
            yield PAUSE
        _write_link(master, replica, "replica", out)
        _add_named(named, master, replica, "slave")
        labels = (master[b"name"], address)
        if status := replica.get(b"master-link-status"):
            out.add(REPLICA_UP, int(status == b"ok"), *labels)
        if (value := _number(replica, b"master-link-down-time")) is not None:
            out.add(REPLICA_DOWN, value / 1000, *labels)
        for family, names in ((PRIORITY, b"slave-priority"), (OFFSET, b"slave-repl-offset")):
            if (value := _number(replica, names)) is not None:
                out.add(family, value, *labels)
    by_address.clear()
    yield from _free(replicas)


def _write_link(master: Entry, entry: Entry, link: str, out: Out) -> None:
    """Of the link to the master itself, to a replica of it, or to another Sentinel."""
    labels = (master[b"name"], link, _address(entry))
    if b"flags" in entry:
        out.add(CONNECTED, int(b"disconnected" not in _flags(entry)), *labels)
    if (
        value := _number(entry, b"link-pending-commands", b"pending-commands")
    ) is not None:  # the second up to 2.8
        out.add(PENDING, value, *labels)
    for family, name in LINK_TIMES:
        if (value := _number(entry, name)) is not None:
            out.add(family, value / 1000, *labels)
    out.add(S_DOWN, (_number(entry, b"s-down-time") or 0) / 1000, *labels)
