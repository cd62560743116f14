"""Which seeds belong together: nodes of one cluster, Sentinels of the same masters, a master and its
replicas."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from exporter.fleet.slices import Slices
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.cluster import ClusterView
from exporter.protocol.neighbours import NamedServer, Neighbours, Place, attached_servers, node_as_named
from exporter.targets.neighbour import neighbour_host

#: seeds of one cluster whose lists of nodes are read; further ones only belong to it
VIEWS_MAX = 10

_Key = tuple[str, Place | str]


@dataclass(eq=False, slots=True)
class SeedGroup:
    """Seeds in the order of the configuration, and what they said last."""

    mode: str
    seeds: list[WatchedTarget] = field(default_factory=list)
    views: list[tuple[WatchedTarget, Neighbours]] = field(default_factory=list)
    merged_into: SeedGroup | None = None

    @property
    def root(self) -> SeedGroup:
        group = self
        while group.merged_into is not None:
            group = group.merged_into
        return group

    def take(self, other: SeedGroup) -> None:
        """Become one group with another one."""
        self.seeds += other.seeds
        self.views += other.views
        other.merged_into = self

    @property
    def is_full(self) -> bool:
        """Whether further seeds only belong to it."""
        return len(self.views) >= VIEWS_MAX

    @property
    def name(self) -> str:
        """The label `cluster`. It depends on the configuration only, so that no failover changes it. With the
        mode `replicas` a group of the configuration may have many masters."""
        first = self.seeds[0].target
        if first.settings_group and self.mode != "replicas":
            return first.settings_group
        return first.alias or first.addr.partition("://")[2]


async def join(
    seeds: Iterable[WatchedTarget],
    neighbours_of: Callable[[WatchedTarget], Awaitable[Neighbours | None]],
    slices: Slices,
) -> list[SeedGroup]:
    """Seeds that name each other, or the same server, are one group."""
    owners: dict[_Key, SeedGroup] = {}
    groups: list[SeedGroup] = []
    for seed in seeds:
        await slices.rest()
        mode = seed.target.discover
        own = list(_own_keys(seed))
        group = next((owners[key].root for key in own if key in owners), None)
        if group is None:
            group = SeedGroup(mode)
            groups.append(group)
        group.seeds.append(seed)
        owners.update(dict.fromkeys(own, group))
        neighbours = None if group.is_full else await neighbours_of(seed)
        if neighbours is None:
            continue
        group.views.append((seed, neighbours))
        for server in neighbours.servers:
            await slices.rest()
            for key in _keys(mode, server):
                other = owners.setdefault(key, group).root
                if other is not group:
                    first, second = sorted((group, other), key=groups.index)
                    first.take(second)
                    group = first
    return [group for group in groups if group.merged_into is None]


def _own_keys(seed: WatchedTarget) -> Iterator[_Key]:
    target = seed.target
    yield target.discover, (target.host, target.port) if target.host else target.addr
    connection = seed.connection.current
    if target.host and connection is not None:
        yield target.discover, (connection.peer, target.port)


def _keys(mode: str, server: NamedServer) -> Iterator[_Key]:
    yield mode, (neighbour_host(server.host), server.port)
    if server.id:
        yield mode, server.id


async def read_cluster(view: ClusterView, slices: Slices, *, hostnames: bool) -> Neighbours:
    """The members of a cluster."""
    nodes = []
    for node in view.nodes:
        await slices.rest()
        if node.is_member:
            nodes.append(node_as_named(node, hostnames=hostnames))
    return Neighbours(tuple(nodes), view.seen_at, view.own_id)


def read_others(watched: WatchedTarget) -> Neighbours | None:
    """The servers that a Sentinel, a master or a replica named last; None if it named none. A configured one
    names itself too."""
    target = watched.target
    role = watched.facts.role if watched.facts is not None else ""
    own = (NamedServer(target.host, target.port, role),) if target.source != "discovered" else ()
    memory = watched.state.memory
    sentinel, replication = memory.sentinel, memory.replication
    if target.discover == "sentinel":
        return sentinel and Neighbours((*own, *sentinel.servers), sentinel.seen_at)
    return Neighbours((*own, *attached_servers(replication))) if replication is not None else None
