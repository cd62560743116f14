"""No request holds the loop, and none changes what another reader gets: every route with every parameter
and header, in odd forms."""

from __future__ import annotations

import json
import signal
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from exporter.options.endpoints import ROUTES
from exporter.web.query import KEY_PARAMETERS
from tests.servers import HOST, PATIENCE_S, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

#: what one turn of the loop may take of the processor. On a busy machine single turns take longer, so
#: requests that seem to hold the loop are sent again: they hold it each time if they are the reason.
TURN_S = 0.05
TRIALS = 3
#: requests that are sent between two looks
TOGETHER = 200

#: every path that is answered, and some that are not
PATHS = ("/metrics", *(route.path for route in ROUTES), "/nowhere", "//metrics", "/%2e%2e/-/reload")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "BREW")
PARAMETERS = ("part", "group", "name[]", "max_age", "lanes", "target", "strict", *KEY_PARAMETERS, "unknown")
HEADERS = (
    "Accept-Encoding",
    "Authorization",
    "Connection",
    "Content-Type",
    "Expect",
    "If-None-Match",
    "Range",
    "Upgrade",
    "User-Agent",
    "X-Forwarded-For",
    "X-Prometheus-Scrape-Timeout-Seconds",
)
VALUES: tuple[bytes, ...] = (
    b"",
    b"0",
    b"-1",
    b"nan",
    b"1e308",
    b"9" * 3000,
    b"0/1",
    b"99999/99999",
    b"0/100000000",
    b"up",
    b"*",
    b"redis://127.0.0.1:1",
    b"unix:///dev/zero",
    b"a" * 6000,
    b"(" * 1000,
    b",".join([b"gzip;q=0.5"] * 500),
    b"\xff\xfe\x80",
    "\u2028\u0085é".encode(),
)
#: series of ours that tell about scrapes, readers and time: they change with every request, and should
OWN = ("redis_exporter_", "process_", "redis_target_scrape_request_errors_total", "redis_up")


def request(port: int, data: bytes) -> bytes:
    """The first bytes of the answer; none where the connection was closed instead."""
    with socket.create_connection((HOST, port), PATIENCE_S) as connection:
        connection.sendall(data)
        try:
            return connection.recv(64)
        except ConnectionResetError:
            return b""


class Meter:
    """The meter in the loop of a program, see `tests.metered`."""

    def __init__(self, program: Exporter, report: Path) -> None:
        self._program = program
        self._report = report
        program.process.send_signal(signal.SIGUSR1)

    def longest_turn_s(self) -> float:
        """What the longest turn since the last look took of the processor."""
        self._report.unlink(missing_ok=True)
        self._program.process.send_signal(signal.SIGUSR2)
        wait_until(self._report.exists, "the meter has written")
        return float(json.loads(self._report.read_text())["busy_s"])


def head(method: str, target: str, *headers: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: x", *headers, b"Connection: close", b"", b""]
    return b"\r\n".join(lines)


def queries() -> Iterator[bytes]:
    for path in PATHS:
        for parameter in PARAMETERS:
            for value in VALUES:
                yield head("GET", f"{path}?{parameter}={quote_from_bytes(value)}")
        yield head("GET", path + "?" + "&".join(f"{parameter}=1" for parameter in PARAMETERS * 20))
        yield head("GET", path + "?" + "&".join(["name[]=x"] * 700))


def headed() -> Iterator[bytes]:
    for path in PATHS:
        for name in HEADERS:
            for value in VALUES:
                yield head("GET", path, name.encode() + b": " + value)
        for method in METHODS:
            yield head(method, path)
            yield head(method, path, b"Content-Length: 10") + b"0123456789"


def series(page: str) -> Sequence[str]:
    """The series of the targets' own values, without the values. What servers count by command is left
    out: our own polls add to it."""
    lines = [line for line in page.split("\n") if line and not line.startswith("#")]
    return sorted(
        line.rsplit(" ", 1)[0] for line in lines if not line.startswith(OWN) and 'cmd="' not in line
    )


@pytest.mark.parametrize("requests", [queries, headed])
def test_no_request_holds_the_loop_or_changes_what_another_reader_gets(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path, requests: Any
) -> None:
    report = tmp_path / "report.json"
    flags = [
        "--redis.addr=" + ",".join(f"redis://127.0.0.1:{redis_server().port}" for _ in range(2)),
        "--is-cluster",
    ]
    program: Exporter = exporter(*flags, module=("tests.metered", str(report)))
    wait_until(lambda: list(program.values("redis_up").values()) == [1, 1], "both are up")
    before = series(program.get())
    statuses: Counter[bytes] = Counter()
    meter = Meter(program, report)  # what the start takes is no request's doing
    longest_s = 0.0
    every = list(requests())
    for number in range(0, len(every), TOGETHER):
        turns_s: list[float] = []
        while not turns_s or (turns_s[-1] >= TURN_S and len(turns_s) < TRIALS):
            for data in every[number : number + TOGETHER]:
                status = request(program.port, data)[9:12]
                assert not status.startswith(b"5"), (status, data[:200])
                statuses[status] += 1
            assert series(program.get()) == before
            turns_s.append(meter.longest_turn_s())
        longest_s = max(longest_s, min(turns_s))
        assert min(turns_s) < TURN_S, (turns_s, number)
    assert statuses[b"200"] > 100
    assert statuses[b"400"] > 100
    assert program.stop() == 0
    print(
        f"{len(every)} requests, answered {dict(statuses)}; longest turn {longest_s * 1000:.1f} ms of the "
        f"processor's time"
    )
    log = program.log.read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) < 60, log
