"""The program's log as a process: a stderr that nobody reads, and requests that cannot be read."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.servers import PATIENCE_S, wait_until
from tests.system.conftest import STOP_S, Exporter

MALFORMED = (
    b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic U0VDUkVU\0\r\n\r\n",
    b"GET /scrape?target=redis://:SECRETPW\xff@h HTTP/1.1\r\nHost: x\r\n\r\n",
    b"SECRETPW\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
)


def fill(end: int) -> None:
    """Write until the pipe takes no more."""
    os.set_blocking(end, False)
    try:
        while True:
            os.write(end, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(end, True)


def ask(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as wire:
        wire.sendall(request)
        wire.recv(1000)


@pytest.fixture
def full_pipe() -> object:
    reader, end = os.pipe()
    fill(end)
    yield end
    os.close(reader)
    os.close(end)


def test_a_stderr_that_nobody_reads_stops_neither_scrapes_nor_the_end(full_pipe: int) -> None:
    port = free_port()
    argv = [f"--web.listen-address=127.0.0.1:{port}", "--redis.addr=redis://127.0.0.1:1"]
    process = subprocess.Popen([sys.executable, "-m", "exporter", *argv], stderr=full_pipe)

    def page() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=3) as response:
                return str(response.read().decode())
        except OSError:
            return ""

    try:
        wait_until(lambda: "redis_up{" in page(), "a page")
        for _ in range(20):
            ask(port, MALFORMED[0])
        assert "\nredis_exporter_log_lines_dropped_total " not in page()  # none yet
        began = time.monotonic()
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < STOP_S
    finally:
        process.kill()
        process.wait()


def test_a_mistake_is_told_and_ends_it_though_nobody_reads(full_pipe: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        argv = [f"--web.listen-address=127.0.0.1:{taken.getsockname()[1]}", "--redis.addr="]
        process = subprocess.Popen([sys.executable, "-m", "exporter", *argv], stderr=full_pipe)
        try:
            assert process.wait(PATIENCE_S) == 1
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("form", ["txt", "json"])
def test_requests_that_cannot_be_read_have_a_line_a_kind_and_none_of_their_bytes(
    exporter: Callable[..., Exporter], form: str
) -> None:
    started = exporter("--redis.addr=", f"--log-format={form}")
    for _ in range(25):
        for request in MALFORMED:
            ask(started.port, request)
    started.stop()
    log = Path(started.log).read_text()
    assert "Traceback" not in log
    assert "SECRETPW" not in log
    assert "U0VDUkVU" not in log
    lines = [line for line in log.split("\n") if "127.0.0.1" in line and "listening" not in line]
    assert 0 < len(lines) <= 4
    assert sum(map(int, re.findall(r"repeated\W+(\d+)", log))) >= 70
