"""What is kept of one target across a restart of the exporter: snapshots, counters, phases, and no login."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from exporter import engine
from exporter.metrics.lane import Lane
from exporter.metrics.store import LaneTimes, Snapshot, Store
from exporter.polling.target_state import TargetState
from exporter.telemetry.target_series import OUTCOMES, LaneCount


class SavedSnapshot(NamedTuple):
    """`began_at` is wall-clock seconds, for the monotonic clock begins again with the machine."""

    family_set: str
    series: int
    began_at: float
    samples: bytes
    offsets: bytes


@dataclass(frozen=True, slots=True)
class SavedTarget:
    """`facts` are all but the snapshots, as JSON can hold them. Another version of the program may have
    written them: what is missing there is as it is at first."""

    facts: Mapping[str, Any]
    snapshots: Sequence[SavedSnapshot]


#: by the name of a family set: for each family its old number, -1 if it is new; () if all have their old
#: numbers, None if nothing of the set can be used
Places = Callable[[str], Sequence[int] | None]


def save(state: TargetState, store: Store) -> SavedTarget:
    """Take what is worth keeping, in any thread: the last polls may still end. Snapshots that still have
    former labels are left out."""
    series, labels, wall_s = state.series, state.labels, time.time() - time.monotonic()
    snapshots = []
    for enabled in state.assignment.family_sets.of_collectors:
        kept = store.get(state.assignment.target.key, enabled.name)
        if kept is not None and enabled.name not in labels.former:
            snapshots.append(
                SavedSnapshot(enabled.name, kept.series, kept.began_at + wall_s, kept.samples, kept.offsets)
            )
    facts = {
        "labels": labels.fingerprint,
        "role": labels.role,
        "interval_s": state.assignment.timing.interval_s,
        "saved_at": time.time(),
        "up": state.health.up,
        "since": state.health.since,
        "due_in": {lane.value: turns for lane, turns in state.clock.phases().items()},
        "lanes": {
            lane.value: [count.polls, count.skipped, count.succeeded_at]
            for lane, count in list(series.lanes.items())
        },
        "failures": dict(series.failures),
        "dropped": series.dropped,
        "collectors": {
            name: [int(each) for each in outcome] for name, outcome in list(series.collectors.items())
        },
        "cuts": dict(series.cuts),
    }
    return SavedTarget(facts, snapshots)


def restore(state: TargetState, store: Store, saved: SavedTarget, places: Places) -> None:
    """Go on from there. Whether the target is up is not known before its first poll. Snapshots with other
    labels than the target has now are left out."""
    now, facts = time.monotonic(), saved.facts
    passed = round((time.time() - facts["saved_at"]) / state.assignment.timing.interval_s)
    _restore_counters(state, facts)
    if isinstance(facts.get("up"), bool) and isinstance(facts.get("since"), float):
        state.health.resumed = (facts["up"], facts["since"])
    if facts["interval_s"] == state.assignment.timing.interval_s:
        due_in = facts["due_in"]
        state.clock.resume({lane: due_in[lane.value] for lane in Lane if lane.value in due_in}, passed)
    if facts["labels"] == state.labels.fingerprint:
        state.labels.learn_role(facts["role"])
        _restore_snapshots(state, store, saved.snapshots, places)
    state.publish(now)


def _restore_counters(state: TargetState, facts: Mapping[str, Any]) -> None:
    series = state.series
    for lane in series.lanes:
        polls, skipped, succeeded_at = facts["lanes"].get(lane.value, (0, 0, None))
        series.lanes[lane] = LaneCount(polls, skipped=skipped, succeeded_at=succeeded_at)
    for reason, count in facts["failures"].items():
        series.restore_failures(reason, count)
    series.dropped = facts["dropped"]
    names = {each.name for each in state.assignment.family_sets.of_collectors}
    for name, (success, supported) in facts["collectors"].items():
        if name in names:
            series.collectors[name] = OUTCOMES[bool(success), bool(supported)]
    series.cuts.update({name: rows for name, rows in facts["cuts"].items() if name in names})


def _restore_snapshots(
    state: TargetState, store: Store, snapshots: Sequence[SavedSnapshot], places: Places
) -> None:
    wall_s = time.time() - time.monotonic()
    assignment = state.assignment
    enabled = {each.name: each for each in assignment.family_sets.of_collectors}
    for saved in snapshots:
        found = places(saved.family_set)
        if saved.family_set not in enabled or found is None:
            continue
        lane = enabled[saved.family_set].lane
        began_at = min(saved.began_at - wall_s, time.monotonic())
        samples, offsets = _renumber(saved.samples, saved.offsets, found)
        block = engine.Block(samples, offsets, saved.series, 0, ())
        lasts_s = assignment.timing.collector_expiry_s(saved.family_set, lane, state.clock.intervals)
        times = LaneTimes(began_at, began_at + lasts_s)
        store.put(Snapshot(assignment.target.key, saved.family_set, lane, block, times))
        state.series.series += saved.series
        count = state.series.lanes.get(lane)
        if count is not None:
            count.polled_at = max(count.polled_at, began_at)


def _renumber(samples: bytes, offsets: bytes, places: Sequence[int]) -> tuple[bytes, bytes]:
    """The same samples under other numbers of their families. Families that are gone are left out."""
    if not places:
        return samples, offsets
    ends = struct.unpack(f"={len(offsets) // 4}i", offsets)
    parts = [samples[ends[place] : ends[place + 1]] if place >= 0 else b"" for place in places]
    moved, at = [0], 0
    for part in parts:
        at += len(part)
        moved.append(at)
    return b"".join(parts), struct.pack(f"={len(moved)}i", *moved)
