"""What adopts targets, for one backend: with the configuration in use, and within its limits."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from multidict import MultiDict

from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.run import read_targets
from exporter.errors import NotAllowedError, PageError
from exporter.options.commandline import parse
from exporter.polling.watched_target import WatchedTarget
from exporter.web import query
from tests.servers import RedisServer


class Running:
    """An exporter without an endpoint."""

    def __init__(self) -> None:
        self.app = App(listen=False)

    async def apply(self, *argv: str) -> None:
        options = parse(argv, {})
        before = self.app.configuration if self.app.is_running else None
        await self.app.apply(configure(options, read_targets(options, {}), before))

    async def find(self, text: str, **more: str) -> WatchedTarget | None:
        asked = query.asked(MultiDict({"target": text, **more}))
        return await self.app.backend.adoption.find(asked, time.monotonic() + 10)

    async def page(self, text: str, **more: str) -> str:
        watched = await self.find(text, **more)
        assert watched is not None
        await watched.fresh(None, time.monotonic() + 10)
        page = await self.app.backend.pages.of_target(watched.target.key, plain=True)
        return b"".join(page.plain).decode()

    async def ups(self) -> int:
        """How many targets are on the page of all targets."""
        pages = self.app.backend.pages
        page = await pages.page(at_least=self.app.backend.store.generation)
        return len(re.findall(rb"^redis_up[ {]", b"".join(page.plain), re.M))


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    yield running
    await running.app.stop()


async def test_an_allowed_target_is_polled_with_what_the_request_asks_for(
    running: Running, redis_server: Any
) -> None:
    server: RedisServer = redis_server()
    server.ask("SET", "kiwi", "1")
    await running.apply("--redis.addr=", "--scrape.allow=127.0.0.1")
    text = f"127.0.0.1:{server.port}"
    assert "redis_up 1" in await running.page(text)
    assert "kiwi" not in await running.page(text)
    parameters = {"check-single-keys": "kiwi", "count-keys": "k*"}
    page = await running.page(text, **parameters)
    assert 'redis_key_size{db="db0",key="kiwi"} 1' in page
    assert 'redis_key_count{db="db0",key="k*"} 1' in page
    assert len(running.app.backend.fleet.adopted_targets) == 2


async def test_a_configured_one_with_keys_is_polled_beside_itself(
    running: Running, redis_server: Any
) -> None:
    server: RedisServer = redis_server()
    server.ask("SET", "kiwi", "1")
    text = f"redis://127.0.0.1:{server.port}"
    await running.apply(f"--redis.addr={text}")
    assert 'key="kiwi"' in await running.page(text, **{"check-keys": "k*"})
    assert 'key="kiwi"' not in await running.page(text)
    [variant] = running.app.backend.fleet.adopted_targets.values()
    assert variant.target.key != text


async def test_a_target_outlives_a_change_and_goes_when_it_is_no_longer_allowed(
    running: Running, redis_server: Any
) -> None:
    server: RedisServer = redis_server()
    text = f"127.0.0.1:{server.port}"
    await running.apply("--redis.addr=", "--scrape.allow=127.0.0.1")
    first = await running.find(text)
    await running.apply("--redis.addr=", "--scrape.allow=127.0.0.0/8")
    assert await running.find(text) is first
    await running.apply("--redis.addr=", "--scrape.allow=127.0.0.2")
    assert not running.app.backend.fleet.adopted_targets
    with pytest.raises(NotAllowedError):
        await running.find(text)


async def test_one_that_is_configured_keeps_its_connection(running: Running, redis_server: Any) -> None:
    server: RedisServer = redis_server()
    text = f"127.0.0.1:{server.port}"
    await running.apply("--redis.addr=", "--scrape.allow=127.0.0.1")
    await running.page(text)
    first = await running.find(text)
    made = connections(server)
    await running.apply(f"--redis.addr={text}", "--scrape.allow=127.0.0.1")
    assert await running.find(text) is first
    assert first is not None
    await first.fresh(0.0, time.monotonic() + 10)
    assert first.up
    assert connections(server) == made + 1  # that of the question itself


async def test_credentials_by_name_go_only_where_their_group_allows_it(
    running: Running, redis_server: Any, tmp_path: Path
) -> None:
    server: RedisServer = redis_server("--requirepass", "of-cache")
    text = f"127.0.0.1:{server.port}"
    file = tmp_path / "config.yml"
    file.write_text(
        "groups:\n"
        "  cache: {password: of-cache, allow: 127.0.0.1}\n"
        "  elsewhere: {password: of-cache, allow: 10.0.0.0/8}\n"
    )
    await running.apply("--redis.addr=", f"--config.file={file}", "--scrape.allow=127.0.0.0/8")
    assert "redis_up 1" in await running.page(text, auth="cache")
    assert "redis_up 0" in await running.page(text)
    with pytest.raises(NotAllowedError):
        await running.find(text, auth="elsewhere")
    with pytest.raises(NotAllowedError):
        await running.find(text, auth="unknown")


async def test_the_options_say_when_it_goes(running: Running) -> None:
    await running.apply("--redis.addr=", "--scrape.forget-after=100ms")
    await running.find("127.0.0.1:1")
    began_at, backend = time.monotonic(), running.app.backend
    while backend.fleet.adopted_targets:
        assert time.monotonic() < began_at + 30
        await backend.adoption.follow()
        await asyncio.sleep(0.01)
    assert time.monotonic() > began_at + 0.1


@pytest.mark.parametrize("scheme", ["tcp", "redis", "valkey"])
@pytest.mark.parametrize("labels", ["instance", "never"])
async def test_on_the_page_of_all_targets_each_series_is_there_once(
    running: Running, redis_server: Any, labels: str, scheme: str
) -> None:
    """Of one server asked for by two addresses, and configured later: by one of them, or by a third one."""
    server: RedisServer = redis_server()
    place = f"127.0.0.1:{server.port}"
    flags = ("--scrape.allow=127.0.0.1", "--scrape.on-page", f"--target-labels={labels}")
    await running.apply("--redis.addr=", *flags)
    for asked in ("redis", "valkey"):
        assert "redis_up 1" in await running.page(f"{asked}://{place}")
    assert await running.ups() == 1
    await running.apply(f"--redis.addr={scheme}://{place}", *flags)
    assert len(running.app.backend.fleet.adopted_targets) == (2 if scheme == "tcp" else 1)
    [configured] = running.app.backend.fleet.watched_targets.values()
    await configured.fresh(0.0, time.monotonic() + 10)
    assert await running.ups() == 1
    assert "redis_up 1" in await running.page(f"redis://{place}")


async def test_the_options_say_how_many_there_may_be(running: Running) -> None:
    await running.apply("--redis.addr=", "--scrape.max-targets=1")
    await running.find("127.0.0.1:1")
    with pytest.raises(PageError, match=r"--scrape\.max-targets"):
        await running.find("127.0.0.1:2")
    assert running.app.backend.adoption.refused == 1
    own = running.app.backend.own_series.render().decode()
    assert "redis_exporter_adopted_targets 1.0" in own
    assert "redis_exporter_adoptions_refused_total 1.0" in own


def connections(server: RedisServer) -> int:
    """How many it has accepted."""
    return int(re.findall(r"total_connections_received:(\d+)", str(server.ask("INFO", "stats")))[0])
