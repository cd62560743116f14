"""How long a scrape takes: of one target, beside the Go exporter and beside nginx with the same bytes, and
of 500 targets."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from bench.builds import THIS
from bench.charts import Chart, distribution
from bench.figures import Figure, at_most, plain
from bench.http import Client
from bench.measure import percentile
from bench.nginx import nginx, program
from bench.ports import free_ports
from bench.process import exporter, usage
from bench.rivals import go_exporter
from bench.scraper import series
from bench.servers import redis_servers
from bench.setup import Result, Setup

DATABASES = 10

OURS, LIMIT = THIS.name, "nginx, the same bytes"
RIVAL_GOAL, LIMIT_GOAL, LIMIT_CPU_GOAL = 0.05, 1.3, 1.5


def run(setup: Setup) -> Result:
    rounds, requests = (1, 10) if setup.quick else (5, 120)
    setup.note("one target")
    figures, seconds = _one_target(setup, rounds, requests)
    setup.note("many targets")
    figures += _many_targets(2 if setup.quick else 50, rounds, max(5, requests // 6))
    chart = Chart(
        "scrape-latency",
        "A scrape of one target",
        "milliseconds",
        "part of the scrapes",
        {
            name: [(1e3 * value, part) for value, part in distribution(values)]
            for name, values in seconds.items()
        },
        log_x=True,
    )
    return Result(figures, [chart])


@contextlib.contextmanager
def ours(ports: list[int], databases: int = 1) -> Iterator[tuple[int, int]]:
    """The exporter with every database of every server as a target; its port and process."""
    [port] = free_ports(1)
    addresses = ",".join(f"redis://127.0.0.1:{server}/{db}" for server in ports for db in range(databases))
    with exporter(port, (), {"REDIS_ADDR": addresses}) as process:
        time.sleep(1.5)  # the first polls' page is not that of every other one
        yield port, process.pid


def alternate(clients: Mapping[str, Client], rounds: int, requests: int) -> dict[str, list[float]]:
    """Seconds of each one's requests, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(rounds):
        for name, client in clients.items():
            client.ask()
            seconds[name] += [client.ask().seconds for _ in range(requests)]
    return seconds


def spread(values: list[float], rounds: int) -> str:
    """The least and the largest median of a round, in milliseconds."""
    size = max(1, len(values) // rounds)
    medians = [
        statistics.median(values[first : first + size]) * 1e3 for first in range(0, size * rounds, size)
    ]
    return f"{min(medians):.3f} to {max(medians):.3f} ms in {rounds} rounds"


def _one_target(setup: Setup, rounds: int, requests: int) -> tuple[list[Figure], dict[str, list[float]]]:
    with ExitStack() as stack:
        [server] = stack.enter_context(redis_servers(1))
        port, _ = stack.enter_context(ours([server]))
        clients = {OURS: Client(port)}
        pages = {OURS: clients[OURS].ask()}
        for rival in setup.rivals:
            port, _ = stack.enter_context(go_exporter(rival.path))
            clients[rival.name] = Client(port, f"/scrape?target=redis://127.0.0.1:{server}")
            pages[rival.name] = clients[rival.name].ask()
        if program():
            limit_port, _ = stack.enter_context(nginx(pages[OURS].body))
            clients[LIMIT] = Client(limit_port)
        seconds = alternate(clients, rounds, requests)
        for client in clients.values():
            client.close()
    figures: list[Figure] = []
    for name, values in seconds.items():
        of = f"{series(pages[name].page.encode()):,} series, " if name in pages else ""
        figures.append(
            plain(
                f"one target, {name}: p50", percentile(values, 0.5) * 1e3, "ms", of + spread(values, rounds)
            )
        )
        figures.append(plain(f"one target, {name}: p99", percentile(values, 0.99) * 1e3, "ms"))
    for rival in setup.rivals:
        for name, part in (("p50", 0.5), ("p99", 0.99)):
            ratio = percentile(seconds[OURS], part) / percentile(seconds[rival.name], part)
            figures.append(at_most(f"one target: {name} / that of {rival.name}", ratio, RIVAL_GOAL))
    if LIMIT in seconds:
        ratio = percentile(seconds[OURS], 0.5) / percentile(seconds[LIMIT], 0.5)
        figures.append(at_most("one target: p50 / that of nginx with the same bytes", ratio, 3))
    return figures, seconds


def _many_targets(servers: int, rounds: int, requests: int) -> list[Figure]:
    if not program():
        return []
    targets = servers * DATABASES
    with redis_servers(servers) as ports, ours(ports, DATABASES) as (port, pid):
        client = Client(port)
        answer = client.ask()
        plain_bytes, count = len(answer.page), series(answer.page.encode())
        with nginx(answer.body) as (limit_port, limit_pid):
            limit = Client(limit_port)
            seconds = alternate({OURS: client, LIMIT: limit}, rounds, requests)
            cpu_us = {
                name: statistics.median(_cpu_us(asked, of, requests) for _ in range(rounds))
                for name, asked, of in ((OURS, client, pid), (LIMIT, limit, limit_pid))
            }
            limit.close()
        client.close()
    medians = {name: percentile(values, 0.5) for name, values in seconds.items()}
    detail = f"{count:,} series, {plain_bytes / 1e6:.1f} MB, {len(answer.body) / 1e6:.2f} MB compressed"
    return [
        plain(
            f"{targets} targets, {OURS}: whole transfer, p50",
            medians[OURS] * 1e3,
            "ms",
            f"{detail}, {spread(seconds[OURS], rounds)}",
        ),
        plain(
            f"{targets} targets, {LIMIT}: whole transfer, p50",
            medians[LIMIT] * 1e3,
            "ms",
            spread(seconds[LIMIT], rounds),
        ),
        at_most(
            f"{targets} targets: whole transfer / that of nginx with the same file",
            medians[OURS] / medians[LIMIT],
            LIMIT_GOAL,
            detail=f"{count:,} series",
        ),
        at_most(
            f"{targets} targets: server CPU of a transfer / that of nginx with the same file",
            cpu_us[OURS] / cpu_us[LIMIT],
            LIMIT_CPU_GOAL,
            detail=f"{cpu_us[OURS]:,.0f} µs against {cpu_us[LIMIT]:,.0f}, {requests} transfers at once",
        ),
    ]


def _cpu_us(client: Client, pid: int, requests: int) -> float:
    """CPU of a process by request, less what it needs in the same time without any."""
    before, began = usage(pid).cpu_s, time.monotonic()
    for _ in range(requests):
        client.ask()
    busy_s, took_s = usage(pid).cpu_s - before, time.monotonic() - began
    before = usage(pid).cpu_s
    time.sleep(took_s)
    return max(0.0, busy_s - (usage(pid).cpu_s - before)) * 1e6 / requests
