"""Maintenance, with the whole program."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from tests.servers import PATIENCE_S, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

UNTIL = "redis_exporter_target_paused_until_timestamp_seconds"


def ask(program: Exporter, method: str, addr: str, more: str = "") -> dict[str, object]:
    url = f"http://127.0.0.1:{program.port}/api/v1/targets/{quote(addr, safe='')}/pause{more}"
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE_S) as response:
        found: dict[str, object] = json.loads(response.read())
        return found


def test_a_target_is_paused_for_maintenance_and_comes_back(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    one, other = (f"redis://127.0.0.1:{redis_server().port}" for _ in range(2))
    program = exporter(f"--redis.addr={one},{other}", "--web.enable-lifecycle")
    assert ask(program, "POST", one, "?for=1h")["paused"] is True
    wait_until(lambda: list(program.values("redis_up")) == [other], "a page without the target")
    assert list(program.values(UNTIL)) == [one]
    page = program.get(f"/scrape?target={one}")
    assert UNTIL in page
    assert "redis_up" not in page
    assert program.get("/-/ready") == "ok\n"
    assert json.loads(program.get("/health")) == {"status": "ok"}
    assert 'redis_exporter_targets{state="paused"} 1' in program.get()
    program.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded" in program.log.read_text(), "a reload")
    assert ask(program, "GET", one)["paused"] is True
    assert list(program.values("redis_up")) == [other]
    assert ask(program, "DELETE", one) == {"addr": one, "paused": False}
    wait_until(lambda: program.values("redis_up") == {one: 1, other: 1}, "both targets")
    assert program.values(UNTIL) == {}
    program.wait_for_log("polls pause for 3600 s", "polls go on")
    assert program.stop() == 0


def test_without_the_flag_it_is_forbidden(redis_server: RedisFactory, exporter: ExporterFactory) -> None:
    addr = f"redis://127.0.0.1:{redis_server().port}"
    program = exporter(f"--redis.addr={addr}")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(program, "POST", addr)
    assert ask(program, "GET", addr) == {"addr": addr, "paused": False}
