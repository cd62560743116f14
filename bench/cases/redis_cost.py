"""What being watched costs Redis: microseconds of its thread (by `INFO commandstats`), and connections.

Groups of servers with the same data and history, all at the same time: one is watched by the exporter as it
is (default lanes), one by the exporter with every lane at 5 s, one by each Go exporter with a
`/scrape?target=` for each server every 5 s, and one by nobody. The account runs for four slow intervals,
twice the longest time between two questions, and begins between two polls of that lane. The questions of
the account itself are taken off. Accepting a connection is in no command's statistics, so the 12 a minute
that a Go exporter opens cost nothing in this figure. They are in the other one: the CPU of the servers'
processes with their work in the kernel, by /proc, less that of the servers that nobody watches.

Connections are counted in an hour that takes three minutes: every interval, and the age at which a connection
is replaced, is a 20th of the default, on fresh groups of servers; half an hour of that hour is watched.

A full run takes seven minutes.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.commandstats import Spent, accounts
from bench.figures import Figure, at_most, plain
from bench.ports import free_ports
from bench.process import exporter, usage
from bench.rivals import Rival, go_exporter
from bench.scraper import Scraper, scraping, series
from bench.servers import redis_processes
from bench.setup import Result, Setup

DEFAULT, EQUAL, IDLE = "ours, default lanes", "ours, every lane at the fast interval", "nobody"
#: ours of each rival's
THREAD_GOALS, PROCESS_GOALS, EQUAL_GOAL = (0.25, 0.16), (0.25, 0.17), 1 / 1.2
#: seconds as the options' defaults have them
FAST_S, STANDARD_S, SLOW_S, CONNECTION_S = 5.0, 15.0, 60.0, 600.0
FASTER = 20
#: the exporter polls every 0.1 s at the most
FASTEST = 50
TOP = 5
HISTOGRAM = "latency|histogram"


@dataclass(frozen=True)
class Plan:
    """`pace`: what times are divided by. `settle_s` passes before the account begins."""

    pace: float
    settle_s: float
    watch_s: float


@dataclass(frozen=True)
class Watched:
    """What was spent on each server of one group, how many CPU seconds their processes took, and how many
    series a server's page had."""

    spent: Sequence[Spent]
    cpu_s: float
    series: int

    def connections_per_hour(self, watch_s: float, pace: float) -> float:
        return statistics.mean(each.connections for each in self.spent) * 3600 / (watch_s * pace)


def run(setup: Setup) -> Result:
    servers = 1 if setup.quick else 5
    # 2.5 s off the beat of every lane, and past the polls that learn when scrapes come
    cost = Plan(FASTEST, 0.55, 4 * SLOW_S / FASTEST) if setup.quick else Plan(1, 22.5, 4 * SLOW_S)
    hour = Plan(FASTEST, 0.5, 4) if setup.quick else Plan(FASTER, 3, 1800 / FASTER)
    rivals = [rival.name for rival in setup.rivals]
    groups = [DEFAULT, EQUAL, IDLE, *rivals]
    setup.note(f"{cost.watch_s:g} s of polls")
    watched = _watch(setup, groups, servers, cost)
    figures = list(_cost_figures(watched, cost, setup.rivals))
    setup.note(f"{hour.watch_s * hour.pace / 60:g} minutes of connections in {hour.watch_s:g} s")
    return Result(
        [
            *figures,
            *_connection_figures(_watch(setup, [DEFAULT, *rivals], servers, hour), hour),
        ]
    )


def _watch(setup: Setup, groups: Sequence[str], servers: int, plan: Plan) -> dict[str, Watched]:
    with contextlib.ExitStack() as stack:
        processes = stack.enter_context(redis_processes(servers * len(groups)))
        books = stack.enter_context(accounts(list(processes)))
        scrapers = {}
        for number, group in enumerate(groups):
            ports = list(processes)[number * servers : (number + 1) * servers]
            addresses = [f"redis://127.0.0.1:{port}" for port in ports]
            scrapers[group] = stack.enter_context(_watching(setup, group, addresses, plan.pace))
        time.sleep(plan.settle_s)
        for book in books:
            book.begin()
        before_s = [usage(pid).cpu_s for pid in processes.values()]
        time.sleep(plan.watch_s)
        after_s = [usage(pid).cpu_s for pid in processes.values()]
        cpu_s = [after - before for before, after in zip(before_s, after_s, strict=True)]
        spent = [book.spent() for book in books]
        watched = {}
        for number, (group, scraper) in enumerate(scrapers.items()):
            of_group = slice(number * servers, (number + 1) * servers)
            pages = scraper.pages if scraper else {}
            if scraper and (scraper.failed or not pages):
                raise SystemExit(f"bench: {scraper.failed} of {scraper.scrapes} scrapes failed: {group}")
            count = sum(series(page) for page in pages.values()) // servers
            watched[group] = Watched(spent[of_group], statistics.median(cpu_s[of_group]), count)
        return watched


@contextlib.contextmanager
def _watching(setup: Setup, group: str, addresses: list[str], pace: float) -> Iterator[Scraper | None]:
    """One exporter of one group of servers, scraped at the fast interval, or none."""
    rivals = {rival.name: rival for rival in setup.rivals}
    with contextlib.ExitStack() as stack:
        if group == IDLE:
            yield None
            return
        if group in rivals:
            port, _ = stack.enter_context(go_exporter(rivals[group].path))
            paths = [f"/scrape?target={address}" for address in addresses]
        else:
            [port] = free_ports(1)
            stack.enter_context(exporter(port, [f"--redis.addr={','.join(addresses)}", *_flags(group, pace)]))
            paths = ["/metrics"]
        yield stack.enter_context(scraping(port, paths, FAST_S / pace))


def _flags(group: str, pace: float) -> list[str]:
    """None for the default lanes at their own pace."""
    times = (
        {}
        if pace == 1
        else {"poll.interval": FAST_S, "poll.standard-interval": STANDARD_S, "poll.slow-interval": SLOW_S}
    )
    if group == EQUAL:
        times |= {"poll.standard-interval": FAST_S, "poll.slow-interval": FAST_S}
    if pace != 1:
        times |= {"connection-max-age": CONNECTION_S}
    # every collector in every turn of its lane, as the Go exporter does
    each_turn = ["--poll.thrifty=false"] if group == EQUAL else []
    return [*each_turn, *(f"--{flag}={seconds / pace * 1000:g}ms" for flag, seconds in times.items())]


def _cost_figures(watched: dict[str, Watched], plan: Plan, rivals: Sequence[Rival]) -> Iterator[Figure]:
    """Per target and minute of the lanes as they are by default, whatever the pace."""
    minutes = plan.watch_s * plan.pace / 60
    idle_us = watched[IDLE].cpu_s * 1e6 / minutes
    thread = {
        group: statistics.median(each.total_us for each in of.spent) / minutes
        for group, of in watched.items()
        if group != IDLE
    }
    process = {group: watched[group].cpu_s * 1e6 / minutes - idle_us for group in thread}
    for group in thread:
        of = watched[group]
        each_us = [each.total_us / minutes for each in of.spent]
        count = f"{len(each_us)} servers, {of.series} series a server"
        spread = f"{min(each_us):.0f} to {max(each_us):.0f} over {count}; {_top(of.spent, minutes)}"
        yield plain(f"Redis' thread per target and minute: {group}", thread[group], "µs", spread)
        less = f"median of {count}, less {idle_us:.0f} of one that nobody watches"
        yield plain(f"Redis' process per target and minute: {group}", process[group], "µs", less)
    for rival in rivals:
        yield from _beside(rival, thread, process, watched, plan)


def _beside(
    rival: Rival, thread: dict[str, float], process: dict[str, float], watched: dict[str, Watched], plan: Plan
) -> Iterator[Figure]:
    name = rival.name
    detail = f"{watched[DEFAULT].series} series against {watched[name].series}; "
    detail += f"{plan.watch_s * plan.pace:g} s of 5 s polls and 5 s scrapes"
    if plan.pace != 1:
        detail += f", all times divided by {plan.pace:g}"
    for what, spent, group, goal in (
        ("Redis' thread, default lanes", thread, DEFAULT, rival.goal(THREAD_GOALS)),
        ("Redis' process with its kernel work, default lanes", process, DEFAULT, rival.goal(PROCESS_GOALS)),
        ("Redis' thread, every lane at 5 s", thread, EQUAL, EQUAL_GOAL),
    ):
        yield at_most(f"{what} / {name}", spent[group] / spent[name], goal, detail=detail)
    if not any(HISTOGRAM in each.us for each in watched[name].spent):
        less_us = statistics.median(
            each.total_us - each.us.get(HISTOGRAM, 0) for each in watched[EQUAL].spent
        )
        ratio = less_us / (plan.watch_s * plan.pace / 60) / thread[name]
        yield plain("the same less our LATENCY HISTOGRAM", ratio, detail=f"{name} does not ask for it")


def _top(spent: Sequence[Spent], minutes: float) -> str:
    """The commands that cost most: microseconds and calls per minute, means over the servers."""
    per_minute = minutes * len(spent)
    us = {
        name: sum(each.us.get(name, 0) for each in spent) / per_minute for each in spent for name in each.us
    }
    calls = {name: sum(each.calls.get(name, 0) for each in spent) / per_minute for name in us}
    ranked = sorted(us, key=us.__getitem__, reverse=True)[:TOP]
    return ", ".join(f"{name} {us[name]:.0f} µs in {calls[name]:.3g}" for name in ranked)


def _connection_figures(watched: dict[str, Watched], plan: Plan) -> Iterator[Figure]:
    detail = (
        f"mean of {len(watched[DEFAULT].spent)} servers in {plan.watch_s:g} s, all times divided "
        f"by {plan.pace:g}"
    )
    yield at_most(
        "connections opened on Redis in an hour: ours",
        watched[DEFAULT].connections_per_hour(plan.watch_s, plan.pace),
        10,
        "",
        detail,
    )
    for name in (group for group in watched if group != DEFAULT):
        yield plain(
            f"connections opened on Redis in an hour: {name}",
            watched[name].connections_per_hour(plan.watch_s, plan.pace),
            "",
            detail,
        )
