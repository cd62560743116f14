"""What one poll of a healthy target costs, with real servers: the CPU of the whole process, from /proc."""

from __future__ import annotations

import time

from bench.figures import at_most, plain
from bench.process import exporter, scrape, total, usage
from bench.servers import free_ports, redis_servers
from bench.setup import Result, Setup


def run(setup: Setup) -> Result:
    servers, interval_s, rounds, intervals = (10, 1, 1, 2) if setup.quick else (300, 5, 3, 4)
    with redis_servers(servers) as ports:
        addresses = ",".join(f"redis://127.0.0.1:{port}" for port in ports)
        [port] = free_ports(1)
        with exporter(port, [f"--poll.interval={interval_s}s"], {"REDIS_ADDR": addresses}) as process:
            time.sleep(interval_s)  # past the first polls
            rows = [_measure(port, process.pid, intervals * interval_s) for _ in range(rounds)]
    cpu_us, switches, polls = sorted(rows)[len(rows) // 2]
    return Result(
        [
            at_most(
                "CPU of one poll",
                cpu_us,
                150,
                "µs",
                f"{servers} servers every {interval_s} s, {polls:.0f} polls, median of {rounds}",
            ),
            plain("voluntary context switches of one poll", switches),
        ]
    )


def _measure(port: int, pid: int, seconds: float) -> tuple[float, float, float]:
    """CPU microseconds and sleeps per poll, and how many polls there were. The page that counts them is
    not counted."""
    polls_before = _polls(port)
    time.sleep(3.5)  # the pages that this scrape asked for are built and done with
    before = usage(pid)
    began = time.monotonic()
    time.sleep(seconds)
    after = usage(pid)
    took_s = time.monotonic() - began
    polls = (_polls(port) - polls_before) * took_s / (took_s + 3.5)
    return (after.cpu_s - before.cpu_s) * 1e6 / polls, (after.switches - before.switches) / polls, polls


def _polls(port: int) -> float:
    """Every poll has the fast lane."""
    return total(scrape(port, "/metrics"), "redis_exporter_target_polls_total", 'lane="fast"')
