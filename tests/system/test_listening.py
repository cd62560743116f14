"""The command on a socket's file, and on sockets that systemd opened."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.servers import PATIENCE_S
from tests.system.conftest import STOP_S

COMMAND = (sys.executable, "-m", "exporter")
#: a target that refuses each connection, so that no test waits for a poll
FLAGS = ("--redis.addr=redis://127.0.0.1:1", "--log-level=info")

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as cleanup:

        def start(*command: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            assert process.stderr is not None
            cleanup.callback(process.stderr.close)
            cleanup.callback(process.wait)
            cleanup.callback(process.kill)
            return process

        yield start


def lines_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """What it logs, up to the line that has this text."""
    assert process.stderr is not None
    lines = [process.stderr.readline()]
    while text not in lines[-1]:
        assert lines[-1], f"it ended without {text!r}: {lines}"
        lines.append(process.stderr.readline())
    return lines


def get(address: str | tuple[str, int], path: str = "/metrics") -> str:
    connection = HTTPConnection("localhost", timeout=PATIENCE_S)
    connection.sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    connection.sock.settimeout(PATIENCE_S)
    try:
        connection.sock.connect(address)
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_a_sockets_file_outlives_a_kill_and_not_a_stop(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "pages.sock"
    command = (*COMMAND, f"--web.listen-address=unix:{path}", *FLAGS)
    killed = start(*command)
    assert f"listening on unix:{path}" in lines_until(killed, "listening")[-1]
    assert "redis_up" in get(str(path))
    killed.kill()
    killed.wait()
    assert path.exists()
    exporter = start(*command)
    lines_until(exporter, "listening")
    exporter.send_signal(signal.SIGHUP)
    lines_until(exporter, "reloaded")
    health = subprocess.run([*COMMAND, "health", f"unix:{path}"], capture_output=True, check=False)
    assert health.returncode == 0, health
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"--web.listen-address=unix:{path}: another program uses this address" in second.stderr
    exporter.terminate()
    assert exporter.wait(STOP_S) == 0
    assert not path.exists()


def test_without_systemd_the_error_says_what_is_missing() -> None:
    outcome = subprocess.run(
        [*COMMAND, "--web.listen-address=fd://", *FLAGS], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-1] == (
        "redis_exporter: --web.listen-address=fd://: systemd has handed over no socket; "
        "start the .socket unit of this service"
    )


@pytest.mark.systemd
def test_the_sockets_of_systemd_are_served_and_outlive_a_restart(start: Start, tmp_path: Path) -> None:
    path, port = tmp_path / "pages.sock", free_port()
    activate = start(
        "systemd-socket-activate",
        f"--listen=127.0.0.1:{port}",
        f"--listen={path}",
        "--fdname=pages:local",
        *(f"--setenv={name}" for name in os.environ),
        *COMMAND,
        "--web.listen-address=fd://",
        *FLAGS,
    )
    lines_until(activate, "Listening on 127.0.0.1")
    lines_until(activate, f"Listening on {path}")
    assert "redis_up" in get(("127.0.0.1", port))  # starts the program, and waits for it
    started = lines_until(activate, f"unix:{path}")
    assert any(f"listening on 127.0.0.1:{port}" in line for line in started)
    assert "redis_up" in get(str(path))
    activate.send_signal(signal.SIGHUP)
    lines_until(activate, "reloaded")
    assert "redis_up" in get(("127.0.0.1", port))
    activate.terminate()
    assert activate.wait(STOP_S) == 0
    assert path.exists()  # it is systemd's


@pytest.mark.systemd
def test_one_socket_of_several_is_taken_by_its_name(start: Start, tmp_path: Path) -> None:
    path, port = tmp_path / "pages.sock", free_port()
    activate = start(
        "systemd-socket-activate",
        f"--listen=127.0.0.1:{port}",
        f"--listen={path}",
        "--fdname=pages:local",
        *(f"--setenv={name}" for name in os.environ),
        *COMMAND,
        "--web.listen-address=fd://local",
        *FLAGS,
    )
    lines_until(activate, "Listening on 127.0.0.1")
    lines_until(activate, f"Listening on {path}")
    assert "redis_up" in get(str(path))
    assert not [line for line in lines_until(activate, "unix:") if f":{port}" in line]
