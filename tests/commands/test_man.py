"""The manual page: what it names, and what two programs for such pages say of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.commands.man import escaped, page
from exporter.options.commands import COMMANDS
from exporter.options.endpoints import ROUTES
from exporter.options.table import OPTIONS

SECTIONS = [
    *("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "PATHS", "ENVIRONMENT", "FILES", "SIGNALS"),
    *("EXIT STATUS", "SEE ALSO"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "redis_exporter.1"
    file.write_text(page())
    return file


def test_it_has_the_sections_of_such_pages() -> None:
    assert re.findall(r"^\.SH (.*)$", page(), re.M) == SECTIONS


def test_it_names_every_command_flag_variable_and_path() -> None:
    terms = {line.replace("\\-", "-").replace("\\&", "") for line in page().splitlines()}
    text = "\n".join(terms)
    for option in OPTIONS:
        assert f"\\fB--{option.flag}\\fR" in text
        assert not option.variable or f"\\fB{option.variable}\\fR" in terms
    for term in (*COMMANDS, *(route.path for route in ROUTES)):
        assert f"\\fB{term}\\fR" in terms


def test_a_text_stays_as_it_is() -> None:
    assert escaped(".x 'y") == "\\&.x 'y"
    assert escaped("'x") == "\\&'x"
    assert escaped("a-b\\d") == "a\\-b\\ed"


@pytest.mark.mandoc
def test_mandoc_finds_nothing_wrong(file: Path) -> None:
    outcome = subprocess.run(["mandoc", "-T", "lint", file], capture_output=True, text=True, check=False)
    date_is_unknown = "missing date"  # a source tree that was never built
    assert [line for line in outcome.stdout.splitlines() if date_is_unknown not in line] == []


@pytest.mark.man
def test_man_shows_it_without_a_warning(file: Path) -> None:
    command = ["man", "--local-file", "--warnings", str(file)]
    environ = {"LC_ALL": "C.UTF-8", "MANWIDTH": "100", "PATH": "/usr/bin:/bin"}
    outcome = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    assert outcome.stderr == ""
    assert "--web.telemetry-path PATH\n" in outcome.stdout
    assert "\n       SIGHUP Reload:" in outcome.stdout


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["man"], {}) == 0
    assert capsys.readouterr().out == page()
    assert main(["man", "--help"], {}) == 0
    assert capsys.readouterr().out.startswith("usage: redis_exporter man\n")
    assert main(["man", "check"], {}) == 2
    assert capsys.readouterr().err == "redis_exporter: write redis_exporter man, without arguments\n"
