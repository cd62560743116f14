"""Completion: three shells read it, and complete with it what a person types."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.commands.compare import _parser
from exporter.commands.completion import SHELLS, words_of
from exporter.options.commands import COMMANDS
from exporter.options.table import OPTIONS
from tests.store_fixture import PATIENCE_S

FLAGS = {f"--{option.flag}" for option in OPTIONS}


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    def write(shell: str) -> Path:
        file = tmp_path / f"completion.{shell}"
        file.write_text(SHELLS[shell]())
        return file

    return write


class TestWords:
    @pytest.mark.parametrize(
        ("flag", "words"),
        [
            ("log-format", ("txt", "json")),
            ("debug", ("true", "false")),
            ("poll.standard-interval", ("fast",)),
            ("log-level", ("DEBUG", "INFO", "WARN", "WARNING", "ERROR")),
            ("web.listen-address", ()),
            ("redis.addr", ()),
        ],
    )
    def test_are_those_that_the_option_takes(self, flag: str, words: tuple[str, ...]) -> None:
        [option] = [option for option in OPTIONS if option.flag == flag]
        assert words_of(option) == words

    def test_of_compare_are_its_own_flags(self) -> None:
        text = _parser().format_help()
        for flag in COMMANDS["compare"].flags:
            assert f"  {flag}" in text


class TestBash:
    @staticmethod
    def completed(script: Path, *words: str, line: str = "") -> set[str]:
        """What the function offers after these words, the last of which is not finished."""
        array = " ".join(shlex.quote(word) for word in words)
        code = f"source {script}; COMP_WORDS=({array}) COMP_CWORD={len(words) - 1}; _redis_exporter; "
        code += 'printf "%s\\n" "${COMPREPLY[@]}"'
        outcome = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        assert outcome.stderr == ""
        return set(outcome.stdout.split())

    def test_reads_it(self, script: Callable[[str], Path]) -> None:
        subprocess.run(["bash", "-n", script("bash")], check=True)

    def test_completes_commands_flags_and_words(self, script: Callable[[str], Path]) -> None:
        file = script("bash")
        assert self.completed(file, "redis_exporter", "") == COMMANDS.keys()
        assert self.completed(file, "redis_exporter", "che") == {"check"}
        offered = self.completed(file, "redis_exporter", "--")
        assert {flag.removesuffix("=") for flag in offered} >= FLAGS
        assert self.completed(file, "redis_exporter", "check", "--log-f") == {"--log-format="}
        assert self.completed(file, "redis_exporter", "--log-format", "=", "j") == {"json"}
        assert self.completed(file, "redis_exporter", "--log-format", "=") == {"txt", "json"}
        assert self.completed(file, "redis_exporter", "--log-format", "") == {"txt", "json"}
        assert self.completed(file, "redis_exporter", "--redis.addr", "=", "r") == set()
        assert self.completed(file, "redis_exporter", "--debug", "--verb") == {"--verbose"}
        assert self.completed(file, "redis_exporter", "docs", "") == {"metrics", "options", "schema"}
        assert self.completed(file, "redis_exporter", "compare", "--tol") == {"--tolerance"}

    def test_completes_names_of_files(self, script: Callable[[str], Path], tmp_path: Path) -> None:
        (tmp_path / "a.yml").touch()
        name = f"{tmp_path}/a"
        file = script("bash")
        for before in (["--config.file", "="], ["--config.file"], ["compare"]):
            assert self.completed(file, "redis_exporter", *before, name) == {f"{tmp_path}/a.yml"}


def typed(command: list[str], setup: str, keys: str, wanted: str) -> str:
    """What a shell on a terminal shows after its setup and these keys, up to what is wanted."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="dumb", PS1="$ ", HOME="/nonexistent", INPUTRC="/dev/null")
        os.execvp(command[0], command)
    shown = ""

    def read_until(text: str) -> None:
        nonlocal shown
        give_up = time.monotonic() + PATIENCE_S
        while text not in re.sub("[^\x08]\x08", "", shown):  # a shell writes a sign, and takes it back
            assert time.monotonic() < give_up, shown
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536).decode("utf-8", "replace")

    try:
        os.write(terminal, f"{setup}; echo is''ready\n".encode())
        read_until("isready")
        os.write(terminal, keys.encode())
        read_until(wanted)
        return shown
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


def test_bash_completes_at_a_terminal(script: Callable[[str], Path]) -> None:
    keys = "echo redis_exporter; redis_exporter compl\tba\t"
    typed(["bash", "--norc", "-i"], f"source {script('bash')}", keys, "completion bash")


@pytest.mark.zsh
def test_zsh_completes_at_a_terminal(script: Callable[[str], Path]) -> None:
    file = script("zsh")
    subprocess.run(["zsh", "-n", file], check=True)
    setup = f"autoload -Uz compinit; compinit -u -D; source {file}"
    typed(["zsh", "-f", "-i"], setup, "redis_exporter compl\tba\t", "completion bash")
    typed(["zsh", "-f", "-i"], setup, "redis_exporter check --log-fo\tj\t", "--log-format=json")


@pytest.mark.fish
def test_fish_completes(script: Callable[[str], Path], tmp_path: Path) -> None:
    file = script("fish")
    subprocess.run(["fish", "--no-execute", file], check=True)
    (tmp_path / "a.yml").touch()
    lines = (
        "redis_exporter ",
        "redis_exporter check --",
        "redis_exporter --log-format=",
        "redis_exporter docs ",
        f"redis_exporter --config.file={tmp_path}/a",
        "redis_exporter compare --tol",
    )
    code = f"source {file}\n" + "".join(f"complete -C '{line}'\necho /\n" for line in lines)
    environ = {**os.environ, "HOME": str(tmp_path)}
    outcome = subprocess.run(["fish", "-c", code], capture_output=True, text=True, env=environ, check=True)
    answers = [
        {line.split("\t")[0] for line in part.split("\n") if line} for part in outcome.stdout.split("\n/\n")
    ]
    commands, flags, forms, pages, files, own = answers[:6]
    assert commands == COMMANDS.keys()
    assert flags >= FLAGS
    assert forms == {"--log-format=txt", "--log-format=json"}
    assert pages == {"metrics", "options", "schema"}
    assert files == {f"--config.file={tmp_path}/a.yml"}
    assert own == {"--tolerance"}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell], {}) == 0
    assert capsys.readouterr().out == SHELLS[shell]()


def test_help_and_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "--help"], {}) == 0
    assert "source <(redis_exporter completion bash)" in capsys.readouterr().out
    assert main(["completion", "csh"], {}) == 2
    assert capsys.readouterr().err == "redis_exporter: write redis_exporter completion bash or zsh or fish\n"
