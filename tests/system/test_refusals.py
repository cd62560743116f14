"""Servers that refuse: each command is asked once, the log stays quiet, and what is permitted is told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from exporter.collectors._registry import REGISTRY
from exporter.polling.watched_target import Watch
from tests.lookout import SECRET, Lookout, server_field
from tests.replay import EVERYTHING
from tests.servers import RedisServer

RedisFactory = Callable[..., RedisServer]
#: of the document: INFO, slow log, latency and clients
DOCUMENTED = ("-@all", "+info", "+ping", "+client", "+slowlog", "+latency")
POLLS = 100  # every lane comes round many times


@pytest.fixture
async def watch_of(tmp_path: Path) -> AsyncIterator[Callable[..., tuple[Lookout, Watch]]]:
    """A watch with every collector and every option that adds metrics of what this server has."""
    script = tmp_path / "script.lua"
    script.write_text("return {'answer', '42'}")
    made: list[Lookout] = []

    def make(server: RedisServer, *argv: str, **target: str) -> tuple[Lookout, Watch]:
        keys = (
            "--check-single-keys=a,b",
            "--check-keys=a*",
            "--count-keys=*",
            "--check-streams=s*",
            "--check-key-groups=^(.*)$",
        )
        made.append(Lookout(REGISTRY, argv=[*EVERYTHING, *keys, f"--script={script}", *argv]))
        return made[-1], made[-1].watch(server.port, **target)

    yield make
    for lookout in made:
        await lookout.close()


async def poll(lookout: Lookout, watch: Watch, times: int) -> None:
    for _ in range(times):
        await lookout.poll(watch)
    await lookout.poll_until(watch, lambda: not watch.scanning)


def supported(lookout: Lookout, watch: Watch) -> dict[str, float]:
    return {
        labels[0]: value
        for (name, labels), value in lookout.series(watch).items()
        if name == "redis_exporter_collector_supported"
    }


async def assert_quiet(
    lookout: Lookout, watch: Watch, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """No more error replies after the first probes, never down, and no word in the log."""
    await poll(lookout, watch, 20)
    probed = server_field(server, "total_error_replies")
    await poll(lookout, watch, POLLS)
    assert server_field(server, "total_error_replies") == probed
    assert lookout.went_well(watch)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_user_who_may_do_all(
    watch_of, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server()
    server.ask("SET", "a", "1")
    server.ask("XADD", "s", "*", "a", "b")
    lookout, watch = watch_of(server)
    await assert_quiet(lookout, watch, server, caplog)
    assert server_field(server, "total_error_replies") == 0
    assert set(supported(lookout, watch).values()) == {1}
    assert {
        "keys",
        "found_keys",
        "key_scan",
        "key_groups",
        "found_streams",
        "scripts",
        "config",
        "latency_histogram",
    } <= supported(lookout, watch).keys()


async def test_a_user_of_the_documents_rule(
    watch_of, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server("--user", "watcher", "on", f">{SECRET}", *DOCUMENTED)
    lookout, watch = watch_of(server, user="watcher", password=SECRET)
    await assert_quiet(lookout, watch, server, caplog)
    told = supported(lookout, watch)
    assert {name for name, value in told.items() if value} >= {
        "info",
        "stats",
        "slowlog",
        "latency",
        "latency_histogram",
        "clients",
    }
    assert {name for name, value in told.items() if not value} >= {"config", "memory_stats", "scripts"}
    assert lookout.value(watch, "redis_slowlog_length") == 0
    assert lookout.value(watch, "redis_connected_clients") is not None


async def test_config_under_another_name(
    watch_of, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server("--rename-command", "CONFIG", "configure")
    lookout, watch = watch_of(server, "--config-command=configure")
    await assert_quiet(lookout, watch, server, caplog)
    assert server_field(server, "total_error_replies") == 0
    assert lookout.value(watch, "redis_config_maxclients") == 10000


async def test_config_that_is_gone(
    watch_of, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server("--rename-command", "CONFIG", "")
    lookout, watch = watch_of(server)
    await assert_quiet(lookout, watch, server, caplog)
    assert supported(lookout, watch)["config"] == 0
    assert lookout.value(watch, "redis_db_keys", "db15") == 0


async def test_a_permission_that_was_granted_later_shows(
    watch_of, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server("--user", "watcher", "on", f">{SECRET}", *DOCUMENTED)
    lookout, watch = watch_of(server, user="watcher", password=SECRET)
    await poll(lookout, watch, 10)
    assert supported(lookout, watch)["config"] == 0
    server.ask("ACL", "SETUSER", "watcher", "+config|get")
    await poll(lookout, watch, 10)
    assert supported(lookout, watch)["config"] == 0  # it is not asked again so soon
    monkeypatch.setattr("exporter.polling.memory.REPROBE_S", 0.0)
    await lookout.poll_until(watch, lambda: supported(lookout, watch)["config"] == 1)
    assert lookout.value(watch, "redis_config_maxclients") == 10000
