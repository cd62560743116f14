"""What is known across targets, kept up to date at the end of each poll."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from exporter.fleet.replication_map import ReplicationMap
from exporter.fleet.summary import FleetSummary
from exporter.polling.watched_target import WatchedTarget


class FleetViews:
    """All views. `note` and `forget` are for each of them."""

    def __init__(self) -> None:
        self.replication = ReplicationMap()
        self.summary = FleetSummary()

    def note(self, watched: WatchedTarget, now: float) -> None:
        """Take the end of a poll of a target, well or not. `now` is monotonic seconds."""
        self.replication.note(watched, now)
        self.summary.note(watched)

    def forget(self, addr: str) -> None:
        """A target is about to be removed."""
        self.replication.forget(addr, time.monotonic())
        self.summary.forget(addr)

    def readers(self) -> Mapping[str, Callable[[], Mapping[str, float]]]:
        """Values of the exporter's own series that are known here."""
        summary = self.summary
        return {
            "exporter_fleet_versions": lambda: summary.versions,
            "exporter_fleet_configurations": lambda: summary.configurations,
            "exporter_fleet_masters_without_replicas": lambda: summary.masters_without_replicas,
            "exporter_fleet_uncovered_slots": lambda: summary.uncovered_slots,
        }
