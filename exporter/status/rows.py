"""What pages and JSON show of one target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter import safe_text
from exporter.fleet.fleet import state_of
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.facts import Facts
from exporter.targets.target import Target
from exporter.targets.target_labels import own_labels

#: characters of an error that a row shows
ERROR_MAX = 500
#: the scheme that a name may leave out
_SCHEME = "redis://"


@dataclass(frozen=True, slots=True)
class LaneAge:
    """How old the values of one lane are, and when they become stale. `age_s` is None before the first."""

    lane: str
    age_s: float | None
    limit_s: float
    is_stale: bool


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One row of the table. `name` finds the target in `/targets/NAME`: its alias, or its address without
    `redis://`. Moments (`since`) are wall-clock seconds; `next_poll_s` is from now on, None if no poll is
    planned. `state` is one of `fleet.STATES`; `reason` and `error_text` are empty unless it is down.
    `cost_ratio` is the share of one core that the polls take at the server; None if not known. No text has a
    secret.

    `refused` counts commands that the server refuses, `reconnects` the connections that replaced a lost one.
    `source` says who named the target: "adopted" for one that only requests ask for. `is_elsewhere`: another
    shard has it, and it is polled here for the nodes that it names. `paused_until` is wall-clock seconds,
    None unless it is paused.
    """

    key: str
    name: str
    alias: str
    address: str
    state: str
    since: float | None
    reason: str
    error_text: str
    role: str
    version: str
    labels: Mapping[str, str]
    lanes: tuple[LaneAge, ...]
    poll_p50_s: float | None
    poll_p99_s: float | None
    next_poll_s: float | None
    series: int
    refused: int
    reconnects: int
    cost_ratio: float | None
    source: str = "flags"
    is_elsewhere: bool = False
    paused_until: float | None = None


def row_of(watched: WatchedTarget, now: float, wall: float) -> TargetRow:
    """The row of a target as of `now` (monotonic), which is `wall` on the wall clock."""
    target, health, state = watched.target, watched.health, watched.state
    p50_s, p99_s = percentiles_s(health.durations_s())
    return TargetRow(
        key=target.key,
        name=name_of(target),
        alias=safe_text.valid(target.alias),
        address=safe_text.valid(target.addr),
        state=state_of(watched),
        since=health.since,
        reason=health.reason,
        error_text=safe_text.one_line(health.error_text, ERROR_MAX),
        role=role_of(watched.facts),
        version=version_of(watched.facts),
        labels={safe_text.valid(name): safe_text.valid(value) for name, value in own_labels(target)},
        lanes=lanes_of(watched, now),
        poll_p50_s=p50_s,
        poll_p99_s=p99_s,
        next_poll_s=next_poll_s(watched, now, wall),
        series=state.series.series,
        refused=len(state.memory.refusals.known),
        reconnects=reconnects_of(watched),
        cost_ratio=cost_ratio_of(watched),
        source="adopted" if target.variant else target.source,
        is_elsewhere=target.elsewhere,
        paused_until=state.series.paused_until,
    )


def name_of(target: Target) -> str:
    """What finds the target: its alias, or else its address, without the scheme that is meant anyway. One
    that requests have made of it by lists of keys, or by a user, has a number too."""
    name = safe_text.valid(target.alias or target.addr.removeprefix(_SCHEME))
    return f"{name} {target.variant}" if target.variant else name


def role_of(facts: Facts | None) -> str:
    return "" if facts is None else facts.role


def version_of(facts: Facts | None) -> str:
    """Such as `7.2.4`, or `valkey 8.0.1` for another server than Redis; "" if it is not known."""
    if facts is None or not any(facts.flavor_version):
        return ""
    numbers = ".".join(map(str, facts.flavor_version))
    return numbers if facts.flavor == "redis" else f"{facts.flavor} {numbers}"


def lanes_of(watched: WatchedTarget, now: float) -> tuple[LaneAge, ...]:
    """The age of each lane that has something to ask."""
    if watched.state.series.paused_until is not None:
        return ()
    timing, intervals = watched.timing, watched.state.clock.intervals
    return tuple(
        LaneAge(
            lane.value,
            max(0.0, now - count.polled_at) if count.polled_at > -math.inf else None,
            timing.expiry_s(lane, intervals),
            count.stale,
        )
        for lane, count in watched.state.series.lanes.items()
    )


def percentiles_s(durations_s: Sequence[float]) -> tuple[float | None, float | None]:
    """The median and the 99th percentile (the nearest rank) of what polls took; None without any."""
    ordered = sorted(durations_s)
    if not ordered:
        return None, None
    most = len(ordered)
    return ordered[(most - 1) // 2], ordered[math.ceil(0.99 * most) - 1]


def next_poll_s(watched: WatchedTarget, now: float, wall: float) -> float | None:
    """Seconds until the next poll may begin: the next turn, or the first one after the back-off. None before
    the first turn."""
    until = watched.state.series.paused_until
    if until is not None:
        return max(0.0, until - wall)
    if watched.ticked_at == -math.inf:
        return None
    every_s = watched.timing.interval_s * watched.state.clock.intervals
    turns = max(1, math.ceil((max(now, watched.health.retry_at) - watched.ticked_at) / every_s - 1e-9))
    return max(0.0, watched.ticked_at + turns * every_s - now)


def reconnects_of(watched: WatchedTarget) -> int:
    return watched.connection.reconnects


def cost_ratio_of(watched: WatchedTarget) -> float | None:
    """Seconds of the server that all lanes take in a second; None before the first count."""
    poll_s = watched.state.cost.poll_s
    timing, intervals = watched.timing, watched.state.clock.intervals
    spent = [
        cost_s / max(timing.lane_interval_s(lane), intervals * timing.interval_s)
        for lane, cost_s in poll_s.items()
        if lane in timing.every
    ]
    return sum(spent) if spent else None
