"""Names of a cluster's shards: a master and its replicas are one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.protocol.neighbours import NamedServer


class ShardNames:
    """Names each shard of one cluster by the lowest id among its nodes. It keeps this name while one of them
    is left: a failover does not change it, nor does a resharding, nor the replacement of a node. CLUSTER
    NODES has no other id of a shard in any version."""

    def __init__(self) -> None:
        self._of_node: dict[str, str] = {}

    def assign(self, servers: Sequence[NamedServer]) -> Mapping[str, str]:
        """The name of each node's shard by the node's id."""
        members: dict[str, list[str]] = {}  # by the master's id
        for server in servers:
            if server.id and server.role in ("master", "slave"):
                members.setdefault(server.master_id or server.id, []).append(server.id)
        owners = {server.id for server in servers if server.has_slots}
        names: dict[str, str] = {}
        taken: set[str] = set()
        for master in sorted(members, key=lambda master: (master not in owners, master)):
            name = self._name(master, members[master], taken if master in owners else set())
            if master in owners:
                taken.add(name)
            names.update(dict.fromkeys(members[master], name))
        if names:
            self._of_node = names
        return names

    def _name(self, master: str, ids: Sequence[str], taken: set[str]) -> str:
        """The first choice that is free. A failed master without slots shares the name of its former
        shard."""
        known = self._of_node
        choices = (known.get(master), min(filter(None, map(known.get, ids)), default=None), min(ids))
        return next((name for name in choices if name and name not in taken), master)
