"""One timer ends each poll at its deadline."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable

import pytest

from exporter.polling.deadlines import Deadlines, Timed, running_deadlines
from tests.store_fixture import until


class Poll:
    """Something with a deadline: when it came, and what it does then."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.late_at = 0.0
        self.times = 0
        self._then = then

    def time_out(self) -> None:
        self.late_at = time.monotonic()
        self.times += 1
        self._then()


class Loop:
    """Counts the timers of the running loop that were not cancelled."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.timers: list[asyncio.TimerHandle] = []

    def call_later(self, delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        timer = self._loop.call_later(delay_s, call)
        self.timers.append(timer)
        return timer

    @property
    def waiting(self) -> int:
        return sum(not timer.cancelled() for timer in self.timers)


@pytest.fixture
async def deadlines() -> Deadlines:
    return Deadlines()


async def test_each_ends_at_its_deadline_and_not_before(deadlines: Deadlines) -> None:
    now = time.monotonic()
    polls = {after_s: Poll() for after_s in (0.15, 0.05, 0.1)}
    for after_s, poll in polls.items():
        deadlines.add(poll, now + after_s)
    await until(lambda: all(poll.times for poll in polls.values()))
    assert all(poll.late_at >= now + after_s - 0.002 for after_s, poll in polls.items())
    assert [poll.times for poll in polls.values()] == [1, 1, 1]
    assert len(deadlines) == 0


async def test_a_deadline_that_has_passed_comes_at_once(deadlines: Deadlines) -> None:
    poll = Poll()
    deadlines.add(poll, time.monotonic() - 1)
    await until(lambda: poll.times)


async def test_what_has_ended_is_not_called(deadlines: Deadlines) -> None:
    now = time.monotonic()
    ended, other = Poll(), Poll()
    deadlines.add(ended, now + 0.02)
    deadlines.add(other, now + 0.04)
    deadlines.drop(ended)
    deadlines.drop(ended)
    await until(lambda: other.times)
    assert ended.times == 0


async def test_the_end_of_one_may_be_the_end_of_another(deadlines: Deadlines) -> None:
    now = time.monotonic() - 1
    second = Poll()
    first = Poll(then=lambda: deadlines.drop(second))
    deadlines.add(first, now)
    deadlines.add(second, now)
    await until(lambda: first.times)
    assert second.times == 0


async def test_one_that_ends_late_may_begin_again(deadlines: Deadlines) -> None:
    def begin_again() -> None:
        if poll.times == 1:
            deadlines.add(poll, time.monotonic() + 0.02)

    poll = Poll(begin_again)
    deadlines.add(poll, time.monotonic())
    await until(lambda: poll.times == 2)


async def test_a_failure_of_one_harms_no_other(
    deadlines: Deadlines, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError

    first, second = Poll(fail), Poll()
    for poll in (first, second):
        deadlines.add(poll, time.monotonic())
    await until(lambda: second.times)
    assert "internal error at the deadline" in caplog.text


async def test_there_is_one_timer_whatever_the_number_of_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, deadlines, now = Loop(), Deadlines(), time.monotonic()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    polls = [Poll() for _ in range(100)]
    for poll in polls:
        deadlines.add(poll, now + 60)
        deadlines.drop(poll)
        deadlines.add(poll, now + 60)
    assert len(loop.timers) == 1
    deadlines.add(Poll(), now + 30)  # an earlier one takes its place
    assert (len(loop.timers), loop.waiting) == (2, 1)
    loop.timers[-1].cancel()


async def test_a_loop_has_one_of_them() -> None:
    assert running_deadlines() is running_deadlines()


def test_a_loop_that_has_ended_is_let_go() -> None:
    async def poll_once() -> weakref.ref[asyncio.AbstractEventLoop]:
        poll = Poll()
        running_deadlines().add(poll, time.monotonic())
        await until(lambda: poll.times)
        return weakref.ref(asyncio.get_running_loop())

    ended = asyncio.run(poll_once())
    gc.collect()
    assert ended() is None


async def test_time_is_taken_from_the_start_of_the_clock() -> None:
    poll = Timed()
    poll.deadline_s = 5.0
    assert not poll.overdue(1e9)
    now = time.monotonic()
    poll.start_clock(now)
    assert (poll.began_at, poll.deadline, poll.in_time, poll.begun) == (now, now + 5.0, True, True)
    assert abs(poll.wall_at - time.time()) < 5.0
    assert poll in running_deadlines()
    assert not poll.overdue(now + 4.9)
    assert poll.overdue(now + 5.0)
    poll.stop_clock()
    assert poll not in running_deadlines()
    assert poll.overdue(now + 5.0)  # late, and still at work
    poll.begun = False
    assert not poll.overdue(now + 5.0)


def test_who_has_a_deadline_says_what_comes_then() -> None:
    with pytest.raises(NotImplementedError):
        Timed().time_out()
