"""Collectors that run less often than their lane."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.collectors._contract import AnyCollector
from exporter.collectors._enabled import enable
from exporter.collectors.config import ConfigCollector
from exporter.collectors.info import InfoCollector
from exporter.collectors.latency_histogram import LatencyHistogramCollector
from exporter.collectors.latency_stats import LatencyStatsCollector
from exporter.collectors.slowlog import SlowlogCollector
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.overrides import overrides_of
from exporter.polling.assignment import Assignment, FamilySets
from exporter.polling.lane_clock import LaneClock
from exporter.polling.timing import PollTiming, lanes
from exporter.polling.turns import due_collectors, interval_faults, turn_notes, turns_of
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from exporter.telemetry.target_series import target_family_set

COLLECTORS: tuple[AnyCollector, ...] = (
    InfoCollector(),
    SlowlogCollector(),
    ConfigCollector(),
    LatencyStatsCollector(),
    LatencyHistogramCollector(),
)
TARGET = parse_address("redis://h:6379")


def assignment(*argv: str) -> Assignment:
    options = parse([*argv], {})
    sets = FamilySets(
        [enable(each, "redis", thrifty=options.poll.thrifty) for each in COLLECTORS],
        target_family_set("redis"),
    )
    timing = PollTiming.of(
        lanes(options.poll),
        timeout_s=15.0,
        scan_budget_s=1.0,
        max_backoff_s=30.0,
        connection_max_age_s=600.0,
        max_age_s=0.0,
        turns=turns_of(sets.of_collectors, options.poll),
    )
    return Assignment(TARGET, sets, timing, options)


def turns(*argv: str) -> dict[str, tuple[Lane, int]]:
    return dict(assignment(*argv).timing.turns)


class TestHowOften:
    def test_latencies_come_with_every_second_turn_of_the_slow_lane(self) -> None:
        assert turns() == {"latency_stats": (Lane.SLOW, 2), "latency_histogram": (Lane.SLOW, 2)}

    def test_or_with_every_turn_of_the_former_lane(self) -> None:
        assert turns("--poll.thrifty=false") == {}

    def test_an_interval_of_its_own_is_a_multiple_of_the_lanes(self) -> None:
        argv = ["--poll.collector-intervals=latency_histogram=10m,slowlog=30s,config=61s,latency_stats=60s"]
        assert turns(*argv) == {
            "latency_histogram": (Lane.SLOW, 10),
            "slowlog": (Lane.FAST, 6),
            "config": (Lane.SLOW, 2),
        }
        assert turns(*argv, "--poll.slow-interval=5m")["latency_histogram"] == (Lane.SLOW, 2)

    def test_what_is_rounded_is_said(self) -> None:
        argv = ["--poll.collector-intervals=config=61s,slowlog=10s,latency_stats=1s"]
        made = assignment(*argv)
        notes = turn_notes(made.family_sets.of_collectors, made.options.poll)
        assert notes == [
            "the collector config runs every 120s, not 61s: a whole multiple of the slow lane's 60s",
            "the collector latency_stats runs every 60s, not 1s: a whole multiple of the slow lane's 60s",
        ]

    def test_its_values_last_three_of_its_intervals(self) -> None:
        timing = assignment().timing
        assert timing.collector_expiry_s("config", Lane.SLOW) == 3 * 60 + 5
        assert timing.collector_expiry_s("latency_stats", Lane.SLOW) == 3 * 120 + 5
        assert timing.collector_expiry_s("latency_stats", Lane.SLOW, 24) == 3 * 2 * 120 + 5
        assert replace(timing, max_age_s=7.0).collector_expiry_s("latency_stats", Lane.SLOW) == 7


class TestFaults:
    def faults(self, text: str, *targets: Target) -> list[str]:
        return list(interval_faults(parse([f"--poll.collector-intervals={text}"], {}), targets))

    def test_names_are_those_of_collectors(self) -> None:
        assert self.faults("slowlog=10s") == []
        [unknown] = self.faults("slowlogs=10s")
        assert unknown.endswith("is called slowlogs: did you mean slowlog?")
        [identifying] = self.faults("info=10s")
        assert "is called info: write one of " in identifying

    def test_those_of_scans_have_the_lane_of_their_own(self) -> None:
        assert self.faults("key_groups=10m") == [
            "--poll.collector-intervals: key_groups runs on the scan lane: write --poll.scan-interval"
        ]

    def test_those_of_single_targets_are_looked_at_too(self) -> None:
        own = replace(TARGET, overrides=overrides_of([("poll.collector-intervals", (("slowlgo", 10.0),))]))
        assert len(self.faults("", own)) == 1


class TestWhoIsDue:
    def names(self, made: Assignment, clock: LaneClock) -> list[str]:
        return [each.name for each in due_collectors(made, clock.due(), clock)]

    def run(self, made: Assignment, place: int, ticks: int) -> dict[str, list[int]]:
        """At which ticks each collector runs, of polls that all go well."""
        clock = LaneClock(made.family_sets.lanes, made.timing.every, place, 0)
        ran: dict[str, list[int]] = {each.name: [] for each in made.family_sets.of_collectors}
        for tick in range(ticks):
            clock.tick()
            for name in self.names(made, clock):
                ran[name].append(tick)
            clock.note_polled(clock.due())
        return ran

    @pytest.mark.parametrize("place", [0, 1, 7, 13, 12345])
    def test_at_first_all_and_then_each_at_its_own_interval(self, place: int) -> None:
        argv = ["--poll.collector-intervals=latency_histogram=3m,slowlog=30s"]
        ran = self.run(assignment(*argv), place, 500)
        assert all(ticks[0] == 0 for ticks in ran.values())
        for name, apart in {
            "info": 1,
            "slowlog": 6,
            "config": 12,
            "latency_stats": 24,
            "latency_histogram": 36,
        }.items():
            gaps = [one - other for one, other in zip(ran[name][2:], ran[name][1:], strict=False)]
            assert set(gaps) == {apart}, name
            assert ran[name][1] <= apart

    def test_targets_are_spread_over_the_turns(self) -> None:
        made = assignment()
        firsts = {self.run(made, 12 * place, 50)["latency_stats"][1] // 12 for place in range(8)}
        assert firsts == {0, 1}

    def test_the_same_collectors_are_the_same_object(self) -> None:
        made = assignment()
        clock = LaneClock(made.family_sets.lanes, made.timing.every, 0, 0)
        found = set()
        for _ in range(100):
            clock.tick()
            found.add(due_collectors(made, clock.due(), clock))
            clock.note_polled(clock.due())
        assert len(found) == 3  # fast alone; all; slow without the rare ones

    def missed(self, made: Assignment) -> LaneClock:
        """Before a turn of the slow lane that leaves something out."""
        clock = LaneClock(made.family_sets.lanes, made.timing.every, 0, 0)
        for _ in range(100):
            clock.tick()
            if Lane.SLOW in clock.due() and "latency_stats" not in self.names(made, clock):
                return clock
            clock.note_polled(clock.due())
        raise AssertionError("no such turn")

    def test_a_turn_that_waits_lets_all_run_in_the_next_one(self) -> None:
        made = assignment()
        clock = self.missed(made)
        clock.postpone([Lane.SLOW])
        for _ in range(12):
            clock.tick()
        assert "latency_stats" in self.names(made, clock)
        clock.note_polled(clock.due())
        for _ in range(12):
            clock.tick()
        assert Lane.SLOW in clock.due()

    def test_a_poll_that_fails_lets_all_run_in_the_next_one(self) -> None:
        made = assignment()
        clock = self.missed(made)
        clock.note_missed(clock.due())
        clock.tick()
        assert "latency_stats" in self.names(made, clock)

    def test_a_long_outage_lets_all_run(self) -> None:
        made = assignment()
        clock = self.missed(made)
        for _ in range(12):
            clock.tick()
        assert "latency_stats" in self.names(made, clock)

    def test_who_asks_for_a_lane_gets_all_of_it(self) -> None:
        made = assignment()
        clock = self.missed(made)
        clock.note_polled(clock.due())
        clock.tick()
        clock.bring_forward([Lane.SLOW])
        assert "latency_stats" in self.names(made, clock)

    def test_a_clock_that_goes_on_after_a_restart_begins_with_all(self) -> None:
        made = assignment()
        clock = LaneClock(made.family_sets.lanes, made.timing.every, 0, 0)
        clock.resume({Lane.SLOW: 5, Lane.STANDARD: 1}, 3)
        clock.tick()
        assert self.names(made, clock) == [each.name for each in made.family_sets.of_collectors]
