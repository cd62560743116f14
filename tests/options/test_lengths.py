"""Bounds on the texts of the configuration: one short line for each that is too long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exporter.errors import PROBLEM_LENGTH_MAX, ConfigError, RedpollError
from exporter.files import FileLimits
from exporter.options import lengths
from exporter.options.commandline import parse
from exporter.options.config_file import ConfigFile
from exporter.targets.address import parse_address
from exporter.targets.configured import load_targets

LONG = 100_000


def test_a_text_that_is_not_too_long_is_itself() -> None:
    assert lengths.check("abc", 3) == "abc"
    with pytest.raises(ValueError, match=r"^4 characters are too many: the most is 3$"):
        lengths.check("abcd", 3)


@pytest.mark.parametrize(
    "argument",
    [
        f"--discover.allow={'x' * LONG}",
        f"--discover.allow={'x' * LONG}.test",
        f"--check-keys={'k' * LONG}",
        f"--check-key-groups={'k' * LONG}",
        f"--namespace={'n' * LONG}",
        f"--web.telemetry-path=/{'n' * LONG}",
        f"--tls-server-name={'n' * LONG}",
        f"--tls-server-name={'ü' * LONG}",
        f"--config-command={'n' * LONG}",
        f"--web.listen-address={'n' * LONG}:1",
        f"--script={'n' * LONG}",
        f"--check-keys=?{'passw' * (LONG // 5)}",
        f"--{'x' * LONG}",
    ],
)
def test_what_is_too_long_is_said_at_once_in_a_short_line(argument: str) -> None:
    began_s = time.thread_time()
    with pytest.raises(RedpollError) as caught:
        parse([argument], {})
    assert time.thread_time() - began_s < 1
    assert len(str(caught.value)) <= PROBLEM_LENGTH_MAX


@pytest.mark.parametrize(
    "address", [f"redis://{'h' * 254}", f"redis://[{'1' * 254}]", f"unix:///{'p' * LONG}"]
)
def test_an_address_is_bounded(address: str) -> None:
    with pytest.raises(ConfigError, match="characters are too many"):
        parse_address(address)


def problems(tmp_path: Path, entry: str, **environ: str) -> list[str]:
    (tmp_path / "f.yml").write_text(f"redis_instances: [{{addr: h, {entry}}}]\n")
    file = ConfigFile("config.file", str(tmp_path / "f.yml"), FileLimits())
    with pytest.raises(ConfigError) as caught:
        load_targets([], addr_given=False, files=[file], environ=environ)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    "entry",
    [
        f"name: {'n' * 201}",
        f"user: {'u' * 65_537}",
        f"password: '{'${A}' * LONG}'",
        f"password: '{'${A}' * 100}'",
        f"labels: {{{'l' * 201}: x}}",
    ],
)
def test_what_an_entry_of_the_file_holds_is_bounded(tmp_path: Path, entry: str) -> None:
    [problem] = problems(tmp_path, entry, A="s3cret" * 200)
    assert "characters are too many" in problem
    assert len(problem) <= PROBLEM_LENGTH_MAX
    assert "s3cret" not in problem


def test_a_password_of_the_flags_is_bounded() -> None:
    load_targets(["h"], addr_given=True, password="p" * 65_536, environ={})
    with pytest.raises(ConfigError, match="password: 65,537 characters are too many"):
        load_targets(["h"], addr_given=True, password="p" * 65_537, environ={})
