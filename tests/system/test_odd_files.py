"""Files that are no files, as the program meets them: at start and in a reload."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import Certificates
from tests.system.conftest import STOP_S, Exporter

FLAGS = (
    ("--redis-file=FILE",),
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


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: next(flag for flag in flags if "FILE" in flag))
@pytest.mark.parametrize("kind", ["FIFO", "device", "more than"])
def test_a_file_that_is_no_file_is_said_in_one_line(
    certificates: Certificates, tmp_path: Path, flags: tuple[str, ...], kind: str
) -> None:
    file = tmp_path / "odd"
    match kind:
        case "FIFO":
            os.mkfifo(file)
        case "device":
            file.symlink_to("/dev/zero")
        case _:
            file.touch()
            os.truncate(file, 1 << 34)
    names = {"FILE": str(file), "CERT": certificates.server, "KEY": certificates.server_key}
    argv = [re.sub("=(FILE|CERT|KEY)$", lambda match: f"={names[match[1]]}", flag) for flag in flags]
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "check", *argv],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert kind in line
    assert str(file) in line


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
        thread.join(10)
    assert answers == [500] * 10
    file.unlink()
    file.write_text(json.dumps({}))
    assert program.get("/-/reload") == "ok\n"
    began = time.monotonic()
    assert program.stop() == 0
    assert time.monotonic() - began < STOP_S
