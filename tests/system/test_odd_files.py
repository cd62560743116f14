"""Files that are no files, as the program meets them: at start and in a reload."""

from __future__ import annotations

import json
import os
import re
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.options.table import OPTIONS
from tests.servers import PATIENCE_S, Certificates
from tests.system.conftest import STOP_S, Exporter

#: by flag of a file, with the other flags that it needs
FLAGS = (
    ("--redis-file=FILE",),
    ("--config.file=FILE",),
    ("--redis.password-file=FILE", "--redis.addr=redis://127.0.0.1:1"),
    ("--script=FILE",),
    ("--web.config.file=FILE",),
    ("--tls-server-cert-file=FILE", "--tls-server-key-file=KEY"),
    ("--tls-server-cert-file=CERT", "--tls-server-key-file=FILE"),
    ("--tls-server-cert-file=CERT", "--tls-server-key-file=KEY", "--tls-server-ca-cert-file=FILE"),
    ("--redis.addr=rediss://127.0.0.1:1", "--tls-ca-cert-file=FILE"),
    ("--redis.addr=redis://127.0.0.1:1", "--tls-ca-cert-file=FILE"),
    ("--redis.addr=rediss://127.0.0.1:1", "--tls-client-cert-file=FILE", "--tls-client-key-file=KEY"),
    ("--redis.addr=rediss://127.0.0.1:1", "--tls-client-cert-file=CERT", "--tls-client-key-file=FILE"),
)


def in_a_loop(file: Path) -> None:
    file.symlink_to(file)


def a_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def too_large(file: Path) -> None:
    file.touch()
    os.truncate(file, 1 << 34)


def in_utf_16(file: Path) -> None:
    file.write_bytes("redis_instances: []".encode("utf-16"))


def all_aliases(file: Path) -> None:
    """A few hundred bytes that stand for 10⁹ words, in YAML."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))]
    file.write_text("\n".join(lines))


#: how it is made, and what is said of it
KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda file: None, "No such file"),
    "a directory": (Path.mkdir, "directory"),
    "a FIFO": (os.mkfifo, "FIFO"),
    "a device": (a_device, "device"),
    "a loop": (in_a_loop, "symbolic links"),
    "too large": (too_large, "more than"),
    "another encoding": (in_utf_16, ""),
    "a bomb": (all_aliases, ""),
}


def flag_of(flags: tuple[str, ...]) -> str:
    return next(flag for flag in flags if "FILE" in flag).partition("=")[0].removeprefix("--")


def test_each_option_of_a_file_is_tried() -> None:
    """The exporter itself writes the state file, and leaves a wrong one: see tests/app/test_state_file.py."""
    files = {option.flag for option in OPTIONS if "FILE" in option.type.value_name}
    assert {flag_of(flags) for flags in FLAGS} == files - {"state.file"}


CASES = [
    (flags, kind)
    for flags in FLAGS
    for kind in KINDS
    if not ("script" in flags[0] and kind in ("another encoding", "a bomb"))  # a server judges its text
]


@pytest.mark.parametrize(
    ("flags", "kind"), CASES, ids=lambda given: given if isinstance(given, str) else flag_of(given)
)
def test_a_file_that_is_no_file_is_said_in_one_line(
    certificates: Certificates,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    kind: str,
) -> None:
    names = {"FILE": str(tmp_path / "odd"), "CERT": certificates.server, "KEY": certificates.server_key}
    make, says = KINDS[kind]
    make(tmp_path / "odd")
    argv = [re.sub("=(FILE|CERT|KEY)$", lambda match: f"={names[match[1]]}", flag) for flag in flags]
    assert main(["check", *argv], {}) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert says in line
    assert names["FILE"] in line


def test_a_reload_of_a_fifo_holds_nothing_up(exporter: Callable[..., Exporter], tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text(json.dumps({}))
    program = exporter("--redis.addr=redis://127.0.0.1:1", f"--redis.password-file={file}")
    assert program.get("/-/reload") == "ok\n"
    file.unlink()
    os.mkfifo(file)
    answers: list[int] = []

    def reload() -> None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            program.get("/-/reload")
        answers.append(caught.value.code)
        caught.value.close()

    threads = [threading.Thread(target=reload) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert "redis_up{" in program.get()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert answers == [500] * 10
    file.unlink()
    file.write_text(json.dumps({}))
    assert program.get("/-/reload") == "ok\n"
    began = time.monotonic()
    assert program.stop() == 0
    assert time.monotonic() - began < STOP_S
