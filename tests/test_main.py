"""The command from its first step: `redis_exporter` and `python -m exporter`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import free_port, wait_until


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
