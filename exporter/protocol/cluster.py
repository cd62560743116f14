"""Clusters: slots, who serves them, redirections, CLUSTER NODES. Pure."""

from __future__ import annotations

import re
from binascii import crc_hqx
from bisect import bisect_right
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from exporter.errors import ReplyError
from exporter.protocol.command import PAUSE, PIECE, Command, Reply

SLOTS = 16384


class Place(NamedTuple):
    """A database of a node. `node` is `host:port`, "" the target itself; `asking`: the slot is on its way
    there."""

    db: int
    node: str = ""
    asking: bool = False


def key_slot(key: bytes) -> int:
    """The slot of a key in a cluster: that of the first braces' content, if they have any.

    https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
    """
    begin = key.find(b"{") + 1
    end = key.find(b"}", begin) if begin else 0
    return crc_hqx(key[begin:end] if end > begin else key, 0) % SLOTS


@dataclass(frozen=True, slots=True)
class Slots:
    """Who serves which slot of a cluster: ranges by their first slot, in rising order."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    nodes: tuple[str, ...]  # as `Place.node`

    def node(self, key: bytes) -> str | None:
        """None: no node serves the key's slot."""
        slot = key_slot(key)
        at = bisect_right(self.starts, slot) - 1
        return self.nodes[at] if at >= 0 and slot <= self.ends[at] else None

    @property
    def primaries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.nodes))


def text_of(reply: Reply) -> str:
    """The text of a status or string; "" for any other reply."""
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "replace")
    return reply if isinstance(reply, str) else ""


def parse_slots(reply: Reply, own_id: Reply) -> Generator[list[Command], list[Reply], Slots | None]:
    """CLUSTER SLOTS: a list of [first, last, [host, port, id, …], replica…]. The node of `own_id` is the
    target itself. In pieces."""
    rows: dict[int, tuple[int, str]] = {}
    own = text_of(own_id)
    for at, row in enumerate(reply[:SLOTS] if isinstance(reply, list) else (), 1):
        if at % PIECE == 0:
            yield PAUSE
        match row:
            case [int(first), int(last), [host, int(port), *rest], *_] if 0 <= first <= last < SLOTS:
                if (rest and text_of(rest[0]) == own != "") or host == b"":
                    rows[first] = (last, "")
                elif isinstance(host, bytes) and host != b"?":
                    rows[first] = (last, f"{text_of(host)}:{port}")
    if not rows:
        return None
    yield PAUSE
    starts = tuple(sorted(rows))
    yield PAUSE
    return Slots(
        starts, tuple([rows[start][0] for start in starts]), tuple([rows[start][1] for start in starts])
    )


def redirection(reply: Reply) -> Place | None:
    """Where `-MOVED slot host:port` or `-ASK slot host:port` points to; None for another reply, or if it
    does not say."""
    if not isinstance(reply, ReplyError) or reply.code not in ("MOVED", "ASK"):
        return None
    node = reply.raw.split(" ")[-1]
    return Place(0, node, asking=reply.code == "ASK") if node.rpartition(":")[0] else None


_NUMBER = re.compile(r"[0-9]{1,18}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """One line of CLUSTER NODES. `host` is "" where the address is not known; times are milliseconds of
    Unix time, 0 for none."""

    id: str
    host: str
    port: int
    hostname: str  # that it announces, from 7.0; "" if none
    flags: frozenset[str]
    master_id: str  # "" unless it is a replica
    ping_sent_ms: int
    pong_received_ms: int
    config_epoch: int
    connected: bool
    slots: tuple[tuple[int, int], ...]  # first and last of each range
    migrating: int  # slots; each node reports only its own
    importing: int

    @property
    def address(self) -> str:
        """host:port, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_member(self) -> bool:
        """Whether it has an address, and has been met at it."""
        return bool(self.host and self.port) and "handshake" not in self.flags

    def shown_host(self, *, hostnames: bool) -> str:
        """Its address, or with `hostnames` the name that it announces, if there is one."""
        return self.hostname if hostnames and self.hostname else self.host

    @property
    def state(self) -> str:
        """One of STATES: the worst that applies."""
        for flag, state in (
            ("handshake", "handshake"),
            ("fail", "fail"),
            ("fail?", "pfail"),
            ("noaddr", "noaddr"),
        ):
            if flag in self.flags:
                return state
        return "ok"

    @property
    def role(self) -> str:
        """As INFO calls it: master or slave; "" in handshake."""
        return next((role for role in ("master", "slave") if role in self.flags), "")

    @property
    def slot_count(self) -> int:
        return sum(last - first + 1 for first, last in self.slots)


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as one of its nodes sees it. `uncovered`: slots that no working node serves."""

    nodes: tuple[ClusterNode, ...]
    seen_at: float  # wall-clock seconds
    uncovered: int = 0
    own_id: str = ""  # of this node


def parse_nodes(text: str) -> tuple[ClusterNode, ...]:
    """The lines of CLUSTER NODES in their order, without malformed lines and repeated nodes."""
    nodes: dict[str, ClusterNode] = {}
    for line in text.split("\n"):
        node = _parse_line(line.removesuffix("\r"))
        if node is not None:
            nodes.setdefault(node.id, node)
    return tuple(nodes.values())


def _parse_line(line: str) -> ClusterNode | None:
    words = [word for word in line.split(" ") if word]
    if len(words) < 8:
        return None
    node_id, address, flags, master_id, *numbers, link = words[:8]
    if not all(_NUMBER.match(number) for number in numbers):
        return None
    # host:port, @bus port from 4.0, the announced name and more from 7.0; an IPv6 host stands there without
    # brackets
    place, *named = address.split(",")
    host, _, port = place.partition("@")[0].rpartition(":")
    if not _NUMBER.match(port):
        return None
    slots: list[tuple[int, int]] = []
    migrating = importing = 0
    for word in words[8:]:
        if word.startswith("["):
            migrating += "->-" in word
            importing += "-<-" in word
        elif (slot_range := _parse_range(word)) is not None:
            slots.append(slot_range)
    ping_sent_ms, pong_received_ms, config_epoch = map(int, numbers)
    return ClusterNode(
        node_id,
        host.removeprefix("[").removesuffix("]"),
        int(port),
        named[0] if named and "=" not in named[0] else "",
        frozenset(flags.split(",")),
        "" if master_id == "-" else master_id,
        ping_sent_ms,
        pong_received_ms,
        config_epoch,
        link == "connected",
        tuple(slots),
        migrating,
        importing,
    )


def _parse_range(word: str) -> tuple[int, int] | None:
    first, _, last = word.partition("-")
    last = last or first
    if not (_NUMBER.match(first) and _NUMBER.match(last)) or not int(first) <= int(last) < SLOTS:
        return None
    return int(first), int(last)


def uncovered_slots(nodes: Iterable[ClusterNode]) -> int:
    """How many slots no working node serves."""
    covered = bytearray(SLOTS)
    for node in nodes:
        if "fail" not in node.flags:
            for first, last in node.slots:
                covered[first : last + 1] = b"\1" * (last - first + 1)
    return covered.count(0)
