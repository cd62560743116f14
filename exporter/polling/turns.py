"""Collectors that run less often than their lane: in one of several of its turns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.collectors._enabled import EnabledCollector, lane_of
from exporter.collectors._registry import REGISTRY
from exporter.collectors._switches import switch_fault, switches
from exporter.metrics.lane import Lane
from exporter.options.overrides import override
from exporter.options.table import Options, PollOptions
from exporter.polling.assignment import Assignment
from exporter.polling.lane_clock import LaneClock
from exporter.polling.timing import lanes
from exporter.targets.target import Target

FLAG = "poll.collector-intervals"


def turns_of(collectors: Iterable[EnabledCollector], poll: PollOptions) -> Mapping[str, tuple[Lane, int]]:
    """By the name of a collector, its lane and in one of how many turns of it it runs. Those that run in each
    turn are left out."""
    intervals_s, own_s = lanes(poll), dict(poll.collector_intervals)
    found: dict[str, tuple[Lane, int]] = {}
    for each in collectors:
        turns = each.collector.turns if poll.thrifty else 1
        if each.name in own_s and each.lane is not Lane.SCAN:
            turns = max(1, math.ceil(own_s[each.name] / intervals_s[each.lane] - 1e-6))
        if turns > 1:
            found[each.name] = (each.lane, turns)
    return found


def turn_notes(collectors: Iterable[EnabledCollector], poll: PollOptions) -> list[str]:
    """One sentence for each interval of a collector that is not as configured, for the log at start."""
    intervals_s, own_s, turns = lanes(poll), dict(poll.collector_intervals), turns_of(collectors, poll)
    notes = []
    for each in collectors:
        lane_s = intervals_s[each.lane]
        _, times = turns.get(each.name, (each.lane, 1))
        if each.name in own_s and not math.isclose(times * lane_s, own_s[each.name]):
            notes.append(
                f"the collector {each.name} runs every {times * lane_s:g}s, not {own_s[each.name]:g}s: a "
                f"whole multiple of the {each.lane.value} lane's {lane_s:g}s"
            )
    return notes


def due_collectors(
    assignment: Assignment, due: tuple[Lane, ...], clock: LaneClock
) -> tuple[EnabledCollector, ...]:
    """The collectors that run in this turn of the lanes: the same object for the same ones."""
    family_sets, timing = assignment.family_sets, assignment.timing
    if timing.turning_lanes.isdisjoint(due):  # as nearly always
        return family_sets.on(due)
    left_out = tuple(
        [
            name
            for name, (lane, times) in timing.turns.items()
            if lane in due and clock.leaves_out(lane, times)
        ]
    )
    return family_sets.on_but(due, left_out) if left_out else family_sets.on(due)


def interval_faults(options: Options, targets: Sequence[Target]) -> Iterator[str]:
    """What is wrong with the collectors that have intervals of their own, of all targets and of each."""
    variants = {target.overrides for target in targets} - {()}
    names = {
        name
        for each in (options, *(override(options, overrides) for overrides in variants))
        for name, _ in each.poll.collector_intervals
    }
    scanning = {each.name for each in REGISTRY if lane_of(each) is Lane.SCAN}
    for name in sorted(names):
        if name not in switches():
            yield switch_fault(FLAG, name)
        elif name in scanning:
            yield f"--{FLAG}: {name} runs on the scan lane: write --poll.scan-interval"
