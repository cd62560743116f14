"""One exporter beside one Redis: what it needs, and how soon it answers, beside the Go exporter.

Both watch a server of their own with the same data and history, at the same time, scraped every 5 s for a
minute over a kept connection. Ours runs with its default flags and `/metrics`, the Go exporter with
`/scrape?target=`. Memory is the most that was resident at any moment (VmHWM), for that is what a container is
ended for. The start is timed apart, in alternating rounds: from the start of the process to a page that says
`redis_up 1`.
"""

from __future__ import annotations

import contextlib
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.commandstats import accounts
from bench.figures import Figure, at_most, plain
from bench.ports import free_ports
from bench.process import exporter, scrape, total, usage
from bench.rivals import go_exporter
from bench.scraper import scraping, series
from bench.servers import redis_servers
from bench.setup import Result, Setup

OURS = "ours"
#: 128Mi, 100m CPU
MEMORY_MB, CPU_S = 134.2, 6
UP_WITHIN_S = 30
#: our CPU of the first rival's
RIVAL_GOAL = 0.35

#: an exporter as it runs: its port, its process, and the path of its page
Running = tuple[int, int, str]


@dataclass(frozen=True)
class Needed:
    peak_mb: float
    rss_mb: float
    cpu_s_a_minute: float
    series: int


def run(setup: Setup) -> Result:
    rounds, interval_s, watch_s = (1, 0.5, 2.0) if setup.quick else (5, 5.0, 60.0)
    with redis_servers(1 + len(setup.rivals)) as ports, accounts(ports):
        starts: dict[str, Callable[[], AbstractContextManager[Running]]] = {OURS: lambda: _ours(ports[0])}
        for rival, port in zip(setup.rivals, ports[1:], strict=True):
            starts[rival.name] = lambda rival=rival, port=port: _go(rival.path, port)  # type: ignore[misc]
        setup.note("starts")
        seconds: dict[str, list[float]] = {name: [] for name in starts}
        for _ in range(rounds):
            for name, start in starts.items():
                seconds[name].append(_first_page_s(start))
        setup.note(f"{watch_s:g} s of scrapes")
        needed = _needed(starts, interval_s, watch_s)
    return Result([*_figures(needed, watch_s, interval_s), *_start_figures(seconds)])


@contextlib.contextmanager
def _ours(redis_port: int) -> Iterator[Running]:
    [port] = free_ports(1)
    with exporter(port, [f"--redis.addr=redis://127.0.0.1:{redis_port}"]) as process:
        yield port, process.pid, "/metrics"


@contextlib.contextmanager
def _go(path: str, redis_port: int) -> Iterator[Running]:
    with go_exporter(path) as (port, pid):
        yield port, pid, f"/scrape?target=redis://127.0.0.1:{redis_port}"


def _first_page_s(start: Callable[[], AbstractContextManager[Running]]) -> float:
    began = time.monotonic()
    with start() as (port, _, path):
        while total(scrape(port, path), "redis_up") != 1:
            if time.monotonic() - began > UP_WITHIN_S:
                raise SystemExit(f"bench: redis_up was not 1 on {path} after {UP_WITHIN_S} s")
            time.sleep(0.01)
        return time.monotonic() - began


def _needed(
    starts: dict[str, Callable[[], AbstractContextManager[Running]]], interval_s: float, watch_s: float
) -> dict[str, Needed]:
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(start()) for name, start in starts.items()}
        scrapers = {
            name: stack.enter_context(scraping(port, [path], interval_s))
            for name, (port, _, path) in running.items()
        }
        time.sleep(interval_s)  # past the start
        before = {name: usage(pid).cpu_s for name, (_, pid, _) in running.items()}
        began = time.monotonic()
        time.sleep(watch_s)
        minutes = (time.monotonic() - began) / 60
        needed = {}
        for name, (_, pid, path) in running.items():
            after = usage(pid)
            if scrapers[name].failed or path not in scrapers[name].pages:
                raise SystemExit(
                    f"bench: {scrapers[name].failed} of {scrapers[name].scrapes} scrapes failed: {name}"
                )
            cpu_s = (after.cpu_s - before[name]) / minutes
            needed[name] = Needed(
                _peak_bytes(pid) / 1e6, after.rss_bytes / 1e6, cpu_s, series(scrapers[name].pages[path])
            )
        return needed


def _peak_bytes(pid: int) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"bench: /proc/{pid}/status has no VmHWM")


def _figures(needed: dict[str, Needed], watch_s: float, interval_s: float) -> Iterator[Figure]:
    details = {name: f"{of.rss_mb:.1f} MB at the end; {of.series:,} series" for name, of in needed.items()}
    yield at_most(
        "resident memory beside one Redis, peak: ours", needed[OURS].peak_mb, MEMORY_MB, "MB", details[OURS]
    )
    rivals = [name for name in needed if name != OURS]
    for name in rivals:
        yield plain(
            f"resident memory beside one Redis, peak: {name}", needed[name].peak_mb, "MB", details[name]
        )
    over = f"{watch_s:g} s, scraped every {interval_s:g} s"
    yield at_most(
        "CPU a minute: ours",
        needed[OURS].cpu_s_a_minute,
        CPU_S,
        "s",
        f"{over}, {needed[OURS].series:,} series",
    )
    for number, name in enumerate(rivals):
        detail = f"{over}, {needed[name].series:,} series"
        yield plain(f"CPU a minute: {name}", needed[name].cpu_s_a_minute, "s", detail)
        ratio = needed[OURS].cpu_s_a_minute / needed[name].cpu_s_a_minute
        what = f"CPU a minute / that of {name}"
        yield plain(what, ratio) if number else at_most(what, ratio, RIVAL_GOAL)


def _start_figures(seconds: dict[str, list[float]]) -> Iterator[Figure]:
    for name, each in seconds.items():
        detail = f"median of {len(each)}, {min(each):.2f} to {max(each):.2f} s"
        what = f"start to a page with redis_up 1: {name}"
        if name == OURS:
            yield at_most(what, statistics.median(each), 2, "s", detail)
        else:
            yield plain(what, statistics.median(each), "s", detail)
