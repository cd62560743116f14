"""What a page shows of a server that dies and comes back: the age of its values, and whether it is up.

Two exporters poll one redis-server every second, one with `--stale-policy=drop`, one with `serve`. The server
is killed, and started again. A page is read ten times a second meanwhile. A value that the page leaves out
is a gap in the chart.
"""

from __future__ import annotations

import math
import pathlib
import subprocess
import tempfile
import time

from bench.charts import Chart
from bench.figures import at_most
from bench.ports import free_ports
from bench.process import scrape, watching
from bench.servers import binary
from bench.setup import Result, Setup

INTERVAL_S = 1.0
READ_EVERY_S = 0.1
#: three intervals of the fast lane and a deadline
STALE_S = 3 * INTERVAL_S + 1
#: how old a page may be
PAGE_S = 1.0
AGE = 'redis_exporter_snapshot_age_seconds{lane="fast"}'
UP, VALUE = "redis_up", "redis_connected_clients"  # of the fast lane
SERVE, DROP = "age with --stale-policy=serve", "age with --stale-policy=drop, the default"


def run(setup: Setup) -> Result:
    kill_s, start_s, end_s = (1.0, 7.0, 10.0) if setup.quick else (5.0, 15.0, 22.0)
    [redis] = free_ports(1)
    address = [f"redis://127.0.0.1:{redis}"]
    lines: dict[str, list[tuple[float, float]]] = {}
    shown: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        server = _server(redis, folder)
        try:
            with (
                watching(address, INTERVAL_S, "--target-labels=never") as (drop, _),
                watching(address, INTERVAL_S, "--target-labels=never", "--stale-policy=serve") as (serve, _),
            ):
                began = time.monotonic()
                while (now := time.monotonic() - began) < end_s:
                    if kill_s <= now < start_s and server.poll() is None:
                        server.kill()
                        server.wait()
                    if now >= start_s and server.poll() is not None:
                        server = _server(redis, folder)
                    for name, port in ((SERVE, serve), (DROP, drop)):
                        page = scrape(port).decode()
                        lines.setdefault(name, []).append((now, _value(page, AGE)))
                    lines.setdefault(UP, []).append((now, _value(page, UP)))
                    shown.append((now, _value(page, VALUE)))
                    time.sleep(READ_EVERY_S)
        finally:
            server.kill()
            server.wait()
    down = [moment for moment, up in lines[UP] if up == 0]
    gone = [moment for moment, value in shown if math.isnan(value)]
    chart = Chart(
        "staleness",
        f"A server is killed at {kill_s:g} s and started again at {start_s:g} s (polls every second)",
        "seconds",
        "age in seconds, redis_up",
        lines,
    )
    return Result(
        [
            at_most(
                "killed to redis_up 0", min(down, default=math.nan) - kill_s, 2 * INTERVAL_S + PAGE_S, "s"
            ),
            at_most("killed to values left out", min(gone, default=math.nan) - kill_s, STALE_S + PAGE_S, "s"),
            at_most("started to redis_up 1", max(down, default=math.nan) - start_s, 4 * INTERVAL_S, "s"),
        ],
        [chart],
    )


def _server(port: int, folder: str) -> subprocess.Popen[bytes]:
    pathlib.Path(folder).mkdir(exist_ok=True)
    return subprocess.Popen(
        [binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _value(page: str, series: str) -> float:
    """NaN if the page does not have it."""
    for line in page.splitlines():
        if line.startswith(f"{series} "):
            return float(line.split()[-1])
    return math.nan
