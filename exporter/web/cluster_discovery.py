"""The nodes of the clusters that are watched, in the form of Prometheus' http_sd.

Nothing is sent for it: the answer is made of the newest CLUSTER NODES replies of the polls. The nodes of a
target that is down stay listed as they were seen last: a list without them would end their monitoring.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from exporter import files
from exporter.errors import PageError
from exporter.protocol.cluster import ClusterView
from exporter.protocol.facts import Facts
from exporter.single_flight import SingleFlight
from exporter.targets.neighbour import neighbour_address
from exporter.targets.target import Target

#: a target, whether it is up (None: not tried yet), what is known of its server and of its cluster
Seen = tuple[Target, bool | None, Facts | None, ClusterView | None]


class ClusterMember(Protocol):
    """What a listing needs of one target."""

    @property
    def target(self) -> Target: ...
    @property
    def up(self) -> bool | None: ...
    @property
    def facts(self) -> Facts | None: ...
    @property
    def cluster(self) -> ClusterView | None: ...


class NodeLister:
    """Lists the nodes of one target's cluster, or of all clusters, as status and body. Requests for all
    share one listing."""

    def __init__(self, members: Callable[[], Iterable[ClusterMember]], *, hostnames: bool) -> None:
        self._members = members
        self._hostnames = hostnames
        self._listings = SingleFlight(self._list_all)
        self._turns = threading.Semaphore(1)

    def list_of(self, member: ClusterMember) -> tuple[int, str]:
        return answer([_seen(member)], hostnames=self._hostnames)

    async def list_all(self) -> tuple[int, str]:
        return await self._listings.run()

    async def _list_all(self) -> tuple[int, str]:
        """In a thread: 1,000 nodes that know 1,000 nodes each take more than a second. The end of the program
        does not wait for it."""
        members = (each for each in self._members() if each.target.source != "discovered")
        seen = list(map(_seen, members))
        try:
            listing = files.start(lambda: answer(seen, hostnames=self._hostnames), self._turns)
        except files.FileError:
            raise PageError("no thread is free to list the nodes of the clusters") from None
        return await asyncio.wrap_future(listing)


def _seen(member: ClusterMember) -> Seen:
    return member.target, member.up, member.facts, member.cluster


def answer(targets: Iterable[Seen], *, hostnames: bool) -> tuple[int, str]:
    """Status and body: JSON with 200, else a sentence that says what is wrong."""
    chosen = [seen for seen in targets if seen[2] is None or seen[2].cluster_enabled]
    if not chosen:
        return 400, "none of the targets is a node of a cluster\n"
    if any(up is None for _, up, _, _ in chosen):
        return 503, "not every target was attempted yet\n"
    views = [(target, view) for target, _, _, view in chosen if view is not None]
    if not views:
        return 500, "the nodes of the cluster are not known: no target has answered CLUSTER NODES\n"
    found = {
        neighbour_address(target, node.shown_host(hostnames=hostnames), node.port)
        for target, view in views
        for node in view.nodes
        if node.is_member
    }
    return 200, json.dumps([{"targets": sorted(found - {""}), "labels": {}}], indent=2)
