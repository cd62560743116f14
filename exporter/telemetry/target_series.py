"""The series about a target besides its own values: up, the reason if not, durations and counts of polls.

They are a family set like any other, called `target`. No collector writes them: the target's recorder does,
after every poll. The ages are not here: a page adds them when it is served (see `exposition`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from exporter import engine
from exporter.errors import REASONS
from exporter.metrics.family import Family, NameSet, counter, gauge
from exporter.metrics.family_set import ABOUT_TARGET, FamilySet, make_family_set
from exporter.metrics.lane import Lane

UP = gauge(
    "up",
    "1 if the newest finished poll read INFO and began within two intervals, else 0.",
    name_set=NameSet.GO,
)
DOWN = gauge("exporter_target_down", "1 while the target is down, by reason.", labels=("reason",))
DURATION = gauge(
    "exporter_last_scrape_duration_seconds",
    "Duration of the newest finished poll of the target.",
    name_set=NameSet.GO,
)
CONNECT = gauge(
    "exporter_last_scrape_connect_time_seconds",
    "Time to make the newest connection: name look-up, connect, TLS and login.",
    name_set=NameSet.GO,
)
ERROR = gauge(
    "exporter_last_scrape_error",
    "1 with the reason if the newest finished poll failed, else 0 without a reason.",
    labels=("err",),
    name_set=NameSet.GO,
)
LAST_SUCCESS = gauge(
    "exporter_snapshot_last_success_timestamp_seconds",
    "Time of the newest snapshot of a lane.",
    labels=("lane",),
)
STALE = gauge("exporter_snapshot_stale", "1 if the newest snapshot of a lane is stale.", labels=("lane",))
POLLS = counter(
    "exporter_target_polls_total",
    "Polls of the target that ended, with or without success.",
    labels=("lane",),
)
FAILURES = counter(
    "exporter_target_poll_failures_total", "Polls of the target that failed.", labels=("reason",)
)
SKIPPED = counter(
    "exporter_target_polls_skipped_total",
    "Polls skipped because the previous one was still running.",
    labels=("lane",),
)
PING = gauge(
    "exporter_last_scrape_ping_time_seconds",
    "Duration of a PING on the newest connection.",
    name_set=NameSet.GO,
)
REFUSED = gauge(
    "exporter_target_series_refused",
    "Samples of the newest polls that a limit on series refused.",
)
SERIES = gauge("exporter_target_series", "Samples in the target's newest snapshots.")
DROPPED = counter(
    "exporter_target_values_dropped_total", "Values in the target's replies that are not numbers."
)
ROWS_CUT = gauge(
    "exporter_collector_rows_cut",
    "Lines, rows and names of the collector's newest replies that a limit left out; absent without any.",
    labels=("collector",),
)
SUCCESS = gauge(
    "exporter_collector_success",
    "1 if the collector's newest run succeeded, 0 if it failed.",
    labels=("collector",),
)
LAG_BYTES = gauge(
    "replica_lag_bytes",
    "Bytes that the replica is behind its master. source=master: by one reply of the master; estimate: by "
    "replies of both.",
    labels=("source",),
)
LAG_SECONDS = gauge(
    "replica_lag_seconds",
    "Estimated time that the replica is behind: its lag in bytes, by the rate at which its master writes.",
    labels=("source",),
)
CONFLICT = gauge(
    "replication_conflict",
    "1 for each other target that is a master of the same data. kind=same: with the same replication id; "
    "former: one of them had the id of the other before it became a master.",
    labels=("kind", "other"),
)
SUPPORTED = gauge(
    "exporter_collector_supported",
    "0 while the server refuses every command of the collector, else absent.",
    labels=("collector",),
)

BACKOFF = gauge(
    "exporter_backoff_seconds",
    "How long the exporter has polled the target less because it struggles, by reason; absent while it does "
    "not.",
    labels=("reason",),
)

PAUSED = gauge(
    "exporter_target_paused_until_timestamp_seconds",
    "When the polls of the target begin again that a request has paused; absent while it is polled.",
)

SERVER_SECONDS = counter(
    "exporter_target_server_seconds_total",
    "Time of the server that polls took. source=commandstats: by the server's own counts of its commands; "
    "estimated: by how soon it answered, the network's time included.",
    labels=("lane", "source"),
)
RECEIVED = counter(
    "exporter_target_received_bytes_total", "Bytes received from the target, without those of TLS and TCP."
)
SENT = counter("exporter_target_sent_bytes_total", "Bytes sent to the target, without those of TLS and TCP.")
CONNECTIONS = counter(
    "exporter_target_connections_total", "Connections made to the target, and to nodes that it names."
)

#: where the time of a server comes from
COMMANDSTATS, ESTIMATED = "commandstats", "estimated"
#: what polls cost a target; with one target the page leaves them out
COST = (RECEIVED, SENT, CONNECTIONS, SERVER_SECONDS)

#: why a target is polled less: a closed set, the first one counts
STRAINS = ("loading", "forking", "blocked", "slow")

FAMILIES = (
    UP,
    DOWN,
    DURATION,
    CONNECT,
    PING,
    ERROR,
    LAST_SUCCESS,
    STALE,
    POLLS,
    FAILURES,
    SKIPPED,
    SERIES,
    REFUSED,
    DROPPED,
    ROWS_CUT,
    LAG_BYTES,
    LAG_SECONDS,
    CONFLICT,
    BACKOFF,
    PAUSED,
    *COST,
    SUCCESS,
    SUPPORTED,
)


#: result of a collector: (success, supported). Its length is left open: of a fixed one mypyc makes another
#: object with each use.
Verdict = tuple[bool, ...]
#: the same few objects for all targets, so that they are not fetched for each
OUTCOMES: dict[tuple[bool, bool], Verdict] = {
    (success, supported): (success, supported) for success in (True, False) for supported in (True, False)
}

#: they are about connecting, and have no label of the role it led to
ROLELESS = (CONNECT, PING)

#: the families that the engine's quick way writes, in its order
WRITTEN = (
    *(UP, DOWN, DURATION, CONNECT, PING, ERROR, LAST_SUCCESS, STALE, POLLS, FAILURES, SKIPPED, SERIES),
    *(REFUSED, DROPPED, LAG_BYTES, LAG_SECONDS, RECEIVED, SENT, CONNECTIONS, SERVER_SECONDS, SUCCESS),
    SUPPORTED,
)

_NUMBERS = {family.name: number for number, family in enumerate(FAMILIES)}

#: the quick ways, by the rows of the family set: those in use, and a few more
_QUICK_MAX = 8
_quick: list[tuple[object, engine.TargetSamples]] = []


def _quick_way(family_set: FamilySet) -> engine.TargetSamples:
    """The same one for all targets of a family set."""
    for rows, known in _quick:
        if rows is family_set.rows:
            return known
    made = engine.TargetSamples(family_set.rows, [_NUMBERS[family.name] for family in WRITTEN])
    _quick[:] = [(family_set.rows, made), *_quick[: _QUICK_MAX - 1]]
    return made


def target_family_set(namespace: str) -> FamilySet:
    return make_family_set(ABOUT_TARGET, Lane.FAST, FAMILIES, namespace=namespace)


class TrafficCounts(Protocol):
    """Connections that were made, and bytes of commands and replies."""

    connections: int
    received: int
    sent: int


@dataclass(slots=True)
class LaneCount:
    """What happened on one lane of one target. `covered_at` (monotonic) is when the newest poll began that
    ran all its collectors and has ended."""

    polls: int = 0
    covered_at: float = -math.inf
    skipped: int = 0
    succeeded_at: float | None = None  # wall-clock seconds of its newest snapshot
    #: when the poll of that snapshot began (monotonic)
    polled_at: float = field(default=-math.inf, compare=False)
    stale: bool = False


@dataclass(slots=True)
class TargetSeries:
    """What the series about one target show. Only its watched target changes it."""

    up: bool | None = None  # None: no attempt has ended yet
    reason: str = ""
    duration_s: float = 0.0
    connect_s: float = 0.0
    ping_s: float | None = None  # None: no PING was sent, or it was refused
    series: int = 0
    refused: int = 0
    dropped: int = 0
    lanes: dict[Lane, LaneCount] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    collectors: dict[str, Verdict] = field(default_factory=dict)  # by name
    strain: str = ""  # one of `STRAINS`; "": there is none
    strained_s: float = 0.0
    paused_until: float | None = None  # wall clock; None: it is polled
    server_seconds: dict[tuple[Lane, str], float] = field(default_factory=dict)  # by lane and source
    traffic: TrafficCounts | None = None  # None: nobody counts
    cuts: dict[str, int] = field(default_factory=dict)  # by collector, only what is above 0
    #: of a replica: bytes, seconds if they are known, and their source, master or estimate
    replica_lag: tuple[int, float | None, str] | None = None
    #: other masters of its data: how that is known, and their addresses
    conflicts: tuple[tuple[str, str], ...] = ()

    def count_poll(self, lanes: Iterable[Lane], covered: Collection[Lane], began_at: float) -> None:
        """Count a poll that began then (monotonic). It ran all collectors of the `covered` lanes."""
        for lane in lanes:
            count = self.lanes[lane]
            count.polls += 1
            if lane in covered:
                count.covered_at = began_at

    def count_failure(self, reason: str) -> None:
        """Count a failed poll. `reason` is one of the closed set."""
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is not a reason")
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def restore_failures(self, reason: str, count: int) -> None:
        """Go on counting from there. A reason that is no longer one is left out."""
        if reason in REASONS:
            self.failures[reason] = count

    def add_cost(self, lane: Lane, source: str, spent_s: float) -> None:
        """Count time of the server. A lane that never ran shows nothing."""
        if spent_s:
            self.server_seconds[lane, source] = self.server_seconds.get((lane, source), 0.0) + spent_s

    def pause(self, until: float) -> None:
        """Show nothing else from now on."""
        self.paused_until = until
        self.collectors, self.server_seconds = {}, {}

    def keep_only(self, lanes: Iterable[Lane], collectors: Collection[str]) -> None:
        """Go on with these lanes and collectors. Nothing is left of others."""
        self.lanes = {lane: self.lanes.get(lane) or LaneCount() for lane in lanes}
        self.collectors = {name: outcome for name, outcome in self.collectors.items() if name in collectors}
        self.cuts = {name: rows for name, rows in self.cuts.items() if name in collectors}

    def note_cut(self, collector: str, rows: int) -> None:
        """What the limits left out of a collector's newest replies."""
        if rows:
            self.cuts[collector] = rows
        elif self.cuts:
            self.cuts.pop(collector, None)

    def render(self, family_set: FamilySet, labels: engine.Labels) -> engine.Block:
        """All series about the target, as the block of their set."""
        return _quick_way(family_set).block(self, labels) or self.written(family_set, labels)

    def written(self, family_set: FamilySet, labels: engine.Labels) -> engine.Block:
        """The same, sample by sample: this specifies what the quick way writes."""
        writer = engine.Writer(family_set.rows, labels)
        for family, value, values in self._samples():
            writer.add(_NUMBERS[family.name], value, values)
        return writer.block()

    def _samples(self) -> Iterator[tuple[Family, int | float, tuple[str, ...]]]:
        """(family, value, label values), those of one family in their order."""
        if self.paused_until is None:
            yield from self._of_polls()
        else:
            yield PAUSED, round(self.paused_until, 3), ()
        for (lane, source), spent_s in self.server_seconds.items():
            yield SERVER_SECONDS, round(spent_s, 6), (lane.value, source)
        for name, (success, supported) in self.collectors.items():
            yield SUCCESS, int(success), (name,)
            if not supported:  # most servers support every collector: only the others are named
                yield SUPPORTED, 0, (name,)

    def _of_polls(self) -> Iterator[tuple[Family, int | float, tuple[str, ...]]]:
        if self.up is not None:
            yield from self._of_newest_poll()
        for lane, count in self.lanes.items():
            if count.succeeded_at is not None:
                yield LAST_SUCCESS, round(count.succeeded_at, 3), (lane.value,)
                yield STALE, int(count.stale), (lane.value,)
            yield POLLS, count.polls, (lane.value,)
            if count.skipped:
                yield SKIPPED, count.skipped, (lane.value,)
        for reason, failed in self.failures.items():
            yield FAILURES, failed, (reason,)
        yield SERIES, self.series, ()
        if self.refused:
            yield REFUSED, self.refused, ()
        if self.dropped:
            yield DROPPED, self.dropped, ()
        for collector, rows in self.cuts.items():
            yield ROWS_CUT, rows, (collector,)
        yield from self._of_replication()
        if self.strain:
            yield BACKOFF, round(self.strained_s, 3), (self.strain,)
        if self.traffic is not None:
            yield RECEIVED, self.traffic.received, ()
            yield SENT, self.traffic.sent, ()
            yield CONNECTIONS, self.traffic.connections, ()

    def _of_newest_poll(self) -> Iterator[tuple[Family, int | float, tuple[str, ...]]]:
        yield UP, int(bool(self.up)), ()
        if not self.up:
            yield DOWN, 1, (self.reason,)
        yield DURATION, round(self.duration_s, 6), ()
        yield CONNECT, round(self.connect_s, 6), ()
        if self.ping_s is not None:
            yield PING, round(self.ping_s, 6), ()
        yield ERROR, int(not self.up), (self.reason,)

    def _of_replication(self) -> Iterator[tuple[Family, int | float, tuple[str, ...]]]:
        if self.replica_lag is not None:
            behind, seconds, source = self.replica_lag
            yield LAG_BYTES, behind, (source,)
            if seconds is not None:
                yield LAG_SECONDS, round(seconds, 3), (source,)
        for conflict in self.conflicts:
            yield CONFLICT, 1, conflict
