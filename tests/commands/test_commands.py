"""How commands and flags are known apart, and what they have in common."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from exporter.cli import main
from exporter.options.commands import COMMANDS

SECRET = "s3cret-of-mine"


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

    @pytest.mark.parametrize(
        ("command", "code"),
        [("once", 1), ("check", 1), ("--version", 1), ("--help", 1), ("docs options", 1), ("chekc", 2)],
    )
    def test_a_closed_output_is_said_in_one_line(self, command: str, code: int) -> None:
        line = f"{sys.executable} -m exporter {command} >&-"
        environ = {**os.environ, "REDIS_ADDR": "", "REDPOLL_ENGINE": "python"}
        outcome = subprocess.run(
            ["bash", "-c", line], env=environ, stderr=subprocess.PIPE, text=True, check=False
        )
        assert outcome.returncode == code
        said = [each for each in outcome.stderr.split("\n") if each and not each.startswith("time=")]
        assert len(said) == 1
        assert said[0].startswith("redis_exporter: ")
        assert code == 2 or said == ["redis_exporter: stdout is closed"]

    @pytest.mark.parametrize(
        ("argv", "position"),
        [(["--debug", "check"], 2), (["--redis.addr", "redis://h", "check", "--verbose"], 3)],
    )
    def test_a_command_after_flags(
        self, argv: list[str], position: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(argv, {}) == 2
        hint = "write the command check before all flags"
        assert capsys.readouterr().err == (
            f"redis_exporter: argument {position} belongs to no flag: {hint}\n"
        )

    @pytest.mark.parametrize("flag", ["-h", "-help", "--help"])
    def test_help_of_docs(self, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["docs", flag], {}) == 0
        assert capsys.readouterr().out.startswith("usage: redis_exporter docs metrics|options|schema\n")

    @pytest.mark.parametrize("argv", [["docs"], ["docs", "all"]])
    def test_docs_of_nothing(self, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(argv, {}) == 2
        assert (
            capsys.readouterr().err
            == "redis_exporter: write redis_exporter docs metrics or options or schema\n"
        )

    def test_help_is_that_of_the_program(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", "--help"], {}) == 0
        out = capsys.readouterr().out
        assert all(f"  {name}" in out for name in COMMANDS)
