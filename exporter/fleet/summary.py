"""What differs within groups of targets: versions, configurations, masters that nobody copies, slots that
nobody serves.

It is counted at the end of each poll, so that a page need not look at all targets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from statistics import median_low
from typing import NamedTuple

from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.cluster import ClusterView

_NO_REPLICAS = b"connected_slaves:0"


class _Seen(NamedTuple):
    """What counts of one target. `view` is how it sees its cluster, which `cluster` names; "" if it is in
    none."""

    group: str
    version: str
    configuration: str
    is_lonely: bool
    cluster: str
    view: ClusterView | None


class FleetSummary:
    """Takes the end of each poll. A group is the label `group` of its targets, or else their group in the
    configuration file; those of neither are one group, called "". A group of one target is not summed up."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._sizes: Counter[str] = Counter()
        self._versions: dict[str, Counter[str]] = {}
        self._configurations: dict[str, Counter[str]] = {}
        self._lonely: Counter[str] = Counter()
        self._views: dict[str, dict[str, ClusterView]] = {}  # by cluster and target

    def note(self, watched: WatchedTarget) -> None:
        """Take what a poll brought of a target that is up."""
        key = watched.target.key
        if watched.target.is_apart:  # it counts where its server is a target
            self.forget(key)
            return
        seen = _seen(watched)
        if seen != self._seen.get(key):
            self.forget(key)
            self._enter(key, seen)

    def forget(self, key: str) -> None:
        """A target is down, or was removed."""
        seen = self._seen.pop(key, None)
        if seen is None:
            return
        self._sizes[seen.group] -= 1
        self._lonely[seen.group] -= seen.is_lonely
        for counts, value in ((self._versions, seen.version), (self._configurations, seen.configuration)):
            if value:
                counts[seen.group] -= Counter((value,))  # what comes to 0 goes
                if not counts[seen.group]:
                    del counts[seen.group]
        if not self._sizes[seen.group]:
            del self._sizes[seen.group], self._lonely[seen.group]
        if seen.view is not None:
            del self._views[seen.cluster][key]
            if not self._views[seen.cluster]:
                del self._views[seen.cluster]

    def _enter(self, key: str, seen: _Seen) -> None:
        self._seen[key] = seen
        self._sizes[seen.group] += 1
        self._lonely[seen.group] += seen.is_lonely
        for counts, value in ((self._versions, seen.version), (self._configurations, seen.configuration)):
            if value:
                counts.setdefault(seen.group, Counter())[value] += 1
        if seen.view is not None:
            self._views.setdefault(seen.cluster, {})[key] = seen.view

    # -- what a page shows, by group or cluster

    @property
    def versions(self) -> Mapping[str, int]:
        """How many different versions run."""
        return self._different(self._versions)

    @property
    def configurations(self) -> Mapping[str, int]:
        """How many different configurations there are; of targets whose configuration is read."""
        return self._different(self._configurations)

    @property
    def masters_without_replicas(self) -> Mapping[str, int]:
        return {group: self._lonely[group] for group, size in self._sizes.items() if size > 1}

    @property
    def uncovered_slots(self) -> Mapping[str, int]:
        """How many slots no working node serves, as most nodes see it: one that is cut off sees it
        differently."""
        return {
            cluster: median_low(view.uncovered for view in views.values())
            for cluster, views in self._views.items()
        }

    def _different(self, counts: Mapping[str, Counter[str]]) -> Mapping[str, int]:
        return {group: len(found) for group, found in counts.items() if self._sizes[group] > 1}


def _seen(watched: WatchedTarget) -> _Seen:
    memory, target = watched.state.memory, watched.target
    facts, view = memory.facts, memory.cluster
    group = watched.state.labels.group or target.settings_group
    version = "" if facts is None else f"{facts.flavor} {'.'.join(map(str, facts.flavor_version))}"
    is_lonely = facts is not None and facts.role == "master" and _NO_REPLICAS in memory.replication_section
    cluster = ""
    if view is not None:
        found = target.node.cluster if target.node is not None else ""
        cluster = dict(target.labels).get("cluster") or found or group or _name_of(view)
    return _Seen(group, version, memory.configuration, is_lonely, cluster, view)


def _name_of(view: ClusterView) -> str:
    """The same for all its nodes, as long as the first one is a member."""
    return min((node.address for node in view.nodes if node.is_member), default="")
