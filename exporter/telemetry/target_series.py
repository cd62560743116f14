"""The series about a target besides its own values: up, the reason if not, durations and counts of polls.

They are a family set like any other, called `target`. No collector writes them: the target's recorder does,
after every poll. The ages are not here: a page adds them when it is served (see `exposition`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from exporter import engine
from exporter.errors import REASONS
from exporter.metrics.family import NameSet, counter, gauge
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


#: result of a collector: (success, supported). The same few objects for all targets, so that they are not
#: fetched for each.
OUTCOMES = {
    (success, supported): (success, supported) for success in (True, False) for supported in (True, False)
}

#: they are about connecting, and have no label of the role it led to
ROLELESS = (CONNECT, PING)

#: number of the family, its label values
Key = tuple[int, tuple[str, ...]]
Sample = tuple[Key, float]

_NUMBERS = {family.name: number for number, family in enumerate(FAMILIES)}
_UP, _DURATION, _CONNECT, _PING, _SERIES, _REFUSED, _DROPPED, _PAUSED, _RECEIVED, _SENT, _CONNECTIONS = (
    (_NUMBERS[family.name], ())
    for family in (
        *(UP, DURATION, CONNECT, PING, SERIES, REFUSED, DROPPED, PAUSED),
        *(RECEIVED, SENT, CONNECTIONS),
    )
)
_LAST_SUCCESS, _STALE, _POLLS, _SKIPPED = (
    {lane: (_NUMBERS[family.name], (lane.value,)) for lane in Lane}
    for family in (LAST_SUCCESS, STALE, POLLS, SKIPPED)
)
_DOWN, _ERROR, _FAILURES = (
    {reason: (_NUMBERS[family.name], (reason,)) for reason in ("", *REASONS)}
    for family in (DOWN, ERROR, FAILURES)
)
_ROWS_CUT = _NUMBERS[ROWS_CUT.name]
_LAG_BYTES, _LAG_SECONDS = (
    {source: (_NUMBERS[family.name], (source,)) for source in ("master", "estimate")}
    for family in (LAG_BYTES, LAG_SECONDS)
)
_CONFLICT = _NUMBERS[CONFLICT.name]
_SERVER_SECONDS = _NUMBERS[SERVER_SECONDS.name]
_BACKOFF = {reason: (_NUMBERS[BACKOFF.name], (reason,)) for reason in STRAINS}
_SUCCESS, _SUPPORTED = _NUMBERS[SUCCESS.name], _NUMBERS[SUPPORTED.name]


def target_family_set(namespace: str) -> FamilySet:
    return make_family_set(ABOUT_TARGET, Lane.FAST, FAMILIES, namespace=namespace)


class TrafficCounts(Protocol):
    """Connections that were made, and bytes of commands and replies."""

    connections: int
    received: int
    sent: int


@dataclass(slots=True)
class LaneCount:
    """What happened on one lane of one target. `began_at` is when its newest poll that ended began
    (monotonic)."""

    polls: int = 0
    began_at: float = -math.inf
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
    collectors: dict[str, tuple[bool, bool]] = field(default_factory=dict)  # name → (success, supported)
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
    #: the labels, and what stands before the values
    _repeated: tuple[engine.Labels, engine.RepeatedSamples] | None = field(default=None, repr=False)
    #: the results of the collectors and the samples of them, which rarely change from poll to poll
    _told: tuple[dict[str, tuple[bool, bool]], engine.Block] | None = field(default=None, repr=False)

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
            self._told = None

    def pause(self, until: float) -> None:
        """Show nothing else from now on."""
        self.paused_until = until
        self.collectors, self.server_seconds = {}, {}
        self._told = None

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
        """All series about the target, as the block of their set. `labels` are the same object nearly every
        time."""
        repeated = self._repeated
        if repeated is None or repeated[0] is not labels:
            repeated = self._repeated = (labels, engine.RepeatedSamples(family_set.rows, labels))
            self._told = None
        if self._told is None or self._told[0] != self.collectors:
            self._told = (dict(self.collectors), self._collectors(family_set, labels))
        return repeated[1].block(self._samples(), self._told[1])

    def _samples(self) -> list[Sample]:
        """In the order of `FAMILIES`, each key the same object every time."""
        if self.paused_until is not None:
            return [(_PAUSED, round(self.paused_until, 3))]
        found: list[Sample] = []
        if self.up is not None:
            found.append((_UP, int(self.up)))
            if not self.up:
                found.append((_DOWN[self.reason], 1))
            found.append((_DURATION, round(self.duration_s, 6)))
            found.append((_CONNECT, round(self.connect_s, 6)))
            if self.ping_s is not None:
                found.append((_PING, round(self.ping_s, 6)))
            found.append((_ERROR[self.reason], int(not self.up)))
        lanes = self.lanes.items()
        found += [
            (_LAST_SUCCESS[lane], round(count.succeeded_at, 3))
            for lane, count in lanes
            if count.succeeded_at is not None
        ]
        found += [(_STALE[lane], int(count.stale)) for lane, count in lanes if count.succeeded_at is not None]
        found += [(_POLLS[lane], count.polls) for lane, count in lanes]
        if self.failures:
            found += [(_FAILURES[reason], failed) for reason, failed in self.failures.items()]
        found += [(_SKIPPED[lane], count.skipped) for lane, count in lanes if count.skipped]
        found.append((_SERIES, self.series))
        if self.refused:
            found.append((_REFUSED, self.refused))
        if self.dropped:
            found.append((_DROPPED, self.dropped))
        if self.cuts:
            found += [((_ROWS_CUT, (collector,)), rows) for collector, rows in self.cuts.items()]
        if self.replica_lag is not None:
            behind, seconds, source = self.replica_lag
            found.append((_LAG_BYTES[source], behind))
            if seconds is not None:
                found.append((_LAG_SECONDS[source], round(seconds, 3)))
        if self.conflicts:
            found += [((_CONFLICT, conflict), 1) for conflict in self.conflicts]
        if self.strain:
            found.append((_BACKOFF[self.strain], round(self.strained_s, 3)))
        traffic = self.traffic
        if traffic is not None:
            found += (
                (_RECEIVED, traffic.received),
                (_SENT, traffic.sent),
                (_CONNECTIONS, traffic.connections),
            )
        return found

    def _collectors(self, family_set: FamilySet, labels: engine.Labels) -> engine.Block:
        """Of the last three families, which seldom change. Most servers support every collector: only the
        others are named."""
        writer = engine.Writer(family_set.rows, labels)
        for (lane, source), spent_s in self.server_seconds.items():
            writer.add(_SERVER_SECONDS, round(spent_s, 6), (lane.value, source))
        for name, (success, supported) in self.collectors.items():
            writer.add(_SUCCESS, success, (name,))
            if not supported:
                writer.add(_SUPPORTED, 0, (name,))
        return writer.block()
