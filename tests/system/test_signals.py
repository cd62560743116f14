"""The running program gets signals."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.servers import wait_until
from tests.system.conftest import ExporterFactory


def test_hangups_reload_and_never_end_it(exporter: ExporterFactory, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords.json"
    passwords.write_text("{}")
    started = exporter("--redis.addr=", f"--redis.password-file={passwords}")
    for _ in range(20):
        os.kill(started.process.pid, signal.SIGHUP)
    wait_until(lambda: 'msg="reloaded: ' in started.log.read_text(), "the reload")
    passwords.write_text("{")
    os.kill(started.process.pid, signal.SIGHUP)
    wait_until(lambda: "the reload failed" in started.log.read_text(), "the error")
    assert started.get("/-/ready") == "ok\n"
    started.process.send_signal(signal.SIGTERM)
    started.process.send_signal(signal.SIGHUP)
    assert started.process.wait(15) == 0
