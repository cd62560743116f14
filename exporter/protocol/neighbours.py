"""Servers as other servers name them: nodes of a cluster, what a Sentinel watches, a master and its replicas.
Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from exporter.protocol.cluster import ClusterNode
from exporter.protocol.replication import Replication

Place = tuple[str, int]


class NamedServer(NamedTuple):
    """One server. `host` and `port` are as they were named; `id` is a cluster node's or a Sentinel's, ""
    of others. `master_id` is "" unless it is a replica in a cluster, `master_name` is the name that Sentinels
    know its master by."""

    host: str
    port: int
    role: str = ""  # master, slave, sentinel; "" unknown
    id: str = ""
    master_id: str = ""
    master_name: str = ""
    works: bool = True  # whether who names it finds it working
    has_slots: bool = False

    @property
    def place(self) -> Place:
        return self.host, self.port


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What one server said last of the servers around it. `own_id` is its id among them; "" unknown."""

    servers: tuple[NamedServer, ...]
    seen_at: float = 0.0  # wall-clock seconds
    own_id: str = ""


def node_as_named(node: ClusterNode, *, hostnames: bool) -> NamedServer:
    """A node of a cluster; with `hostnames` by the name that it announces."""
    return NamedServer(
        node.shown_host(hostnames=hostnames),
        node.port,
        node.role,
        node.id,
        node.master_id,
        works=not node.flags & {"fail", "fail?"},
        has_slots=bool(node.slots),
    )


def attached_servers(replication: Replication) -> tuple[NamedServer, ...]:
    """The replicas of a master; of a replica its own ones and its master."""
    servers = [NamedServer(each.host, each.port, "slave") for each in replication.replicas]
    if replication.role == "slave" and replication.master_host and 0 < replication.master_port < 65536:
        servers.insert(0, NamedServer(replication.master_host, replication.master_port))
    return tuple(servers)
