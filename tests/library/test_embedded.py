"""An exporter inside an asyncio program."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter import Exporter
from exporter.app.build import Configuration, configure
from exporter.errors import ConfigError, UsageError
from exporter.library import embedded
from exporter.options.table import Options
from exporter.targets.target import Target
from tests.servers import RedisServer

RedisFactory = Callable[..., RedisServer]
#: by both loops: a program may have either
pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


def options(*ports: int) -> dict[str, str | list[str]]:
    return {
        "redis.addr": [f"redis://127.0.0.1:{port}" for port in ports],
        # nobody else takes this port when it is free again
        "web.listen-address": f"127.0.0.1:{free_port()}",
        # no target is down, and no page has more than the one before, however long a busy machine takes
        "poll.interval": "1m",
    }


def families(page: str) -> set[str]:
    return {line.split(" ")[2] for line in page.splitlines() if line.startswith("# TYPE ")}


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as response:
        return str(response.read().decode())


async def test_its_port_and_its_page_show_the_same(redis_server: RedisFactory) -> None:
    port = redis_server().port
    async with Exporter(options(port)) as exporter:
        page = await exporter.page()
        scraped = await asyncio.to_thread(fetch, f"http://127.0.0.1:{exporter.port}/metrics")
    assert f'redis_up{{addr="redis://127.0.0.1:{port}"}} 1' in page.splitlines()
    assert families(page) == families(scraped)


async def test_after_the_stop_nothing_is_left(redis_server: RedisFactory) -> None:
    server = redis_server()
    exporter = Exporter(options(server.port))
    assert (exporter.port, await exporter.page()) == (0, "")
    before = asyncio.all_tasks()
    await exporter.start()
    port = exporter.port
    await exporter.start()  # it runs already
    assert exporter.port == port
    await exporter.page()
    await exporter.stop()
    await exporter.stop()
    assert (exporter.port, await exporter.page()) == (0, "")
    assert asyncio.all_tasks() <= before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_it_can_start_again(redis_server: RedisFactory) -> None:
    exporter = Exporter(options(redis_server().port))
    for _ in range(2):
        async with exporter:
            assert "redis_up" in await exporter.page()


async def test_starts_at_once_make_one(redis_server: RedisFactory) -> None:
    exporter = Exporter(options(redis_server().port))
    before = asyncio.all_tasks()
    await asyncio.gather(exporter.start(), exporter.start())
    port = exporter.port
    await asyncio.gather(exporter.stop(), exporter.stop())
    assert asyncio.all_tasks() <= before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_stop_during_the_start_comes_after_it(redis_server: RedisFactory) -> None:
    exporter = Exporter(options(redis_server().port))
    before = asyncio.all_tasks()
    starting = asyncio.create_task(exporter.start())
    await asyncio.sleep(0)  # it has begun
    await exporter.stop()
    assert starting.done()
    await starting
    assert (exporter.port, await exporter.page()) == (0, "")
    assert asyncio.all_tasks() - {starting} <= before


@pytest.mark.parametrize("then", ["stop", "start"])
async def test_after_a_cancelled_stop_it_can_stop_and_start(redis_server: RedisFactory, then: str) -> None:
    exporter = Exporter(options(redis_server().port))
    before = asyncio.all_tasks()
    await exporter.start()
    port = exporter.port
    stopping = asyncio.create_task(exporter.stop())
    await asyncio.sleep(0)  # it has begun
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    if then == "start":
        await exporter.start()
        assert "redis_up" in await exporter.page()
    await exporter.stop()
    assert asyncio.all_tasks() <= before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_start_reads_files_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def note(given: Options, targets: Sequence[Target]) -> Configuration:
        threads.append(threading.current_thread())
        return configure(given, targets)

    monkeypatch.setattr(embedded, "configure", note)
    async with Exporter(options(free_port()), listen=False):
        assert len(threads) == 1
        assert threads[0] is not threading.current_thread()


async def test_without_http_there_is_the_page(redis_server: RedisFactory) -> None:
    port = redis_server().port
    async with Exporter(options(port), listen=False) as exporter:
        assert exporter.port == 0
        page = await exporter.page(own_series=False)
        assert f'redis_up{{addr="redis://127.0.0.1:{port}"}} 1' in page.splitlines()
        assert "redis_exporter_build_info" not in families(page)
        assert "redis_exporter_build_info" in families(await exporter.page())


async def test_the_environment_sets_no_option_but_passwords_of_the_file(
    redis_server: RedisFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_PASSWORD", "pw")
    monkeypatch.setenv("REDIS_ADDR", "redis://h:0")
    port = redis_server("--requirepass", "pw").port
    file = tmp_path / "instances.yml"
    file.write_text(f"redis_instances: [{{addr: '127.0.0.1:{port}', password: '${{CACHE_PASSWORD}}'}}]\n")
    async with Exporter({"redis-file": str(file)}, listen=False) as exporter:
        assert f'redis_up{{addr="redis://127.0.0.1:{port}"}} 1' in (await exporter.page()).splitlines()


async def test_two_run_side_by_side(redis_server: RedisFactory) -> None:
    ports = [redis_server().port, redis_server().port]
    async with Exporter(options(ports[0])) as one, Exporter(options(ports[1])) as other:
        assert one.port != other.port
        assert str(ports[0]) in await one.page()
        assert str(ports[0]) not in await other.page()


async def test_a_target_that_is_down_is_on_the_page() -> None:
    async with Exporter(options(free_port()), listen=False) as exporter:
        assert 'err="refused"' in await exporter.page()


async def test_mistakes_say_what_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"unknown flag --poll\.intervall"):
        Exporter({"poll.intervall": "1s"})
    with pytest.raises(ConfigError, match="port"):
        Exporter({"redis.addr": "redis://h:0"})
    async with Exporter({"redis.addr": "", "web.listen-address": "127.0.0.1:0"}) as exporter:
        taken = Exporter({"redis.addr": "", "web.listen-address": f"127.0.0.1:{exporter.port}"})
        before = asyncio.all_tasks()
        with pytest.raises(ConfigError, match="another program uses this address"):
            await taken.start()
        assert asyncio.all_tasks() <= before
        assert taken.port == 0
