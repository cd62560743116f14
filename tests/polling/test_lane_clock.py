"""Which lanes are due at which tick."""

from __future__ import annotations

import pytest

from exporter.metrics.lane import Lane
from exporter.polling.lane_clock import LaneClock

FAST, STANDARD, SLOW, SCAN = Lane.FAST, Lane.STANDARD, Lane.SLOW, Lane.SCAN
EVERY = {FAST: 1, STANDARD: 3, SLOW: 6, SCAN: 4}


def clock(place: int = 0, scan_place: int = 0, lanes: tuple[Lane, ...] = tuple(Lane)) -> LaneClock:
    return LaneClock(lanes, EVERY, place, scan_place)


def polled_at(clock: LaneClock, lane: Lane, ticks: range, failing: range = range(0)) -> list[int]:
    """The ticks at which a poll covers a lane; those in `failing` cover it and fail."""
    found = []
    for number in ticks:
        clock.tick()
        lanes = clock.due()
        if lane in lanes:
            found.append(number)
        if number not in failing:
            clock.note_polled(lanes)
    return found


class TestLanes:
    def test_the_first_poll_covers_all_but_scan(self) -> None:
        assert clock().due() == (FAST, STANDARD, SLOW)

    @pytest.mark.parametrize(
        ("place", "standard", "slow"),
        [(0, [1, 2, 5, 8, 11], [1, 2, 8]), (2, [1, 4, 7, 10], [1, 4, 10]), (5, [1, 4, 7, 10], [1, 7])],
    )
    def test_each_has_a_phase_of_the_targets_own(
        self, place: int, standard: list[int], slow: list[int]
    ) -> None:
        assert polled_at(clock(place), STANDARD, range(1, 13)) == standard
        assert polled_at(clock(place), SLOW, range(1, 13)) == slow

    def test_fast_is_due_at_each_tick(self) -> None:
        assert polled_at(clock(), FAST, range(1, 8)) == [1, 2, 3, 4, 5, 6, 7]

    def test_a_lane_whose_poll_failed_is_due_again_at_once_and_keeps_its_phase(self) -> None:
        assert polled_at(clock(2), STANDARD, range(1, 12), failing=range(4, 6)) == [1, 4, 5, 6, 7, 10]

    def test_a_poll_of_all_lanes_in_between_gives_them_a_new_start(self) -> None:
        each = clock(2)
        polled_at(each, STANDARD, range(1, 3))
        each.make_all_due()
        assert each.due() == (FAST, STANDARD, SLOW)

    def test_brought_forward_they_are_due_at_the_next_tick_and_keep_their_phase(self) -> None:
        each = clock(2)
        polled_at(each, STANDARD, range(1, 6))
        each.bring_forward()
        each.bring_forward()
        assert polled_at(each, STANDARD, range(6, 13)) == [6, 7, 10]

    def test_some_of_them_are_brought_forward_alone_and_keep_their_phase(self) -> None:
        each = clock(2)
        assert polled_at(each, SLOW, range(1, 6)) == [1, 4]
        each.bring_forward([SLOW])
        assert each.due() == (FAST, SLOW)
        each.bring_forward([SLOW, FAST])  # what is due stays so
        each.note_polled(each.due())
        assert polled_at(each, SLOW, range(6, 20)) == [10, 16]

    def test_ticks_that_are_several_intervals_apart_count_as_many(self) -> None:
        each, found = clock(2), []
        for number in range(1, 7):
            each.tick(2)
            if STANDARD in each.due():
                found.append(number)
            each.note_polled(each.due())
        assert each.intervals == 2
        assert found == [1, 3, 4, 6]  # intervals 2, 6, 8 and 12: due at 5, 8 and 11


class TestScan:
    @pytest.mark.parametrize(("place", "ticks"), [(0, [1, 2, 6, 10]), (1, [1, 3, 7, 11]), (7, [1, 5, 9])])
    def test_the_first_one_is_due_at_once_and_those_after_it_have_a_phase(
        self, place: int, ticks: list[int]
    ) -> None:
        each, found = clock(scan_place=place), []
        for number in range(1, 13):
            each.tick()
            if each.scan_due():
                found.append(number)
                each.note_scan()
        assert found == ticks

    def test_no_first_one_is_due_after_it(self) -> None:
        each = clock()
        assert each.first_scan_due
        each.note_scan()
        assert not each.first_scan_due

    def test_one_that_still_runs_skips_a_turn(self) -> None:
        each = clock(scan_place=3)
        each.tick()
        assert each.scan_due()
        each.note_scan()
        for _ in range(4):
            each.tick()
        assert each.scan_due()
        each.skip_scan()
        assert not each.scan_due()


class TestChange:
    def test_a_lane_whose_multiple_stays_keeps_its_phase(self) -> None:
        each = clock(2)
        polled_at(each, STANDARD, range(1, 3))
        each.change(Lane, {**EVERY, SLOW: 2})
        assert polled_at(each, STANDARD, range(3, 9)) == [4, 7]

    def test_a_lane_that_gets_a_shorter_multiple_is_due_within_it(self) -> None:
        each = LaneClock(Lane, {**EVERY, SLOW: 1000}, 999, 0)
        polled_at(each, SLOW, range(1, 3))
        each.change(Lane, {**EVERY, SLOW: 5})
        assert polled_at(each, SLOW, range(3, 20)) == [7, 12, 17]

    def test_a_longer_multiple_makes_nothing_late(self) -> None:
        each = clock(2)
        polled_at(each, STANDARD, range(1, 3))
        each.change(Lane, {**EVERY, STANDARD: 100})
        assert polled_at(each, STANDARD, range(3, 110)) == [4, 104]

    def test_a_new_lane_is_due_at_once_and_one_that_is_gone_never(self) -> None:
        each = clock(2, lanes=(FAST, STANDARD))
        polled_at(each, STANDARD, range(1, 3))
        each.change((FAST, SLOW), EVERY)
        each.tick()
        assert each.due() == (FAST, SLOW)
        each.note_polled(each.due())
        each.tick()
        assert each.due() == (FAST,)


class TestPostpone:
    def test_a_lane_that_waits_is_due_at_its_next_turn(self) -> None:
        each = clock(2, lanes=(FAST, STANDARD))
        assert polled_at(each, STANDARD, range(1, 4)) == [1]
        each.tick()
        assert each.due() == (FAST, STANDARD)
        each.postpone([STANDARD])
        assert each.due() == (FAST,)
        assert polled_at(each, STANDARD, range(5, 12)) == [7, 10]

    def test_a_lane_that_was_never_polled_stays_due(self) -> None:
        each = clock(2, lanes=(FAST, STANDARD))
        each.tick()
        each.postpone([STANDARD])
        assert each.due() == (FAST, STANDARD)
        assert polled_at(each, STANDARD, range(2, 12)) == [2, 5, 8, 11]


class TestAfterARestart:
    @pytest.mark.parametrize("passed", [0, 1, 2, 7])
    @pytest.mark.parametrize("stopped_after", [1, 5, 6, 20])
    def test_lanes_go_on_in_their_phases(self, stopped_after: int, passed: int) -> None:
        before = clock(2)
        polled_at(before, SLOW, range(1, stopped_after + 1))
        after = clock(2)
        after.resume(before.phases(), passed)
        first, *others = polled_at(after, SLOW, range(1, 15))
        assert first == 1  # everything is polled at once
        now = stopped_after + passed
        usual = polled_at(clock(2), SLOW, range(1, now + 15))
        assert others == [turn - now for turn in usual if turn > now + 1 and turn > 1]

    def test_the_first_scan_comes_at_once(self) -> None:
        before = clock()
        before.note_scan()
        after = clock()
        after.resume(before.phases(), 0)
        assert after.first_scan_due

    def test_lanes_that_are_gone_are_left_out(self) -> None:
        before = clock(2)
        polled_at(before, SLOW, range(1, 6))
        after = clock(2, lanes=(FAST,))
        after.resume(before.phases(), 0)
        assert after.due() == (FAST,)
        assert after.phases() == {}
