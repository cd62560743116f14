"""Seeds that are no server of their own: one address that leads to changing nodes of a cluster."""

from __future__ import annotations

import logging

from exporter.fleet.seed_groups import SeedGroup
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.neighbours import Neighbours
from exporter.targets.neighbour import neighbour_host

log = logging.getLogger(__name__)


class Endpoints:
    """Recognises them. `addrs` are theirs."""

    def __init__(self) -> None:
        self.addrs: set[str] = set()
        self._own_ids: dict[str, str] = {}  # the newest by seed

    def note(self, group: SeedGroup) -> None:
        """Look at what the seeds of a group said."""
        for seed, neighbours in group.views:
            addr = seed.target.addr
            if neighbours.own_id and addr not in self.addrs:
                if self._has_changed(addr, neighbours) or _leads_to_several(seed, neighbours):
                    self.addrs.add(addr)
                    log.warning(
                        "the target answers as changing nodes of its cluster: it is asked for the nodes "
                        "only, and its own series are on its page of /scrape only",
                        extra={"addr": addr},
                    )
                self._own_ids[addr] = neighbours.own_id

    def keep_only(self, addrs: set[str]) -> None:
        """Forget the other targets."""
        self.addrs &= addrs
        for addr in self._own_ids.keys() - addrs:
            del self._own_ids[addr]

    def _has_changed(self, addr: str, neighbours: Neighbours) -> bool:
        """Whether it was another node before, which still works."""
        before = self._own_ids.get(addr, neighbours.own_id)
        return before != neighbours.own_id and any(
            server.id == before and server.works for server in neighbours.servers
        )


def _leads_to_several(seed: WatchedTarget, neighbours: Neighbours) -> bool:
    """Whether its name has the addresses of several nodes."""
    connection = seed.connection.current
    addresses = connection.addresses if connection is not None else ()
    if len(addresses) < 2:
        return False
    places = {(neighbour_host(server.host), server.port) for server in neighbours.servers}
    return sum((address, seed.target.port) in places for address in addresses) > 1
