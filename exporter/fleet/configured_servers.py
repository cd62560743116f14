"""Which configured target is a server that another one names."""

from __future__ import annotations

from collections.abc import Hashable

from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.neighbours import NamedServer
from exporter.targets.neighbour import neighbour_host


class ConfiguredServers:
    """Configured targets by all that other servers may know them by: their address, the address behind their
    name, their id in a cluster, and the run of the server."""

    def __init__(self) -> None:
        self._by: dict[Hashable, WatchedTarget] = {}

    def add(self, watched: WatchedTarget) -> None:
        target, facts = watched.target, watched.facts
        if target.host:
            self._by.setdefault((target.host, target.port), watched)
            connection = watched.connection.current
            if connection is not None:
                self._by.setdefault((connection.peer, target.port), watched)
        if watched.cluster is not None and watched.cluster.own_id:
            self._by.setdefault(watched.cluster.own_id, watched)
        if facts is not None and facts.run_id and watched.up:
            self._by.setdefault(("run", facts.run_id), watched)

    def find(self, server: NamedServer, run_id: str) -> WatchedTarget | None:
        """The target that is this server; its own id counts most. `run_id` is the run of the server, if it is
        known."""
        keys: tuple[Hashable, ...] = (
            server.id or None,
            (neighbour_host(server.host), server.port),
            ("run", run_id),
        )
        return next((self._by[key] for key in keys if key in self._by), None)
