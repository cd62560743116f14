"""The command: what it prints, and what it ends with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter import engine, logs
from exporter.app import run as run_module
from exporter.build_facts import version_text
from exporter.cli import main
from exporter.errors import ConfigError, DnsError, RedpollError, UsageError
from exporter.options.commandline import help_text, parse, print_config
from exporter.options.commands import COMMANDS
from exporter.options.table import Options

ROOT = Path(__file__).parent.parent
SECRET = "s3cret-of-mine"


class Runs:
    """Takes the place of the program's run: notes what it was given, and ends as it is told to."""

    def __init__(self) -> None:
        self.given: list[tuple[Options, Mapping[str, str]]] = []
        self.logging: list[tuple[str, str]] = []
        self.ends_with: int | RedpollError = 0

    def run(self, options: Options, environ: Mapping[str, str]) -> int:
        self.given.append((options, environ))
        if isinstance(self.ends_with, int):
            return self.ends_with
        raise self.ends_with


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr(run_module, "run", runs.run)
    monkeypatch.setattr(logs, "set_up", lambda level, form: runs.logging.append((level, form)))
    return runs


class TestTelling:
    """What is printed on stdout, with exit code 0 and nothing run."""

    @pytest.mark.parametrize("flag", ["--help", "-help", "-h"])
    def test_help(self, runs: Runs, capsys: pytest.CaptureFixture[str], flag: str) -> None:
        assert main([flag], {}) == 0
        assert capsys.readouterr() == (help_text({name: row.help for name, row in COMMANDS.items()}), "")
        assert runs.given == []
        assert runs.logging == []

    @pytest.mark.parametrize("flag", ["--version", "-version"])
    def test_version(self, runs: Runs, capsys: pytest.CaptureFixture[str], flag: str) -> None:
        assert main([flag], {}) == 0
        assert capsys.readouterr() == (f"{version_text(engine.ENGINE)}\n", "")
        assert runs.given == []

    def test_configuration_without_secrets(self, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
        argv, environ = (
            ["--print-config", f"--redis.addr=redis://:{SECRET}@h"],
            {"REDIS_PASSWORD": SECRET, "REDIS_EXPORTER_DEBUG": "1"},
        )
        assert main(argv, environ) == 0
        out, err = capsys.readouterr()
        assert (out, err) == (print_config(parse(argv, environ)), "")
        assert SECRET not in out
        assert runs.given == []


class TestRunning:
    @pytest.mark.parametrize("code", [0, 1])
    def test_it_ends_as_the_run_does(self, runs: Runs, code: int) -> None:
        runs.ends_with = code
        environ = {"REDIS_ADDR": "redis://kiwi:1"}
        assert main(["--namespace=kv"], environ) == code
        [(options, given)] = runs.given
        assert (options.metrics.namespace, options.redis.addr) == ("kv", ("redis://kiwi:1",))
        assert given is environ

    def test_flags_and_environment_are_the_processs_own(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["redis_exporter", "--namespace=kv"])
        assert main() == 0
        [(options, environ)] = runs.given
        assert options.metrics.namespace == "kv"
        assert environ is os.environ

    @pytest.mark.parametrize(
        ("argv", "level", "form"),
        [
            ([], "INFO", "txt"),
            (["--log-level=error", "--log-format=json"], "ERROR", "json"),
            (["--log-level=error", "--debug"], "DEBUG", "txt"),
            (["--log-level=error", "--verbose"], "VERBOSE", "txt"),
            (["--debug", "--verbose"], "VERBOSE", "txt"),
        ],
    )
    def test_logs_are_set_up_first(self, runs: Runs, argv: list[str], level: str, form: str) -> None:
        main(argv, {})
        assert runs.logging == [(level, form)]

    @pytest.mark.parametrize(
        ("argv", "lines"),
        [
            ([], []),
            (
                ["--log-level=loud"],
                ["--log-level=loud is not one of DEBUG, INFO, WARN, WARNING, ERROR: INFO is used"],
            ),
            (["--log-level=Warning", "--log-format=json"], []),
            (["--log-format=JSON"], ["--log-format=JSON is not one of txt, json: txt is used"]),
        ],
    )
    def test_a_level_or_a_format_that_is_none_is_told_once(
        self, runs: Runs, caplog: pytest.LogCaptureFixture, argv: list[str], lines: list[str]
    ) -> None:
        assert main(argv, {}) == 0
        assert caplog.messages == lines


class TestMistakes:
    """Told on stderr, a line each, and never as a traceback."""

    def test_of_the_command_line(self, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
        argv = ["--no-such-flag", "--poll.interval=soon"]
        assert main(argv, {}) == UsageError.exit_code == 2
        out, err = capsys.readouterr()
        with pytest.raises(UsageError) as caught:
            parse(argv, {})
        assert out == ""
        assert err.splitlines() == [f"redis_exporter: {line}" for line in str(caught.value).splitlines()]
        assert len(err.splitlines()) == 2
        assert runs.given == []

    def test_of_values_that_do_not_go_together(self, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--tls-client-key-file=/key"], {}) == ConfigError.exit_code == 1
        assert capsys.readouterr().err.startswith("redis_exporter: ")
        assert runs.given == []

    @pytest.mark.parametrize(
        "error", [ConfigError("the first", "the second"), UsageError("how?"), DnsError("who?")]
    )
    def test_of_a_run(self, runs: Runs, capsys: pytest.CaptureFixture[str], error: RedpollError) -> None:
        runs.ends_with = error
        assert main([], {}) == error.exit_code
        assert capsys.readouterr() == (
            "",
            "".join(f"redis_exporter: {line}\n" for line in str(error).splitlines()),
        )


class TestProcess:
    """As a program."""

    @staticmethod
    def start(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "exporter", *argv],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "REDPOLL_ENGINE": "python", **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_the_module_is_the_command(self) -> None:
        outcome = self.start("--version")
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, f"{version_text('python')}\n", "")

    def test_targets_that_are_wrong_end_it(self) -> None:
        outcome = self.start("--redis.addr", f"gopher://:{SECRET}@h")
        assert (outcome.returncode, outcome.stdout) == (1, "")
        assert outcome.stderr.startswith("redis_exporter: ")
        assert "Traceback" not in outcome.stderr
        assert SECRET not in outcome.stderr

    def test_an_address_to_listen_on_that_is_taken_ends_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            outcome = self.start("--web.listen-address", address, REDIS_ADDR="")
        assert (outcome.returncode, outcome.stdout) == (1, "")
        assert outcome.stderr.splitlines()[-1].startswith(
            f"redis_exporter: --web.listen-address={address}: another program uses this address"
        )
        assert "Traceback" not in outcome.stderr

    @pytest.mark.parametrize("host", ["a..b", ".", "x" * 64, f"{'x' * 300}.test", "\u00e9..x"])
    def test_an_address_to_listen_on_that_cannot_be_one_is_said_in_one_line(self, host: str) -> None:
        outcome = self.start(f"--web.listen-address={host}:1", REDIS_ADDR="")
        assert outcome.returncode == 2
        assert outcome.stderr.count("\n") == 1

    def test_an_output_that_is_full_is_said_in_one_line(self) -> None:
        with open("/dev/full", "w") as full:
            command = [sys.executable, "-m", "exporter", "--help"]
            outcome = subprocess.run(
                command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert (outcome.returncode, outcome.stderr) == (1, "redis_exporter: No space left on device\n")

    def test_asking_for_help_loads_nothing_that_a_run_needs(self) -> None:
        needed = {"aiohttp", "apscheduler", "uvloop"}
        code = (
            "import sys; from exporter.cli import main; main(['--version'], {}); "
            f"print({needed} & {{*sys.modules}})"
        )
        outcome = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert outcome.stdout.splitlines()[-1] == "set()"
