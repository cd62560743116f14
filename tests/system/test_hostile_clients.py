"""Clients that hold connections, beside a scraper at the same address: the process as a whole."""

from __future__ import annotations

import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.servers import PATIENCE_S, wait_until
from tests.system.conftest import STOP_S, Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

HALF = b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
WHOLE = HALF + b"\r\n"
#: less than a crowd may stay for, by the limits of time
LIMIT_S = 8


@pytest.fixture
def crowd() -> Iterator[list[socket.socket]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with ExitStack() as cleanup:
        clients: list[socket.socket] = []

        def close() -> None:
            for client in clients:
                client.close()

        cleanup.callback(close)
        yield clients
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def join(crowd: list[socket.socket], port: int, sent: bytes, number: int) -> None:
    for _ in range(number):
        client = socket.socket()
        crowd.append(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE_S)
        client.connect(("127.0.0.1", port))
        with suppress(OSError):  # whoever made room for others
            client.sendall(sent)


def incidents(started: Exporter, reason: str) -> float:
    name = "redis_exporter_http_incidents_total"
    return sum(map(float, re.findall(rf'{name}\{{reason="{reason}"\}} (\S+)', started.get())))


@pytest.mark.parametrize("sent", [b"", HALF, WHOLE], ids=["silent", "half", "whole"])
def test_a_crowd_does_not_keep_the_scraper_of_its_address_out(
    redis_server: RedisFactory, exporter: ExporterFactory, crowd: list[socket.socket], sent: bytes
) -> None:
    started = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}")
    for _ in range(10):
        join(crowd, started.port, sent, 100)
        assert "redis_up{" in started.get(timeout_s=LIMIT_S)
    wait_until(lambda: incidents(started, "evicted") > 500, "the newest page tells of it")
    assert float(re.findall(r"^redis_exporter_http_connections (\S+)", started.get(), re.M)[0]) <= 256
    started.wait_for_log("HTTP:")
    kinds = re.findall(r"HTTP: [^(\n]*", started.log.read_text())
    assert len(kinds) == len(set(kinds)), "each kind of line once a minute"


def test_a_crowd_does_not_hold_up_the_end(
    redis_server: RedisFactory, exporter: ExporterFactory, crowd: list[socket.socket]
) -> None:
    started = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}")
    for sent in (b"", HALF, WHOLE, b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"):
        join(crowd, started.port, sent, 20)
    began = time.monotonic()
    assert started.stop() == 0
    assert time.monotonic() - began < STOP_S


def test_malformed_requests_make_one_line_without_their_bytes(
    redis_server: RedisFactory, exporter: ExporterFactory, crowd: list[socket.socket]
) -> None:
    started = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}")
    for number in range(50):
        join(
            crowd,
            started.port,
            b"GET /scrape?target=redis://:s3cret%d\xff@h HTTP/1.1\r\nHost: x\r\n\r\n" % number,
            1,
        )
        assert crowd[-1].recv(1000).startswith(b"HTTP/1.1 400 ")
    started.wait_for_log("HTTP:")
    text = started.log.read_text()
    assert "s3cret" not in text
    assert "Traceback" not in text
    assert text.count("HTTP:") == 1
    wait_until(lambda: incidents(started, "malformed") == 50, "the newest page tells of it")


@pytest.mark.parametrize(("name", "code"), [("password", 0), ("another", 3)])
def test_the_process_ends_itself_where_a_check_may_be_under_way(name: str, code: int) -> None:
    program = (
        "import threading, time\n"
        "from exporter.app.run import leave_threads\n"
        f"threading.Thread(target=time.sleep, args=(600,), name={name!r}, daemon=True).start()\n"
        "leave_threads()\n"
        "raise SystemExit(3)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == code
