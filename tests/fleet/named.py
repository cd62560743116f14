"""Targets that name others, without polls: what their polls would have brought is told beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from exporter.metrics.lane import Lane
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.cluster import ClusterView, parse_nodes
from exporter.protocol.facts import Facts
from exporter.protocol.neighbours import NamedServer, Neighbours
from exporter.protocol.replication import AttachedReplica, Replication
from exporter.targets.address import parse_address
from exporter.targets.target import Target

FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "", cluster_enabled=False, loading=False)


class Clock:
    def __init__(self) -> None:
        self.brought_forward: list[Lane] = []

    def bring_forward(self, lanes: Sequence[Lane]) -> None:
        self.brought_forward += lanes


class Naming:
    """One target: up, polled each second, connected to its host."""

    def __init__(self, address: str, discover: str = "", **changes: Any) -> None:
        self.target: Target = replace(parse_address(address), discover=cast(Any, discover), **changes)
        self.up: bool | None = True
        self.facts: Facts | None = FACTS
        self.cluster: ClusterView | None = None
        self.connection = SimpleNamespace(current=None)
        self.timing = SimpleNamespace(interval_s=1.0)
        self.state = SimpleNamespace(memory=SimpleNamespace(sentinel=None, replication=None), clock=Clock())

    @property
    def watched(self) -> WatchedTarget:
        return cast(WatchedTarget, self)

    def connect(self, peer: str, *addresses: str) -> None:
        self.connection.current = SimpleNamespace(peer=peer, addresses=addresses or (peer,))

    def runs(self, role: str, run_id: str = "") -> None:
        self.facts = replace(FACTS, role=role, run_id=run_id)

    def sees_nodes(self, *lines: str, at: float = 1.0) -> None:
        """Lines of CLUSTER NODES, each without what follows the link's state, but for slots."""
        nodes = parse_nodes("\n".join(lines))
        own_id = next((node.id for node in nodes if "myself" in node.flags), "")
        self.cluster = ClusterView(nodes, at, own_id=own_id)

    def sees_masters(self, *servers: NamedServer, at: float = 1.0) -> None:
        self.state.memory.sentinel = Neighbours(servers, at)

    def replicates(self, *replicas: str, master: str = "") -> None:
        """`host:port` of its replicas, and of its master if it is a replica itself."""
        attached = tuple(AttachedReplica(*_place(each), "online", 0) for each in replicas)
        host, port = _place(master) if master else ("", 0)
        role = "slave" if master else "master"
        self.runs(role)
        self.state.memory.replication = Replication(role, "", 0, host, port, attached)


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def node(
    id: str,
    place: str,
    *,
    master: str = "",
    slots: str = "",
    myself: bool = False,
    flags: str = "",
    name: str = "",
) -> str:
    """A line of CLUSTER NODES. `master` is the id of a replica's master."""
    words = ",".join(filter(None, ("myself" if myself else "", "slave" if master else "master", flags)))
    where = f"{place}@1" + (f",{name}" if name else "")
    return f"{id} {where} {words} {master or '-'} 0 0 1 connected {slots}"
