"""The command from its first step: `redis_exporter` and `python -m exporter`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.servers import wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after_ms", [0, 20, 50, 100, 200, 300, 500])
def test_a_signal_while_it_starts_ends_it_without_a_word(
    number: signal.Signals, after_ms: int, tmp_path: Path
) -> None:
    caught = tmp_path / "caught"
    # the moment is counted from the first step of the program; before it, Python itself has the signals
    code = (
        "from exporter import signals, __main__\n"
        "catch = signals.catch\n"
        "def begin():\n"
        f"    catch()\n    open({str(caught)!r}, 'w').close()\n"
        "signals.catch = begin\n"
        "raise SystemExit(__main__.main())\n"
    )
    argv = ["--redis.addr=", f"--web.listen-address=127.0.0.1:{free_port()}"]
    process = subprocess.Popen([sys.executable, "-c", code, *argv], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(caught.exists, "the program's first step")
        time.sleep(after_ms / 1000)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode in (0, -number)
    assert "Traceback" not in said
    assert "level=ERROR" not in said


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_with_closed_standard_files_it_runs_and_stops_as_always(closed: tuple[int, ...]) -> None:
    port = free_port()
    code = f"for number in {closed}: os.close(number)"
    argv = ["-m", "exporter", "--redis.addr=", f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import os, sys\n{code}\nos.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
            *argv,
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(port), "the endpoint")
        for number in closed:
            assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"  # no socket takes its place
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
