"""The running program gets signals."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.servers import PATIENCE_S, wait_until
from tests.system.conftest import STOP_S, ExporterFactory
from tests.watch_harness import RedisFactory

SUCCESSFUL = "redis_exporter_config_last_reload_successful"


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
    assert started.process.wait(PATIENCE_S) == 0


def test_with_watch_changed_files_are_read_and_the_end_is_as_quick(
    exporter: ExporterFactory, redis_server: RedisFactory, tmp_path: Path
) -> None:
    one, other = redis_server(), redis_server()
    targets = tmp_path / "targets.yml"
    targets.write_text(f"redis_instances:\n- addr: 127.0.0.1:{one.port}\n")
    started = exporter("--watch", f"--redis-file={targets}")
    wait_until(lambda: f":{one.port}" in started.get(), "the first target")
    targets.write_text(f"redis_instances:\n- addr: 127.0.0.1:{one.port}\n- addr: 127.0.0.1:{other.port}\n")
    wait_until(lambda: f":{other.port}" in started.get(), "the second target")
    targets.write_text("redis_instances: [")
    wait_until(lambda: "the reload failed" in started.log.read_text(), "the error")
    wait_until(lambda: f"{SUCCESSFUL} 0.0" in started.get(), "the failure on the page")
    assert f":{other.port}" in started.get()
    targets.write_text(f"redis_instances:\n- addr: 127.0.0.1:{other.port}\n")
    wait_until(lambda: f":{one.port}" not in started.get(), "the first target to go")
    wait_until(lambda: f"{SUCCESSFUL} 1.0" in started.get(), "the success on the page")
    began = time.monotonic()
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(PATIENCE_S) == 0
    assert time.monotonic() - began < STOP_S
    assert "Traceback" not in started.log.read_text()
