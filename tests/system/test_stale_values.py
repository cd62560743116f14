"""What becomes of the values of a server that is gone, as `--stale-policy` says."""

from __future__ import annotations

import re
import urllib.error

import pytest

from tests.servers import wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

STALE = re.compile(r'^redis_exporter_snapshot_stale{.*lane="fast".*} 1$', re.M)


def answer_of(program: Exporter, addr: str) -> tuple[int, str]:
    try:
        return 200, program.get(f"/scrape?target={addr}")
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@pytest.mark.server
@pytest.mark.parametrize(
    ("policy", "are_shown", "status"), [("drop", False, 200), ("serve", True, 200), ("fail", False, 503)]
)
def test_until_they_are_too_old_they_stay_and_then_the_policy_decides(
    redis_server: RedisFactory, exporter: ExporterFactory, policy: str, are_shown: bool, status: int
) -> None:
    server = redis_server()
    addr = f"redis://127.0.0.1:{server.port}"
    program = exporter(f"--redis.addr={addr}", f"--stale-policy={policy}", "--max-age=4s")
    server.kill()
    wait_until(lambda: program.values("redis_up") == {addr: 0.0}, "it is down")
    page = program.get()
    assert STALE.search(page) or "\nredis_connected_clients{" in page
    wait_until(lambda: STALE.search(program.get()), "its values are too old")
    page = program.get()
    assert ("\nredis_connected_clients{" in page) is are_shown
    assert f'redis_up{{addr="{addr}"}} 0' in page
    found, page = answer_of(program, addr)
    assert found == status
    if status == 200:
        assert re.search(r"^redis_up 0$", page, re.M)
        assert ("\nredis_connected_clients " in page) is are_shown
    server.start()
    wait_until(lambda: answer_of(program, addr)[0] == 200, "an answer")
    wait_until(lambda: "\nredis_connected_clients{" in program.get(), "new values")
