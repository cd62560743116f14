"""One exporter by a configuration file: each target with its own settings, against real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.run import read_targets
from exporter.errors import ConfigError
from exporter.options.commandline import parse, read_again
from exporter.options.table import Options
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.target import Target
from tests.servers import RedisServer, make_certificates
from tests.store_fixture import samples_of, until
from tests.watch_harness import others

RedisFactory = Callable[..., RedisServer]

HEAD = "options: {web.listen-address: '127.0.0.1:0', poll.interval: 0.2s}\n"


class Running:
    """An exporter by a configuration file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.options = Options()
        self.app = App(read=self._read)

    def _read(self) -> tuple[Options, list[Target]]:
        self.options = read_again(self.options, {})
        return self.options, read_targets(self.options, {})

    def write(self, text: str) -> None:
        self.file.write_text(HEAD + text)

    async def start(self, text: str) -> None:
        self.write(text)
        self.options = parse([f"--config.file={self.file}"], {})
        await self.app.apply(configure(self.options, read_targets(self.options, {})))

    async def reload(self, text: str) -> None:
        self.write(text)
        await self.app.reload()

    def watched(self, alias: str) -> WatchedTarget:
        found = self.app.backend.fleet.find(alias)
        assert found is not None
        return found

    async def ends(self, **ups: bool) -> None:
        """Wait until these targets, by alias, are up or down."""
        await until(lambda: all(self.watched(alias).up is up for alias, up in ups.items()))

    async def ask(self, path: str, status: int = 200) -> str:
        async with aiohttp.ClientSession() as session:
            [address] = self.app.addresses
            async with session.get(f"http://{address}{path}") as response:
                assert response.status == status
                return await response.text()

    async def series(self, alias: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        page = await self.ask(f"/scrape?target={alias}")
        return {(name, tuple(labels)) for name, labels in samples_of(page)}

    async def names(self, alias: str) -> set[str]:
        return {name for name, _ in await self.series(alias)}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    running = Running(tmp_path / "redis_exporter.yml")
    yield running
    await running.app.stop()
    assert others() == set()


async def test_each_target_has_its_own_authorities_and_certificates(
    running: Running, redis_server: RedisFactory, tmp_path: Path
) -> None:
    (tmp_path / "east").mkdir()
    (tmp_path / "west").mkdir()
    east, west = make_certificates(tmp_path / "east"), make_certificates(tmp_path / "west")
    servers = [
        redis_server(
            certificates=each,
        )
        for each in (east, west)
    ]

    def entries(ca: str) -> str:
        return f"""
groups:
  east: {{tls: {{ca: {east.ca}, cert: {east.client}, key: {east.client_key}}}}}
redis_instances:
  - {{name: east, addr: "rediss://localhost:{servers[0].port}", group: east}}
  - {{name: west, addr: "rediss://localhost:{servers[1].port}", tls: {{ca: {ca}}}}}
  - {{name: blind, addr: "rediss://127.0.0.1:{servers[1].port}", tls: {{skip_verify: true}}}}
"""

    await running.start(entries(west.ca))
    await running.ends(east=True, west=True, blind=True)
    connection = running.watched("east")._runner.connection.current
    await running.reload(entries(east.ca))
    await running.ends(east=True, west=False, blind=True)
    assert running.watched("west").health.reason == "tls"
    assert running.watched("east")._runner.connection.current is connection
    with pytest.raises(ConfigError, match=r"west: --tls-ca-cert-file=/none\.pem cannot be read"):
        await running.reload(entries("/none.pem"))
    await running.reload(entries(west.ca))
    await running.ends(east=True, west=True, blind=True)
    assert running.watched("east")._runner.connection.current is connection


async def test_collectors_and_checks_are_those_of_the_target(
    running: Running, redis_server: RedisFactory
) -> None:
    servers = [redis_server() for _ in range(3)]
    for server in servers:
        server.ask("MSET", "one", "1", "two", "2")
    addrs = [f"redis://127.0.0.1:{server.port}" for server in servers]
    await running.start(
        f"""
defaults: {{collectors: {{slowlog: false, memory_stats: true}}}}
redis_instances:
  - {{name: a, addr: "{addrs[0]}", checks: {{single_keys: [one]}}}}
  - {{name: b, addr: "{addrs[1]}", collectors: {{slowlog: true, memory_stats: false}}}}
  - {{name: c, addr: "{addrs[2]}", options: {{check-single-keys: two, ping-on-connect: true}}}}
"""
    )
    await running.ends(a=True, b=True, c=True)
    a, b, c = [await running.names(alias) for alias in "abc"]
    slowlog, memory = "redis_slowlog_length", "redis_memory_stats_bytes_per_key"
    assert ([slowlog in each for each in (a, b, c)], [memory in each for each in (a, b, c)]) == (
        [False, True, False],
        [True, False, True],
    )
    keys = [
        {dict(labels)["key"] for name, labels in await running.series(alias) if name == "redis_key_size"}
        for alias in "abc"
    ]
    assert keys == [{"one"}, set(), {"two"}]
    pinged = "redis_exporter_last_scrape_ping_time_seconds"
    assert [pinged in each for each in (a, b, c)] == [False, False, True]


async def test_a_script_is_one_target_s(running: Running, redis_server: RedisFactory, tmp_path: Path) -> None:
    servers = [redis_server() for _ in range(2)]
    script = tmp_path / "answer.lua"
    script.write_text("return {'answer', '42'}")
    entry = f"- {{name: a, addr: 'redis://127.0.0.1:{servers[0].port}', options: {{script: {script}}}}}"
    await running.start(
        f"redis_instances:\n{entry}\n- {{name: b, addr: 'redis://127.0.0.1:{servers[1].port}'}}\n"
    )
    await running.ends(a=True, b=True)
    found = [any(name == "redis_script_values" for name, _ in await running.series(alias)) for alias in "ab"]
    assert found == [True, False]


async def test_one_that_is_switched_off_is_known_and_not_polled(
    running: Running, redis_server: RedisFactory
) -> None:
    server, off = redis_server(), redis_server()
    text = f"redis_instances:\n- {{name: on, addr: 'redis://127.0.0.1:{server.port}'}}\n"
    entry = f"- {{name: orders, addr: 'redis://127.0.0.1:{off.port}', enabled: %s}}\n"
    off.ask("CONFIG", "RESETSTAT")
    await running.start(text + entry % "false")
    await running.ends(on=True)
    why = "orders is not polled: its configuration says `enabled: false`\n"
    assert await running.ask("/scrape?target=orders", 403) == why
    assert await running.ask(f"/scrape?target=127.0.0.1:{off.port}", 403) == why
    assert str(off.port) not in await running.ask("/metrics")
    assert b"cmdstat_info" not in off.ask("INFO", "commandstats")
    await running.reload(text + entry % "true")
    await running.ends(orders=True)
    await running.ask("/scrape?target=orders")
    await running.reload(text + entry % "false")
    assert str(off.port) not in await running.ask("/metrics")
    await running.ask("/scrape?target=orders", 403)


async def test_a_change_of_dials_reconnects_the_targets_that_it_concerns(
    running: Running, redis_server: RedisFactory
) -> None:
    servers = [redis_server() for _ in range(2)]

    def entries(named: str) -> str:
        return "redis_instances:\n" + "".join(
            f"- {{name: {name}, addr: 'redis://127.0.0.1:{server.port}',"
            f" options: {{set-client-name: {value}}}}}\n"
            for name, server, value in zip("ab", servers, ("true", named), strict=True)
        )

    await running.start(entries("true"))
    await running.ends(a=True, b=True)
    kept = running.watched("a")._runner.connection.current
    await running.reload(entries("false"))
    await until(lambda: b"name=redis_exporter" not in servers[1].ask("CLIENT", "LIST"))
    await asyncio.sleep(0)
    assert running.watched("a")._runner.connection.current is kept
