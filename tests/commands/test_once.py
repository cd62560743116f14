"""`once`: the page of one poll of each target."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.ports import free_port
from exporter import logs
from exporter.app import build as build_module
from exporter.cli import main
from exporter.collectors._contract import Batches, Collector, OutWithMemory
from exporter.collectors._registry import REGISTRY
from exporter.commands.once import poll_once
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts
from exporter.targets.address import parse_address
from tests.servers import RedisServer

RedisFactory = Callable[..., RedisServer]
FOUND = gauge("found", "What was found.")
TOLD = gauge("told", "What was found, as told.")


class Finder(Collector[list[bytes]]):
    name, help, lane, families, memory_name = "finder", "Finds.", Lane.SCAN, (FOUND,), "found"

    def new_memory(self) -> list[bytes]:
        return []

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[list[bytes]]) -> Batches:
        [reply] = yield [Command.of("SCAN", "0")]
        out.memory.extend(reply[1])


class Teller(Finder):
    name, lane, families = "teller", Lane.STANDARD, (TOLD,)

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[list[bytes]]) -> Batches:
        yield [Command.of("PING")]
        out.add(TOLD, len(out.memory))


def test_prints_the_page_of_one_poll(
    redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["once", f"--redis.addr=redis://127.0.0.1:{redis_server().port}"], {}) == 0
    families = {
        family.name: family
        for family in text_string_to_metric_families(capfdbinary.readouterr().out.decode())
    }
    assert [sample.value for sample in families["redis_up"].samples] == [1]
    assert {
        "redis_commands",
        "redis_exporter_build_info",
        "redis_exporter_snapshot_age_seconds",
    } <= families.keys()


def test_ends_with_one_if_a_target_is_down(
    redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    addresses = f"redis://127.0.0.1:{redis_server().port},redis://127.0.0.1:{free_port()}"
    assert main(["once", f"--redis.addr={addresses}", "--log-level=ERROR"], {}) == 1
    page = capfdbinary.readouterr().out
    assert page.count(b"\nredis_up{") == 2


def test_a_target_that_does_not_answer_is_down_at_its_deadline(
    redis_server: RedisFactory, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The deadline is the target's own: longer than that of a flag, if its interval is."""
    server = redis_server()
    file = tmp_path / "instances.yml"
    file.write_text(f"redis_instances: [{{addr: 'redis://127.0.0.1:{server.port}', interval: 2s}}]")
    server.pause()
    began_at = time.monotonic()
    try:
        assert (
            main(
                ["once", f"--redis-file={file}", "--poll.interval=100ms", "--log-level=ERROR"],
                {"REDIS_ADDR": ""},
            )
            == 1
        )
    finally:
        server.resume()
    assert 2 <= time.monotonic() - began_at < 20
    page = capfdbinary.readouterr().out.decode()
    assert re.findall(r"redis_exporter_target_down{.*}", page) == [
        f'redis_exporter_target_down{{addr="redis://127.0.0.1:{server.port}",reason="timeout"}}'
    ]


def test_asks_once(redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    server = redis_server()
    assert main(["once", f"--redis.addr=redis://127.0.0.1:{server.port}", "--poll.interval=100ms"], {}) == 0
    page = capfdbinary.readouterr().out.decode()
    polls = re.findall(r'redis_exporter_target_polls_total{.*lane="fast"} (.*)', page)
    assert polls == ["1"]


def test_without_targets_nothing_is_down(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["once"], {"REDIS_ADDR": ""}) == 0
    assert b"redis_exporter_build_info" in capfdbinary.readouterr().out


def test_what_a_scan_finds_is_on_the_page(
    redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector of the scan lane tells one of the standard lane what it found."""
    monkeypatch.setattr(build_module, "REGISTRY", (*REGISTRY, Finder(), Teller()))
    server = redis_server()
    server.ask("SET", "one", "1")
    target = parse_address(f"redis://127.0.0.1:{server.port}")
    page, all_up = asyncio.run(poll_once(parse([], {}), [target]))
    assert all_up
    assert f'redis_told{{addr="{target.addr}"}} 1\n'.encode() in page


def test_logs_go_elsewhere_than_the_page(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["once", f"--redis.addr=redis://127.0.0.1:{free_port()}"], {}) == 1
    assert logs.flush(10)
    out, err = capfdbinary.readouterr()
    assert b'msg="the target is down"' in err
    assert b"msg=" not in out
