"""The nodes of the watched clusters, as Prometheus' http_sd takes targets.

Nobody is contacted for it: the answer is made of the newest CLUSTER NODES that the polls brought. A target
that is down keeps its nodes listed as they were seen last, for a list without them would end their monitoring
at that moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from exporter.collectors.cluster_nodes import ClusterNodesCollector, ClusterView
from exporter.protocol.cluster import ClusterNode
from exporter.protocol.facts import Facts
from exporter.targets.target import Target

#: what the polls remember the nodes under
MEMORY_NAME = ClusterNodesCollector.memory_name

#: a target, whether it is up (None: not attempted yet), what is known of its server and of its cluster
Seen = tuple[Target, bool | None, Facts | None, ClusterView | None]


def answer(targets: Iterable[Seen], *, hostnames: bool) -> tuple[int, str]:
    """Status and body: JSON with 200, else a sentence on what is wrong."""
    chosen = [seen for seen in targets if seen[2] is None or seen[2].cluster_enabled]
    if not chosen:
        return 400, "none of the targets is a node of a cluster\n"
    if any(up is None for _, up, _, _ in chosen):
        return 503, "not every target was attempted yet\n"
    views = [(target, view) for target, _, _, view in chosen if view is not None and view.seen_at]
    if not views:
        return 500, "the nodes of the cluster are not known: no target has answered CLUSTER NODES\n"
    found = sorted(
        {
            _address(target, node, hostnames)
            for target, view in views
            for node in view.nodes
            if _is_member(node)
        }
    )
    return 200, json.dumps([{"targets": found, "labels": {}}], indent=2)


def _is_member(node: ClusterNode) -> bool:
    """Whether it has an address, and has been met at it."""
    return bool(node.host and node.port) and "handshake" not in node.flags


def _address(target: Target, node: ClusterNode, hostnames: bool) -> str:
    scheme = "redis" if target.scheme in ("unix", "tcp") else target.scheme
    place = f"{node.hostname}:{node.port}" if hostnames and node.hostname else node.address
    return f"{scheme}://{place}"
