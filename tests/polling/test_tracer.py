"""Traced polls of real servers, of some that end or hang, and of one that refuses."""

from __future__ import annotations

import asyncio

import pytest

from bench.ports import free_port
from exporter.collectors._registry import REGISTRY
from exporter.connection.limiter import Limiter, wait_at
from exporter.metrics.lane import Lane
from exporter.polling import tracer
from exporter.polling.assignment import Services
from exporter.polling.poll_trace import PollTrace
from exporter.polling.tracer import ALONE_MAX, LANES, default_lanes, trace_poll
from exporter.polling.watched_target import WatchedTarget
from tests.servers import RedisServer, answers
from tests.store_fixture import until
from tests.watch_harness import (
    SCANT_S,
    SECRET,
    RedisFactory,
    ScriptFactory,
    WatchHarness,
    WatchHarnessFactory,
    connections,
)


async def trace(
    harness: WatchHarness, watched: WatchedTarget, *lanes: Lane, limiter: Limiter | None = None
) -> PollTrace:
    limiter = limiter or harness.limiter
    services = Services(harness.dialer, harness.store, limiter, limiter)
    return await trace_poll(watched.state, services, lanes or LANES)


async def test_a_traced_poll_shows_each_step(watch_harness: WatchHarness, redis_server: RedisFactory) -> None:
    server = redis_server()
    watched = watch_harness.watched(server.port)
    shown = await trace(watch_harness, watched)
    assert (shown.reason, shown.error_text) == ("", "")
    assert list(shown.steps_s) == ["dns", "connect", "auth"]
    assert shown.peer == "127.0.0.1"
    [named] = shown.handshake
    assert (named.text, named.reply, named.failed) == ("CLIENT SETNAME redis_exporter", "OK", False)
    info = next(each for each in shown.commands if each.text.startswith("INFO"))
    assert info.sent > 10
    assert info.received is not None
    assert info.received > 1000
    assert info.reply.startswith("text of ")
    assert 0.0 < info.took_s <= shown.duration_s
    assert shown.lanes == ("fast", "standard")  # the lanes that there are
    await until(lambda: connections(server) == 0)


async def test_the_polls_of_the_target_do_not_notice_it(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    server = redis_server()
    watched = watch_harness.watched(server.port)
    await watch_harness.poll(watched)
    before = (watched.facts, watched.health.status(), watched.state.memory.repeats)
    sent = watched.state.memory.traffic.sent
    await trace(watch_harness, watched)
    assert before == (watched.facts, watched.health.status(), watched.state.memory.repeats)
    assert len(watch_harness.ends(watched)) == 1
    await until(lambda: connections(server) == 1)  # that of its polls
    assert watched.state.memory.traffic.sent > sent  # what it costs the server is counted


async def test_nobody_listens(watch_harness: WatchHarness) -> None:
    watched = watch_harness.watched(free_port())
    shown = await trace(watch_harness, watched)
    assert (shown.reason, shown.commands, shown.handshake) == ("refused", (), ())
    assert list(shown.steps_s) == ["dns", "connect"]
    assert "127.0.0.1" in shown.error_text


async def test_a_server_that_is_silent_shows_where_it_stopped(
    watch_harness: WatchHarness, scripted_server: ScriptFactory
) -> None:
    server = scripted_server(answers(b"+OK\r\n"))
    for number, deadline_s in enumerate((SCANT_S, 10 * SCANT_S, 100 * SCANT_S)):
        watched = watch_harness.watched(server.port, name=f"redis://h:{number}", deadline_s=deadline_s)
        shown = await trace(watch_harness, watched)
        if shown.handshake:  # a busy machine may take longer for it
            break
    assert shown.reason == "timeout"
    assert len(shown.handshake) == 1
    assert [each.reply for each in shown.commands] == ["no reply"]
    assert shown.commands[0].failed
    assert shown.duration_s > deadline_s * 0.9


async def test_a_server_that_dies_in_the_middle(
    watch_harness: WatchHarness, redis_server: RedisFactory, scripted_server: ScriptFactory
) -> None:
    ending = scripted_server(lambda talk: [talk.command(), talk.send(b"+OK\r\n"), talk.command()])
    shown = await trace(watch_harness, watch_harness.watched(ending.port))
    assert shown.reason == "reset"
    assert shown.commands[-1].reply == "no reply"


async def test_a_wrong_password_is_not_shown(watch_harness: WatchHarness, redis_server: RedisFactory) -> None:
    server = redis_server("--requirepass", "another")
    watched = watch_harness.watched(server.port, password=SECRET)
    shown = await trace(watch_harness, watched)
    assert shown.reason == "auth"
    assert [each.text for each in shown.handshake] == ["AUTH ***", "CLIENT SETNAME redis_exporter"]
    assert [each.reply for each in shown.handshake] == ["an error", "an error"]
    assert SECRET not in repr(shown)


def limited(server: RedisServer) -> None:
    """Make a user who may not see much."""
    server.ask("ACL", "SETUSER", "few", "on", f">{SECRET}", "~*", "+info", "+client|setname")


async def test_what_was_refused_is_not_sent_again(
    make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
) -> None:
    server, harness = redis_server(), make_watch_harness()
    limited(server)
    watched = harness.watched(server.port, user="few", password=SECRET)
    first = await trace(harness, watched)
    assert any(each.failed and "NOPERM" in each.reply for each in first.commands)
    assert first.left_out == {}
    await harness.poll(watched)
    second = await trace(harness, watched)
    assert all("NOPERM" in text for text in second.left_out.values())
    assert second.left_out
    assert not any(each.failed for each in second.commands)
    assert SECRET not in repr((first, second))


async def test_where_there_is_no_room_it_says_so(
    watch_harness: WatchHarness, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "WAIT_S", SCANT_S)
    limiter = Limiter(1)
    entry = await wait_at(limiter)
    shown = await trace(watch_harness, watch_harness.watched(redis_server().port), limiter=limiter)
    entry.leave()
    assert shown.reason == "timeout"
    assert "had no room" in shown.error_text
    assert limiter.waiting == 0
    assert watch_harness.dialer.limiter.inside == 0


async def test_given_up_it_leaves_nothing_open(
    watch_harness: WatchHarness, scripted_server: ScriptFactory
) -> None:
    server = scripted_server(answers(b"+OK\r\n"))
    running = asyncio.ensure_future(trace(watch_harness, watch_harness.watched(server.port)))
    await until(lambda: server.accepted)
    running.cancel()
    assert [type(each) for each in await asyncio.gather(running, return_exceptions=True)] == [
        asyncio.CancelledError
    ]
    await until(lambda: server.finished == 1)
    assert watch_harness.limiter.inside == watch_harness.dialer.limiter.inside == 0


async def test_very_many_commands_go_out_together(
    make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ALONE_MAX >= 100
    monkeypatch.setattr(tracer, "ALONE_MAX", 1)
    harness = make_watch_harness(REGISTRY)
    shown = await trace(harness, harness.watched(redis_server().port))
    assert not shown.error_text
    more, *_ = [each for each in shown.commands if each.commands > 1]
    assert "more" in more.text
    assert more.reply.startswith(f"{more.commands} replies")


async def test_by_default_it_polls_what_is_due_and_little_of_a_server_that_struggles(
    watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    watched = watch_harness.watched(redis_server().port)
    assert default_lanes(watched.state) == (Lane.FAST, Lane.STANDARD)
    await watch_harness.poll(watched)
    assert default_lanes(watched.state) == (Lane.FAST,)
    watched.state.clock.make_all_due()
    watched.state.series.strain = "slow"
    assert default_lanes(watched.state) == (Lane.FAST,)
