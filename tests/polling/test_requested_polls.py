"""Polls that requests ask for, of one lane or several: see also TestFresh in test_watched_target."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import pytest

from bench.ports import free_port
from exporter.metrics.lane import Lane
from exporter.polling.watched_target import WatchedTarget
from tests.store_fixture import until
from tests.watch_harness import AMPLE_S, SCANT_S, Clock, RedisFactory, WatchHarness, server_field

FAST, ALL = (Lane.FAST,), (Lane.FAST, Lane.STANDARD, Lane.SLOW)
RARELY = 1000
POLLS = "redis_exporter_target_polls_total"

pytestmark = pytest.mark.server

#: longer than a busy machine takes for a poll
LONG_S = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.take_over(monkeypatch)
    return clock


def polls(watch_harness: WatchHarness, watched: WatchedTarget) -> tuple[float | None, float | None]:
    """How many of fast and of standard."""
    return (
        watch_harness.value(watched, POLLS, "fast"),
        watch_harness.value(watched, POLLS, "standard"),
    )


async def past_the_floor(watched: WatchedTarget) -> None:
    await until(lambda: time.monotonic() - watched.health.began_at > watched.timing.fresh_floor_s)


async def test_a_lane_that_is_not_due_is_polled_when_it_is_asked_for(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    watched = watch_harness.watched(redis_server().port, standard_every=RARELY)
    await watch_harness.poll(watched)
    await past_the_floor(watched)
    await watched.fresh(0.0, time.monotonic() + AMPLE_S)
    assert polls(watch_harness, watched) == (2, 1)
    await past_the_floor(watched)
    await watched.fresh(0.0, time.monotonic() + AMPLE_S, ALL)
    assert polls(watch_harness, watched) == (3, 2)


async def test_only_a_lane_with_older_values_is_polled(
    watch_harness: WatchHarness, redis_server: RedisFactory, clock: Clock
) -> None:
    server = redis_server()
    watched = watch_harness.watched(server.port, standard_every=RARELY)
    await watch_harness.poll(watched)
    clock.ahead_s += LONG_S
    await watch_harness.poll(watched)
    assert watched.refresh(LONG_S / 2, FAST) is None
    await watched.fresh(LONG_S / 2, time.monotonic() + AMPLE_S, (Lane.STANDARD,))
    assert polls(watch_harness, watched) == (3, 2)
    assert watched.refresh(AMPLE_S, ALL) is None
    assert not watched.busy


async def test_a_turn_that_left_out_a_collector_of_the_lane_does_not_count(
    watch_harness: WatchHarness, redis_server: RedisFactory, clock: Clock
) -> None:
    watched = watch_harness.watched(redis_server().port, standard_every=1)
    await watch_harness.poll(watched)
    count = watched.state.series.lanes[Lane.STANDARD]
    before = count.covered_at
    on_standard = watched.assignment.family_sets.on((Lane.STANDARD,))
    rare = {each.name: (Lane.STANDARD, 2) for each in on_standard}
    timing = dataclasses.replace(watched.timing, turns=rare)
    watched.reassign(dataclasses.replace(watched.assignment, timing=timing))
    for _ in range(4):  # a collector that runs in one of two turns is left out of the other
        clock.ahead_s += LONG_S
        await watch_harness.poll(watched)
        if before < count.covered_at < watched.health.began_at:
            break
    assert before < count.covered_at < watched.health.began_at
    asked = polls(watch_harness, watched)[1]
    age_s = (time.monotonic() - watched.health.began_at + time.monotonic() - count.covered_at) / 2
    await watched.fresh(age_s, time.monotonic() + AMPLE_S, (Lane.STANDARD,))
    assert polls(watch_harness, watched)[1] == asked + 1  # type: ignore[operator]
    assert count.covered_at == watched.health.began_at


async def test_a_lane_is_polled_at_the_floor_at_most(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    server = redis_server()
    watched = watch_harness.watched(server.port, standard_every=RARELY, max_age_floor_s=0.2)
    began = time.monotonic()

    def standard() -> float:
        return polls(watch_harness, watched)[1] or 0.0

    await watch_harness.ask_until(
        watched, lambda asked: standard() >= 4 and asked > 10 * standard(), at_once=10, lanes=ALL
    )
    assert standard() <= (time.monotonic() - began) / 0.2 + 1


async def test_a_running_poll_without_the_lane_is_followed_by_one_with_it(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    server = redis_server()
    watched = watch_harness.watched(server.port, standard_every=RARELY, max_age_floor_s=1e-9)
    await watch_harness.poll(watched)
    server.pause()
    watched.tick(time.monotonic() + AMPLE_S)
    waiting = {watched.refresh(0.0, lanes) for lanes in (ALL, FAST, (Lane.STANDARD,))}
    [ended] = waiting
    assert ended is not None
    server.resume()
    await asyncio.wait_for(ended, AMPLE_S)
    assert polls(watch_harness, watched) == (3, 2)
    assert not watched.busy


async def test_a_running_poll_with_the_lane_is_waited_for_alone(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    server = redis_server()
    watched = watch_harness.watched(server.port, standard_every=1, max_age_floor_s=1e-9)
    await watch_harness.poll(watched)
    server.pause()
    watched.tick(time.monotonic() + AMPLE_S)
    ended = watched.refresh(0.0, ALL)
    assert ended is not None
    server.resume()
    await asyncio.wait_for(ended, AMPLE_S)
    assert polls(watch_harness, watched) == (2, 2)
    assert not watched.busy


async def test_a_running_poll_that_fails_is_not_followed(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    server = redis_server()
    watched = watch_harness.watched(
        server.port, standard_every=RARELY, max_age_floor_s=1e-9, deadline_s=SCANT_S
    )
    await watch_harness.poll(watched)
    server.pause()
    watched.tick(time.monotonic() + AMPLE_S)
    ended = watched.refresh(0.0, ALL)
    assert ended is not None
    await asyncio.wait_for(ended, AMPLE_S)
    assert len(watch_harness.ends(watched)) == 2
    assert not watched.busy


async def test_a_server_that_is_down_is_asked_no_more_often_for_more_lanes(
    watch_harness: WatchHarness,
) -> None:
    watched = watch_harness.watched(free_port(), interval_s=60.0, max_age_floor_s=0.02)
    await watch_harness.ask_until(watched, lambda asked: watch_harness.dialer.dials == 2, lanes=ALL)
    until_s = time.monotonic() + 0.3
    await watch_harness.ask_until(watched, lambda asked: time.monotonic() > until_s, lanes=ALL)
    assert watch_harness.dialer.dials == 2  # back-off begins with the second failure


async def test_lanes_that_the_target_has_not_are_nothing_to_wait_for(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    watched = watch_harness.watched(redis_server().port, max_age_floor_s=1e-9)
    await watch_harness.poll(watched)
    assert Lane.SLOW not in watched.state.series.lanes
    assert watched.refresh(0.0, (Lane.SLOW,)) is None


async def test_at_the_end_those_who_wait_for_another_poll_go_on(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    server = redis_server()
    watched = watch_harness.watched(server.port, standard_every=RARELY, max_age_floor_s=1e-9)
    await watch_harness.poll(watched)
    server.pause()
    watched.tick(time.monotonic() + AMPLE_S)
    ended = watched.refresh(0.0, ALL)
    assert ended is not None
    watched.close()
    await asyncio.wait_for(ended, AMPLE_S)
    assert not watched.busy
    server.resume()


async def test_the_server_gets_the_commands_of_the_lane_once(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    server = redis_server()
    watched = watch_harness.watched(server.port, standard_every=RARELY, max_age_floor_s=0.1)
    for _ in range(2):  # the second one compares what the server answers with whole INFO
        await watch_harness.poll(watched)
    await past_the_floor(watched)
    before = server_field(server, "total_commands_processed")
    await asyncio.gather(*(watched.fresh(0.0, time.monotonic() + AMPLE_S, ALL) for _ in range(100)))
    first = server_field(server, "total_commands_processed") - before
    await past_the_floor(watched)
    before = server_field(server, "total_commands_processed")
    await watched.fresh(0.0, time.monotonic() + AMPLE_S, ALL)
    assert server_field(server, "total_commands_processed") - before == first
