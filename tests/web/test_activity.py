"""What a connection is doing, by a clock of our own."""

from __future__ import annotations

import pytest

from exporter.web.activity import Activity
from exporter.web.guard import IDLE, INCOMPLETE, SLOW, SLOW_S, WAITING, YOUNG, YOUNG_S
from exporter.web.limits import HttpLimits

LIMITS = HttpLimits(request_s=10, idle_s=100, write_s=20, answer_s=50, request_bytes=1000)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def activity(clock: Clock) -> Activity:
    return Activity(LIMITS, clock)


class TestReceiving:
    def test_a_request_has_its_time_from_its_first_byte(self, activity: Activity, clock: Clock) -> None:
        activity.take_up(body=False)
        activity.finish()
        clock.now += 30
        assert activity.overdue(clock.now, 0) == ""
        assert activity.receive(10)
        assert activity.overdue(clock.now + 10, 0) == ""
        assert activity.overdue(clock.now + 11, 0) == "request_timeout"

    def test_a_request_may_have_the_limit_and_what_came_with_it(self, activity: Activity) -> None:
        assert activity.receive(1001)
        assert not activity.receive(1)

    def test_what_follows_a_request_without_a_body_is_the_next_one(self, activity: Activity) -> None:
        activity.take_up(body=False)
        assert activity.receive(5000)
        assert activity.receive(5000)  # aiohttp reads no more of these than it can hold

    def test_a_body_is_bounded_while_its_request_is_answered(self, activity: Activity) -> None:
        activity.take_up(body=True)
        assert activity.receive(5000)
        assert not activity.receive(1)


class TestRank:
    def test_who_has_just_come_is_young_and_then_incomplete(self, activity: Activity, clock: Clock) -> None:
        began_at = clock.now
        assert activity.rank(began_at) == (YOUNG, began_at)
        assert activity.rank(began_at + YOUNG_S) == (INCOMPLETE, began_at)

    def test_an_answer_makes_room_only_if_it_takes_long(self, activity: Activity, clock: Clock) -> None:
        activity.take_up(body=False)
        assert activity.rank(clock.now + 10) is None
        assert activity.rank(clock.now + 11) == (WAITING, clock.now)

    def test_after_its_answer_it_is_idle(self, activity: Activity, clock: Clock) -> None:
        activity.take_up(body=False)
        clock.now += 5
        activity.finish()
        assert activity.rank(clock.now) == (IDLE, clock.now)

    def test_a_reader_that_takes_nothing_is_slow(self, activity: Activity, clock: Clock) -> None:
        activity.take_up(body=False)
        activity.overdue(clock.now, 500)
        assert activity.rank(clock.now + SLOW_S / 2) is None
        assert activity.rank(clock.now + SLOW_S) == (SLOW, clock.now)
        activity.overdue(clock.now + SLOW_S, 400)
        assert activity.rank(clock.now + SLOW_S) is None


class TestOverdue:
    def test_the_first_request_has_its_time(self, activity: Activity, clock: Clock) -> None:
        assert activity.overdue(clock.now + 10, 0) == ""
        assert activity.overdue(clock.now + 11, 0) == "request_timeout"

    def test_between_two_requests(self, activity: Activity, clock: Clock) -> None:
        activity.take_up(body=False)
        activity.finish()
        assert activity.overdue(clock.now + 100, 0) == ""
        assert activity.overdue(clock.now + 101, 0) == "idle"

    def test_an_answer_that_is_not_begun(self, activity: Activity, clock: Clock) -> None:
        activity.take_up(body=False)
        assert activity.overdue(clock.now + 50, 0) == ""
        assert activity.overdue(clock.now + 51, 0) == "answer_timeout"

    def test_a_reader_that_takes_nothing_and_one_that_takes_little(
        self, activity: Activity, clock: Clock
    ) -> None:
        activity.take_up(body=False)
        assert activity.overdue(clock.now, 500) == ""
        assert activity.overdue(clock.now + 20, 500) == ""
        assert activity.overdue(clock.now + 21, 500) == "write_stalled"
        assert activity.overdue(clock.now + 22, 400) == ""
        assert activity.overdue(clock.now + 42, 300) == ""
        assert activity.overdue(clock.now + 51, 200) == "answer_timeout"


def test_an_answer_moves_while_its_reader_takes_it(activity: Activity, clock: Clock) -> None:
    assert not activity.moves(clock.now)
    activity.take_up(body=False)
    assert activity.moves(clock.now)
    assert not activity.moves(clock.now + SLOW_S)
    clock.now += SLOW_S
    activity.overdue(clock.now, 500)
    assert activity.moves(clock.now)
    assert not activity.moves(clock.now + SLOW_S)
