"""What one poll of a healthy target costs, with real servers: the CPU of the whole process, from /proc. The
build before, if there is one, polls the same servers in the same seconds."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence

from bench.builds import BEFORE, THIS
from bench.figures import Figure, at_most, plain
from bench.process import scrape, total, usage, watching
from bench.scraper import series
from bench.servers import redis_servers
from bench.setup import Result, Setup

OURS = THIS.name
GOAL_US = 150.0
BEFORE_GOAL = 0.3

#: CPU µs and sleeps of a poll, and how many polls there were
Row = tuple[float, float, float]


def run(setup: Setup) -> Result:
    servers, interval_s, rounds, intervals = (10, 1, 1, 2) if setup.quick else (300, 5, 3, 12)
    builds = {OURS: THIS, **({BEFORE: setup.before} if setup.before else {})}
    with contextlib.ExitStack() as stack:
        ports = stack.enter_context(redis_servers(servers))
        addresses = [f"redis://127.0.0.1:{port}" for port in ports]
        running = {
            name: stack.enter_context(watching(addresses, interval_s, build=build))
            for name, build in builds.items()
        }
        time.sleep(interval_s)  # past the first polls
        rows: dict[str, list[Row]] = {name: [] for name in builds}
        for _ in range(rounds):
            for name, row in _measure(running, intervals * interval_s).items():
                rows[name].append(row)
        count = {name: series(scrape(port)) // servers for name, (port, _) in running.items()}
    return Result(list(_figures(rows, f"{servers} servers every {interval_s} s", count)))


def _figures(rows: Mapping[str, Sequence[Row]], what: str, count: Mapping[str, int]) -> Iterator[Figure]:
    for name, of in rows.items():
        cpu_us, switches, polls = (statistics.median(column) for column in zip(*of, strict=True))
        detail = f"{what}, {polls:.0f} polls, median of {len(of)}; {count[name]:,} series each"
        figure = f"CPU of one poll: {name}"
        if name == OURS:
            yield at_most(figure, cpu_us, GOAL_US, "µs", detail)
        else:
            yield plain(figure, cpu_us, "µs", detail)
        yield plain(f"voluntary context switches of one poll: {name}", switches)
    if BEFORE in rows:
        ratio = statistics.median(
            ours[0] / before[0] for ours, before in zip(rows[OURS], rows[BEFORE], strict=True)
        )
        yield at_most(f"CPU of one poll / that of {BEFORE}", ratio, BEFORE_GOAL, detail="in the same seconds")


def _measure(running: Mapping[str, tuple[int, int]], seconds: float) -> dict[str, Row]:
    """The page that counts the polls is not counted."""
    polls_before = {name: _polls(port) for name, (port, _) in running.items()}
    time.sleep(3.5)  # the pages that this scrape asked for are built and done with
    before = {name: usage(pid) for name, (_, pid) in running.items()}
    began = time.monotonic()
    time.sleep(seconds)
    after = {name: usage(pid) for name, (_, pid) in running.items()}
    took_s = time.monotonic() - began
    found = {}
    for name, (port, _) in running.items():
        polls = (_polls(port) - polls_before[name]) * took_s / (took_s + 3.5)
        cpu_us = (after[name].cpu_s - before[name].cpu_s) * 1e6 / polls
        found[name] = (cpu_us, (after[name].switches - before[name].switches) / polls, polls)
    return found


def _polls(port: int) -> float:
    """Every poll has the fast lane."""
    return total(scrape(port), "redis_exporter_target_polls_total", 'lane="fast"')
