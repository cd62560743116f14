"""What is known across targets, kept up to date at the end of each poll."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from exporter.fleet.replication_map import ESTIMATE, ReplicationMap
from exporter.fleet.summary import FleetSummary
from exporter.polling.label_texts import LabelTexts
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.cluster import ClusterView
from exporter.protocol.facts import Facts
from exporter.targets.target import Target

#: what the views look at
_Known = tuple[Facts | None, ClusterView | None, Target, LabelTexts, str, bytes]


class FleetViews:
    """All views. `note` and `forget` are for each of them."""

    def __init__(self) -> None:
        self.replication = ReplicationMap()
        self.summary = FleetSummary()
        self._known: dict[str, _Known] = {}  # by the keys of the targets that are up

    def note(self, watched: WatchedTarget, now: float) -> None:
        """Take the end of a poll of a target, well or not. `now` is monotonic seconds. Most polls bring
        nothing new."""
        target = watched.target
        key = target.key
        if not watched.up:
            self.forget(key)
            return
        state = watched.state
        memory, lag = state.memory, state.series.replica_lag
        section = memory.replication_section
        known = (memory.facts, memory.cluster, target, state.labels, memory.configuration, section)
        # an estimate depends on the master too
        if self._known.get(key) != known or (lag is not None and lag[2] == ESTIMATE):
            self._known[key] = known
            self.replication.note(watched, now)
            self.summary.note(watched)

    def forget(self, key: str) -> None:
        """A target is down, or is about to be removed."""
        if self._known.pop(key, None) is not None:
            self.replication.forget(key, time.monotonic())
            self.summary.forget(key)

    def readers(self) -> Mapping[str, Callable[[], Mapping[str, float]]]:
        """Values of the exporter's own series that are known here."""
        summary = self.summary
        return {
            "exporter_fleet_versions": lambda: summary.versions,
            "exporter_fleet_configurations": lambda: summary.configurations,
            "exporter_fleet_masters_without_replicas": lambda: summary.masters_without_replicas,
            "exporter_fleet_uncovered_slots": lambda: summary.uncovered_slots,
        }
