"""Sub-commands that take the program's options: check and once; and how commands are told from flags."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.app import build as build_module
from exporter.cli import COMMANDS, main
from exporter.collectors._contract import Batches, Collector, Out
from exporter.commands.once import poll_once
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts
from exporter.targets.address import parse_address
from tests.servers import RedisServer, ScriptedServer, free_port

RedisFactory = Callable[..., RedisServer]
ScriptedFactory = Callable[..., ScriptedServer]
SECRET = "s3cret-of-mine"
FOUND = gauge("found", "What was found.")
TOLD = gauge("told", "What was found, as told.")


class Finder(Collector):
    name, help, lane, families, memory_name = "finder", "Finds.", Lane.SCAN, (FOUND,), "found"

    def new_memory(self) -> Any:
        return []

    def collect(self, facts: Facts | None, options: Any, out: Out) -> Batches:
        [reply] = yield [Command.of("SCAN", "0")]
        out.memory.extend(reply[1])


class Teller(Finder):
    name, lane, families = "teller", Lane.STANDARD, (TOLD,)

    def collect(self, facts: Facts | None, options: Any, out: Out) -> Batches:
        yield [Command.of("PING")]
        out.add(TOLD, len(out.memory))


class TestCheck:
    def test_names_each_target_and_ends_well(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "instances.yml"
        file.write_text(
            f"redis_instances: [{{name: main, addr: 'redis://h', password: {SECRET}}}, {{addr: "
            f"'rediss://other:7/2'}}]"
        )
        assert main(["check", f"--redis-file={file}"], {}) == 0
        assert capsys.readouterr().out == "redis://h:6379  main\nrediss://other:7/2\nok: 2 targets\n"

    def test_a_name_stays_on_its_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "instances.yml"
        file.write_text('redis_instances: [{name: "ma\\nin", addr: "redis://h"}]')
        assert main(["check", f"--redis-file={file}"], {}) == 0
        assert capsys.readouterr().out == "redis://h:6379  ma\\nin\nok: 1 target\n"

    def test_connects_to_nobody(self, scripted_server: ScriptedFactory) -> None:
        server = scripted_server(lambda talk: None)
        assert main(["check", f"--redis.addr=redis://127.0.0.1:{server.port}"], {}) == 0
        assert server.accepted == 0

    @pytest.mark.parametrize(
        ("argv", "code", "words"),
        [
            (["--redis.addr=gopher://h"], 1, "no scheme"),
            (["--redis-file=/no/such/file"], 1, "cannot be read"),
            (
                ["--redis.addr=rediss://h", "--tls-ca-cert-file=/no/such/file"],
                1,
                "/no/such/file cannot be read",
            ),
            (["--check-keys=a=b=c"], 2, "write one between"),
            (["--check-search-indexes=("], 2, "no regular expression"),
            (["--connection-timeout=5"], 2, "write 5s"),
            (["--no-such-flag"], 2, "unknown flag"),
            (["--poll.interval=100000000000000h"], 2, "the most is 87600h"),
            (
                ["--target-labels=never", "--redis.addr=h,redis://g"],
                1,
                "write --target-labels=auto or always",
            ),
        ],
    )
    def test_says_what_a_start_would_say(
        self, argv: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["check", *argv], {}) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert words in err


class TestOnce:
    def test_prints_the_page_of_one_poll(
        self, redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]
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
        self, redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        addresses = f"redis://127.0.0.1:{redis_server().port},redis://127.0.0.1:{free_port()}"
        assert main(["once", f"--redis.addr={addresses}", "--log-level=ERROR"], {}) == 1
        page = capfdbinary.readouterr().out
        assert page.count(b"\nredis_up{") == 2

    def test_a_target_that_does_not_answer_is_down_at_its_deadline(
        self, redis_server: RedisFactory, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
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

    def test_asks_once(self, redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        server = redis_server()
        assert (
            main(["once", f"--redis.addr=redis://127.0.0.1:{server.port}", "--poll.interval=100ms"], {}) == 0
        )
        page = capfdbinary.readouterr().out.decode()
        polls = re.findall(r'redis_exporter_target_polls_total{.*lane="fast"} (.*)', page)
        assert polls == ["1"]

    def test_without_targets_nothing_is_down(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        assert main(["once"], {"REDIS_ADDR": ""}) == 0
        assert b"redis_exporter_build_info" in capfdbinary.readouterr().out

    def test_what_a_scan_finds_is_on_the_page(
        self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A collector of the scan lane tells one of the standard lane what it found."""
        monkeypatch.setattr(build_module, "REGISTRY", (*build_module.REGISTRY, Finder(), Teller()))
        server = redis_server()
        server.ask("SET", "one", "1")
        target = parse_address(f"redis://127.0.0.1:{server.port}")
        page, all_up = asyncio.run(poll_once(parse([], {}), [target]))
        assert all_up
        assert f'redis_told{{addr="{target.addr}"}} 1\n'.encode() in page

    def test_logs_go_elsewhere_than_the_page(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        assert main(["once", f"--redis.addr=redis://127.0.0.1:{free_port()}"], {}) == 1
        out, err = capfdbinary.readouterr()
        assert b" down: " in err
        assert b"down:" not in out


class TestCommandLine:
    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("chekc", "unknown command chekc: did you mean check?"),
            ("start", f"unknown command start: write one of {', '.join(COMMANDS)}, or flags only"),
            (f"redis://:{SECRET}@h", "argument 1 is neither a command nor a flag: flags begin with -"),
            ("", "argument 1 is neither a command nor a flag: flags begin with -"),
        ],
    )
    def test_an_unknown_command(self, word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([word, "--no-such-flag"], {}) == 2
        assert capsys.readouterr() == ("", f"redis_exporter: {message}\n")

    @pytest.mark.parametrize("command", ["docs metrics", "once", "--help"])
    def test_a_reader_who_goes_away_is_no_mistake(self, command: str) -> None:
        line = f"{sys.executable} -m exporter {command} | head -c 1"
        environ = {**os.environ, "REDIS_ADDR": "", "REDPOLL_ENGINE": "python"}
        outcome = subprocess.run(["bash", "-c", line], env=environ, capture_output=True, check=True)
        assert (len(outcome.stdout), outcome.stderr) == (1, b"")

    @pytest.mark.parametrize("argv", [["docs"], ["docs", "all"]])
    def test_docs_of_nothing(self, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(argv, {}) == 2
        assert capsys.readouterr().err == "redis_exporter: write redis_exporter docs metrics or options\n"

    def test_help_is_that_of_the_program(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", "--help"], {}) == 0
        out = capsys.readouterr().out
        assert all(f"  {name}" in out for name in COMMANDS)
