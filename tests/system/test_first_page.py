"""The first page after a start is whole: what scans find is on it."""

from __future__ import annotations

import re
import time
import urllib.request

import pytest

from bench.ports import free_port
from tests.servers import RedisServer, wait_until
from tests.system.conftest import ProcessFactory
from tests.watch_harness import RedisFactory

TARGETS = 16
FLAGS = (
    "--check-keys=user:*",
    "--count-keys=session:*",
    "--check-streams=stream:*",
    "--check-key-groups=^([a-z]+):",
)


def fill(server: RedisServer) -> None:
    server.ask("MSET", *(word for number in range(50) for word in (f"user:{number}", number)))
    server.ask("MSET", *(word for number in range(30) for word in (f"session:{number}", "x")))
    server.ask("XADD", "stream:1", "*", "field", "value")
    server.ask("XGROUP", "CREATE", "stream:1", "readers", "0")


def get(url: str, timeout_s: int) -> str:
    request = urllib.request.Request(url, headers={"X-Prometheus-Scrape-Timeout-Seconds": str(timeout_s)})
    with urllib.request.urlopen(request, timeout=timeout_s) as response:
        return str(response.read().decode())


def counts(page: str) -> dict[str, int]:
    """How many series of each family that a scan is needed for."""
    names = ("key_size", "key_value", "keys_count", "stream_length", "stream_group_lag", "key_group_count")
    return {name: len(re.findall(rf"^redis_{name}{{.*}} [^0]", page, re.MULTILINE)) for name in names}


@pytest.fixture
def server(redis_server: RedisFactory) -> RedisServer:
    server = redis_server()
    fill(server)
    return server


@pytest.mark.parametrize("path", ["/metrics", "/scrape?target=one"])
def test_the_first_page_has_what_scans_find(
    path: str, server: RedisServer, exporter_process: ProcessFactory
) -> None:
    """With the lanes' ordinary intervals: standard 15 s, scan 5 minutes."""
    port = free_port()
    addr = f"redis://127.0.0.1:{server.port}"
    log = exporter_process(f"--web.listen-address=127.0.0.1:{port}", f"--redis.addr={addr}", *FLAGS)
    wait_until(lambda: "listening on" in log.read_text(), "the exporter")
    began_at = time.monotonic()
    page = get(f"http://127.0.0.1:{port}{path.replace('one', addr)}", 15)
    print(f"the page was whole {time.monotonic() - began_at:.2f} s after the exporter began to listen")
    assert counts(page) == {
        "key_size": 50,
        "key_value": 49,
        "keys_count": 1,
        "stream_length": 1,
        "stream_group_lag": 1,
        "key_group_count": 3,
    }


def test_that_of_many_targets_too(server: RedisServer, exporter_process: ProcessFactory) -> None:
    """Their scans wait for each other; the first page waits for all. They are databases of one server."""
    port = free_port()
    addrs = ",".join(f"redis://127.0.0.1:{server.port}/{db}" for db in range(TARGETS))
    flags = FLAGS[:3]
    log = exporter_process(f"--web.listen-address=127.0.0.1:{port}", f"--redis.addr={addrs}", *flags)
    wait_until(lambda: "listening on" in log.read_text(), "the exporter")
    page = get(f"http://127.0.0.1:{port}/metrics", 20)
    assert counts(page) == {
        "key_size": 50 * TARGETS,
        "key_value": 49 * TARGETS,
        "keys_count": TARGETS,
        "stream_length": TARGETS,
        "stream_group_lag": TARGETS,
        "key_group_count": 0,
    }
