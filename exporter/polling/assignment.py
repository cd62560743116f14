"""What one target is polled for, and the services that all targets share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exporter.collectors._enabled import EnabledCollector, is_enabled
from exporter.connection.dialer import Dialer
from exporter.connection.limiter import Limiter
from exporter.metrics.family_set import FamilySet
from exporter.metrics.lane import Lane
from exporter.metrics.store import Store
from exporter.options.table import Options
from exporter.polling.timing import PollTiming
from exporter.targets.target import Target

#: of the collectors that read what a scan found. What is read on the fast lane is named by options
FOUND_LANES = (Lane.STANDARD, Lane.SLOW)


class FamilySets:
    """The family sets of one configuration; its targets share this object.

    `of_collectors` are collectors with theirs; `about_target` holds the series about a target itself.
    """

    __slots__ = (
        "_but",
        "_by_lanes",
        "_parts",
        "about_target",
        "found",
        "identifying",
        "lanes",
        "of_collectors",
        "scan",
    )

    def __init__(self, of_collectors: Sequence[EnabledCollector], about_target: FamilySet) -> None:
        self.of_collectors = tuple(of_collectors)
        self.about_target = about_target
        #: the name of the set whose collector identifies the server; "": there is none
        self.identifying = next((each.name for each in of_collectors if each.collector.identifies), "")
        self.lanes = tuple(lane for lane in Lane if any(each.lane is lane for each in of_collectors))
        self.scan = self._on((Lane.SCAN,))
        memories = {each.collector.memory_name for each in self.scan} - {""}
        #: what reads that which a scan found: they share its memory
        self.found = tuple(each for each in self._on(FOUND_LANES) if each.collector.memory_name in memories)
        self._by_lanes: dict[tuple[Lane, ...], tuple[EnabledCollector, ...]] = {}
        self._but: dict[tuple[tuple[Lane, ...], tuple[str, ...]], tuple[EnabledCollector, ...]] = {}
        self._parts: dict[tuple[EnabledCollector, ...], FamilySets] = {self.of_collectors: self}

    @property
    def all(self) -> tuple[FamilySet, ...]:
        return (*(each.family_set for each in self.of_collectors), self.about_target)

    def on(self, lanes: tuple[Lane, ...]) -> tuple[EnabledCollector, ...]:
        """The collectors on these lanes."""
        found = self._by_lanes.get(lanes)
        if found is None:
            found = self._by_lanes[lanes] = self._on(lanes)
        return found

    def on_but(self, lanes: tuple[Lane, ...], left_out: tuple[str, ...]) -> tuple[EnabledCollector, ...]:
        """The same without the collectors of these names."""
        found = self._but.get((lanes, left_out))
        if found is None:
            found = tuple(each for each in self.on(lanes) if each.name not in left_out)
            self._but[lanes, left_out] = found
        return found

    def covered(self, lanes: tuple[Lane, ...], collectors: tuple[EnabledCollector, ...]) -> tuple[Lane, ...]:
        """Those of the lanes of which these are all collectors: none waits for another turn."""
        if collectors is self.on(lanes):
            return lanes
        return tuple(lane for lane in lanes if set(self.on((lane,))).issubset(collectors))

    def under(self, options: Options) -> FamilySets:
        """Those whose collectors these options enable. Equal parts are one object."""
        enabled = tuple(each for each in self.of_collectors if is_enabled(each.collector, options))
        part = self._parts.get(enabled)
        if part is None:
            part = self._parts[enabled] = FamilySets(enabled, self.about_target)
        return part

    def _on(self, lanes: tuple[Lane, ...]) -> tuple[EnabledCollector, ...]:
        return tuple(each for each in self.of_collectors if each.lane in lanes)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one target is polled for. `WatchedTarget.reassign` replaces it as a whole."""

    target: Target
    family_sets: FamilySets
    timing: PollTiming
    options: Options

    def is_same_target(self, other: Assignment) -> bool:
        """Whether it is of the same target: the same address and user, and if TLS is used the same settings
        of it. What another user may see, or another server shows, begins again."""
        ours, theirs = self.target, other.target
        if (ours.addr, ours.user) != (theirs.addr, theirs.user):
            return False
        return not ours.tls or self.options is other.options or _of_tls(self) == _of_tls(other)


def _of_tls(assignment: Assignment) -> tuple[object, ...]:
    redis = assignment.options.redis
    files = (redis.tls_ca_cert_file, redis.tls_client_cert_file, redis.tls_client_key_file)
    return (*files, redis.tls_server_name, redis.skip_tls_verification)


def node_assignment(seed: Assignment, node: Target) -> Assignment:
    """What a node is polled for that a target names: the same, but for keys. The target itself looks for the
    keys of the whole cluster, so its nodes would show each key once more."""
    keys = replace(
        seed.options.keys,
        check_keys=(),
        check_single_keys=(),
        count_keys=(),
        check_streams=(),
        check_single_streams=(),
        check_key_groups=(),
    )
    options = replace(seed.options, keys=keys)
    return Assignment(node, seed.family_sets.under(options), seed.timing, options)


@dataclass(frozen=True, slots=True)
class Services:
    """What the targets share. Scans have a limiter of their own."""

    dialer: Dialer
    store: Store
    limiter: Limiter
    scan_limiter: Limiter
