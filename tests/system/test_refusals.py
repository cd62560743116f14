"""Servers that refuse: each command is asked once, the log stays quiet, and what is permitted is told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.collectors._registry import REGISTRY
from exporter.polling.watched_target import WatchedTarget
from tests.replay import EVERYTHING
from tests.servers import RedisServer
from tests.watch_harness import SECRET, WatchHarness, server_field

RedisFactory = Callable[..., RedisServer]
#: of the document: INFO, slow log, latency and clients
DOCUMENTED = ("-@all", "+info", "+ping", "+client", "+slowlog", "+latency")
POLLS = 100  # every lane comes round many times


WatchFactory = Callable[..., tuple[WatchHarness, WatchedTarget]]


@pytest.fixture
async def watch_of(tmp_path: Path) -> AsyncIterator[WatchFactory]:
    """A watch with every collector and every option that adds metrics of what this server has."""
    script = tmp_path / "script.lua"
    script.write_text("return {'answer', '42'}")
    made: list[WatchHarness] = []

    def make(server: RedisServer, *argv: str, **target: Any) -> tuple[WatchHarness, WatchedTarget]:
        keys = (
            "--check-single-keys=a,b",
            "--check-keys=a*",
            "--count-keys=*",
            "--check-streams=s*",
            "--check-key-groups=^(.*)$",
        )
        made.append(WatchHarness(REGISTRY, argv=[*EVERYTHING, *keys, f"--script={script}", *argv]))
        return made[-1], made[-1].watched(server.port, **target)

    yield make
    for watch_harness in made:
        await watch_harness.close()


async def poll(watch_harness: WatchHarness, watched: WatchedTarget, times: int) -> None:
    for _ in range(times):
        await watch_harness.poll(watched)
    await watch_harness.poll_until(watched, lambda: not watched.scanner.busy)


def supported(watch_harness: WatchHarness, watched: WatchedTarget) -> dict[str, bool]:
    """Of each collector that ran. The page shows those that are not."""
    found = {name: supports for name, (_, supports) in watched.state.series.collectors.items()}
    shown = {labels[0] for name, labels in watch_harness.series(watched) if name.endswith("_supported")}
    assert shown == {name for name, supports in found.items() if not supports}
    return found


async def assert_quiet(
    watch_harness: WatchHarness, watched: WatchedTarget, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """No more error replies after the first probes, never down, and no word in the log."""
    await poll(watch_harness, watched, 20)
    probed = server_field(server, "total_error_replies")
    await poll(watch_harness, watched, POLLS)
    assert server_field(server, "total_error_replies") == probed
    assert watch_harness.went_well(watched)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_user_who_may_do_all(
    watch_of: WatchFactory, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server()
    server.ask("SET", "a", "1")
    server.ask("XADD", "s", "*", "a", "b")
    watch_harness, watched = watch_of(server)
    await assert_quiet(watch_harness, watched, server, caplog)
    assert server_field(server, "total_error_replies") == 0
    assert set(supported(watch_harness, watched).values()) == {1}
    assert {
        "keys",
        "found_keys",
        "key_scan",
        "key_groups",
        "found_streams",
        "scripts",
        "config",
        "latency_histogram",
    } <= supported(watch_harness, watched).keys()


async def test_a_user_of_the_documents_rule(
    watch_of: WatchFactory, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server("--user", "watcher", "on", f">{SECRET}", *DOCUMENTED)
    watch_harness, watched = watch_of(server, user="watcher", password=SECRET)
    await assert_quiet(watch_harness, watched, server, caplog)
    told = supported(watch_harness, watched)
    assert {name for name, value in told.items() if value} >= {
        "info",
        "stats",
        "slowlog",
        "latency",
        "latency_histogram",
        "clients",
    }
    assert {name for name, value in told.items() if not value} >= {"config", "memory_stats", "scripts"}
    assert watch_harness.value(watched, "redis_slowlog_length") is not None
    assert watch_harness.value(watched, "redis_connected_clients") is not None


async def test_config_under_another_name(
    watch_of: WatchFactory, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server("--rename-command", "CONFIG", "configure")
    watch_harness, watched = watch_of(server, "--config-command=configure")
    await assert_quiet(watch_harness, watched, server, caplog)
    assert server_field(server, "total_error_replies") == 0
    assert watch_harness.value(watched, "redis_config_maxclients") == 10000


async def test_config_that_is_gone(
    watch_of: WatchFactory, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server("--rename-command", "CONFIG", "")
    watch_harness, watched = watch_of(server)
    await assert_quiet(watch_harness, watched, server, caplog)
    assert supported(watch_harness, watched)["config"] == 0
    assert watch_harness.value(watched, "redis_db_keys", "db15") == 0


async def test_a_permission_that_was_granted_later_shows(
    watch_of: WatchFactory, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server("--user", "watcher", "on", f">{SECRET}", *DOCUMENTED)
    watch_harness, watched = watch_of(server, user="watcher", password=SECRET)
    await poll(watch_harness, watched, 10)
    assert supported(watch_harness, watched)["config"] == 0
    server.ask("ACL", "SETUSER", "watcher", "+config|get")
    await poll(watch_harness, watched, 10)
    assert supported(watch_harness, watched)["config"] == 0  # it is not asked again so soon
    monkeypatch.setattr("exporter.polling.refusals.FIRST_REPROBE_S", 0.0)
    await watch_harness.poll_until(watched, lambda: supported(watch_harness, watched)["config"] == 1)
    assert watch_harness.value(watched, "redis_config_maxclients") == 10000
