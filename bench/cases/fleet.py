"""CPU against the number of targets: one page of all for us, a `/scrape` of each for the Go exporter, at the same interval."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from bench.charts import Chart
from bench.figures import Figure, at_most, plain
from bench.process import Usage, exporter, scrape, total, usage
from bench.rivals import go_exporter
from bench.scraper import scraping, series
from bench.servers import free_ports, redis_servers
from bench.setup import Result, Setup
from bench.simulator import raise_open_files, simulated

INTERVAL_S = 5.0
SIZES = (1, 10, 50, 200, 500, 1000, 2000)
#: the most that the Go exporter is asked for: beyond it the scraper's own work keeps it from its pace
RIVAL_MAX = 500
#: CPU µs per target and interval
GOALS_US = {50: 200.0, 500: 120.0}
LARGE, LARGE_INTERVAL_S, PARTS = 10_000, 15.0, 20


def run(setup: Setup) -> Result:
    raise_open_files()
    intervals = 1 if setup.quick else 5
    sizes = (1, 10) if setup.quick else tuple(size for size in SIZES if setup.real is None or size <= setup.real)
    figures: list[Figure] = []
    ours: dict[int, float] = {}
    rival: dict[int, float] = {}
    for size in sizes:
        setup.note(f"{size} targets")
        with _targets(size, setup) as addresses:
            ours[size] = _page(addresses, intervals, figures)
            if setup.rival and size <= RIVAL_MAX:
                rival[size] = _rival(setup.rival, addresses, intervals, figures)
            if size == max(sizes[:1] if setup.quick else [each for each in sizes if each <= RIVAL_MAX]):
                figures += _compared(addresses, intervals, ours[size], rival.get(size), setup)
    if {50, 2000} <= ours.keys():
        figures.append(at_most("2,000 targets: CPU of one / that of one of 50", ours[2000] / ours[50], 1.1))
    if not setup.quick and setup.real is None:
        setup.note(f"{LARGE:,} targets in parts")
        figures += _large()
    lines = {"redpoll, one page": sorted(ours.items()), "the Go exporter, /scrape of each": sorted(rival.items())}
    drawn = {name: [(float(size), us * size / INTERVAL_S / 1e4) for size, us in points] for name, points in lines.items() if points}
    title = f"CPU against targets, every {INTERVAL_S:g} s"
    return Result(figures, [Chart("fleet-cpu", title, "targets", "percent of one core", drawn, log_x=True, log_y=True)])


@contextlib.contextmanager
def _targets(count: int, setup: Setup) -> Iterator[list[str]]:
    if setup.real is None:
        with simulated(count) as addresses:
            yield addresses
    else:
        with redis_servers(count) as ports:
            yield [f"redis://127.0.0.1:{port}" for port in ports]


def _measure(pid: int, targets: int, intervals: int) -> tuple[float, float, float]:
    """CPU µs and sleeps per target and interval, and the share of one core."""
    before, began = usage(pid), time.monotonic()
    time.sleep(intervals * INTERVAL_S)
    after, took_s = usage(pid), time.monotonic() - began
    turns = targets * took_s / INTERVAL_S
    return (after.cpu_s - before.cpu_s) * 1e6 / turns, (after.switches - before.switches) / turns, (after.cpu_s - before.cpu_s) / took_s


def _page(addresses: Sequence[str], intervals: int, figures: list[Figure], *flags: str) -> float:
    """CPU µs of one target and interval, with one page of all of them."""
    [port] = free_ports(1)
    with exporter(port, flags, {"REDIS_ADDR": ",".join(addresses)}) as process, scraping(port, ["/metrics"], INTERVAL_S) as scraper:
        time.sleep((5.5 if intervals > 1 else 1.5) * INTERVAL_S)  # the rhythm is learnt, and the groups are made
        cpu_us, switches, share = _measure(process.pid, len(addresses), intervals)
        count = _all_up(scraper.pages["/metrics"], len(addresses))
    what = " ".join(("redpoll, one page", *flags))
    detail = f"{switches:.2f} voluntary switches, {share:.2%} of one core, {count:,} series"
    name = f"{len(addresses):,} targets, {what}: CPU of one and interval"
    goal = GOALS_US.get(len(addresses)) if not flags else None
    figures.append(plain(name, cpu_us, "µs", detail) if goal is None else at_most(name, cpu_us, goal, "µs", detail))
    return cpu_us


def _all_up(page: bytes, targets: int) -> int:
    """How many series a page has on which every target is up."""
    if total(page, "redis_up") != targets:
        raise SystemExit(f"bench: {total(page, 'redis_up'):.0f} of {targets} targets were up")
    return series(page)


def _scrapes(port: int, pid: int, addresses: Sequence[str], intervals: int) -> tuple[float, int]:
    """CPU µs of one target and interval with a `/scrape` of each, and how many series those had."""
    with scraping(port, [f"/scrape?target={address}" for address in addresses], INTERVAL_S) as scraper:
        time.sleep(1.5 * INTERVAL_S)
        before, scrapes = usage(pid), scraper.scrapes
        time.sleep(intervals * INTERVAL_S)
        after, scrapes = usage(pid), scraper.scrapes - scrapes
        if scraper.failed:
            raise SystemExit(f"bench: {scraper.failed} of {scraper.scrapes} scrapes failed")
        count = sum(_all_up(page, 1) for page in scraper.pages.values())
    return _cpu_us(before, after) / scrapes, count


def _cpu_us(before: Usage, after: Usage) -> float:
    return (after.cpu_s - before.cpu_s) * 1e6


def _rival(path: str, addresses: Sequence[str], intervals: int, figures: list[Figure]) -> float:
    with go_exporter(path) as (port, pid):
        cpu_us, count = _scrapes(port, pid, addresses, intervals)
    name = f"{len(addresses):,} targets, the Go exporter: CPU of one and interval"
    figures.append(plain(name, cpu_us, "µs", f"one /scrape each, {count:,} series"))
    return cpu_us


def _compared(addresses: Sequence[str], intervals: int, in_step_us: float, rival_us: float | None, setup: Setup) -> list[Figure]:
    """The same targets with plain timers, and with `/scrape` of each as the Go exporter is asked."""
    figures: list[Figure] = []
    spread_us = _page(addresses, intervals, figures, "--poll.align=off")
    [port] = free_ports(1)
    with exporter(port, [], {"REDIS_ADDR": ",".join(addresses)}) as process:
        each_us, count = _scrapes(port, process.pid, addresses, intervals)
    figures.append(
        plain(f"{len(addresses):,} targets, redpoll, /scrape of each: CPU of one and interval", each_us, "µs", f"{count:,} series")
    )
    if rival_us is not None:
        of = f"{len(addresses):,} targets, CPU / that of the Go exporter"
        figures.append(at_most(f"{of}: one page, in step with it", in_step_us / rival_us, 1 / 40))
        figures.append(at_most(f"{of}: one page, plain timers", spread_us / rival_us, 1 / 30))
        figures.append(at_most(f"{of}: /scrape of each for both", each_us / rival_us, 1 / 10))
    return figures


def _large() -> list[Figure]:
    [port] = free_ports(1)
    paths = [f"/metrics?part={part}/{PARTS}" for part in range(PARTS)]
    flags = [f"--poll.interval={LARGE_INTERVAL_S:g}s", "--poll.standard-interval=45s", "--poll.slow-interval=3m"]
    with ExitStack() as stack:
        addresses = stack.enter_context(simulated(LARGE))
        # one flag, or a variable, may not be as long as all of them
        flags += [f"--redis.addr={','.join(addresses[first : first + 1000])}" for first in range(0, LARGE, 1000)]
        process = stack.enter_context(exporter(port, flags))
        with scraping(port, paths, LARGE_INTERVAL_S) as scraper:
            time.sleep(4.5 * LARGE_INTERVAL_S)
            before, began = usage(process.pid), time.monotonic()
            time.sleep(4 * LARGE_INTERVAL_S)
            share = (usage(process.pid).cpu_s - before.cpu_s) / (time.monotonic() - began)
            count = sum(series(page) for page in scraper.pages.values())
        page = scrape(port, "/metrics?name[]=redis_exporter_target_polls_skipped_total&name[]=redis_up")
        rss = usage(process.pid).rss_bytes
    what = f"{LARGE:,} targets every {LARGE_INTERVAL_S:g} s in {PARTS} parts"
    detail = f"{count:,} series, {total(page, 'redis_up'):,.0f} targets up, {rss / 1e6:.0f} MB resident"
    return [
        at_most(f"{what}: share of one core", share, 0.25, "", detail),
        at_most(f"{what}: polls skipped", total(page, "redis_exporter_target_polls_skipped_total"), 0),
    ]
