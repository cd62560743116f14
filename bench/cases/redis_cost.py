"""What being watched costs Redis: microseconds of its thread (by `INFO commandstats`), and connections.

Three groups of servers with the same data and history, all at the same time: one is watched by the exporter
as it is (lanes of 5 s, 15 s and 60 s), one by the exporter with every lane at 5 s, one by the Go exporter
with a `/scrape?target=` for each server every 5 s. The account runs for two whole slow intervals and begins
between two polls of that lane. The questions of the account itself are taken off. Accepting a connection is
in no command's statistics, so the 12 a minute that the Go exporter opens cost nothing in this figure.

Connections are counted in an hour that takes three minutes: every interval, and the age at which a connection
is made anew, is a 20th of the default, on fresh groups of servers; half an hour of that hour is watched.

A full run takes just under four minutes.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.commandstats import Spent, accounts
from bench.figures import Figure, at_most, plain
from bench.process import exporter
from bench.rivals import go_exporter
from bench.scraper import Scraper, scraping, series
from bench.servers import free_ports, redis_servers
from bench.setup import Result, Setup

DEFAULT, EQUAL, GO = "ours, default lanes", "ours, every lane at the fast interval", "Go exporter"
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
    """What was spent on each server of one group, and how many series a server's page had."""

    spent: Sequence[Spent]
    series: int

    def connections_per_hour(self, watch_s: float, pace: float) -> float:
        return statistics.mean(each.connections for each in self.spent) * 3600 / (watch_s * pace)


def run(setup: Setup) -> Result:
    servers = 1 if setup.quick else 5
    # 2.5 s off the beat of every lane, and past the polls that learn when scrapes come
    cost = Plan(FASTEST, 0.55, 2 * SLOW_S / FASTEST) if setup.quick else Plan(1, 22.5, 2 * SLOW_S)
    hour = Plan(FASTEST, 0.5, 4) if setup.quick else Plan(FASTER, 3, 1800 / FASTER)
    groups = [DEFAULT, EQUAL, *([GO] if setup.rival else [])]
    setup.note(f"{cost.watch_s:g} s of polls")
    watched = _watch(setup, groups, servers, cost)
    figures = list(_cost_figures(watched, cost))
    setup.note(f"{hour.watch_s * hour.pace / 60:g} minutes of connections in {hour.watch_s:g} s")
    return Result(
        [
            *figures,
            *_connection_figures(_watch(setup, [g for g in groups if g != EQUAL], servers, hour), hour),
        ]
    )


def _watch(setup: Setup, groups: Sequence[str], servers: int, plan: Plan) -> dict[str, Watched]:
    with contextlib.ExitStack() as stack:
        ports = stack.enter_context(redis_servers(servers * len(groups)))
        books = stack.enter_context(accounts(ports))
        scrapers = {}
        for number, group in enumerate(groups):
            addresses = [
                f"redis://127.0.0.1:{port}" for port in ports[number * servers : (number + 1) * servers]
            ]
            scrapers[group] = stack.enter_context(_watching(setup, group, addresses, plan.pace))
        time.sleep(plan.settle_s)
        for book in books:
            book.begin()
        time.sleep(plan.watch_s)
        spent = [book.spent() for book in books]
        for group, scraper in scrapers.items():
            if scraper.failed or not scraper.pages:
                raise SystemExit(f"bench: {scraper.failed} of {scraper.scrapes} scrapes failed: {group}")
        return {
            group: Watched(
                spent[number * servers : (number + 1) * servers],
                sum(series(page) for page in scrapers[group].pages.values()) // servers,
            )
            for number, group in enumerate(groups)
        }


@contextlib.contextmanager
def _watching(setup: Setup, group: str, addresses: list[str], pace: float) -> Iterator[Scraper]:
    """One exporter of one group of servers, scraped at the fast interval."""
    with contextlib.ExitStack() as stack:
        if group == GO:
            port, _ = stack.enter_context(go_exporter(setup.rival))
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
    return [f"--{flag}={seconds / pace * 1000:g}ms" for flag, seconds in times.items()]


def _cost_figures(watched: dict[str, Watched], plan: Plan) -> Iterator[Figure]:
    """Per target and minute of the lanes as they are by default, whatever the pace."""
    minutes = plan.watch_s * plan.pace / 60
    medians = {
        group: statistics.median(each.total_us for each in of.spent) / minutes
        for group, of in watched.items()
    }
    for group, of in watched.items():
        each_us = [each.total_us / minutes for each in of.spent]
        spread = (
            f"{min(each_us):.0f} to {max(each_us):.0f} over {len(each_us)} servers, {of.series} series "
            f"a server"
        )
        yield plain(
            f"Redis' thread per target and minute: {group}",
            medians[group],
            "µs",
            f"{spread}; {_top(of.spent, minutes)}",
        )
    if GO not in watched:
        return
    told = f"{plan.watch_s * plan.pace:g} s of 5 s polls and 5 s scrapes"
    if plan.pace != 1:
        told += f", all times divided by {plan.pace:g}"
    yield at_most(
        "Redis' thread, default lanes / Go exporter", medians[DEFAULT] / medians[GO], 1 / 5, detail=told
    )
    yield at_most(
        "Redis' thread, every lane at 5 s / Go exporter", medians[EQUAL] / medians[GO], 1 / 1.2, detail=told
    )
    if not any(HISTOGRAM in each.us for each in watched[GO].spent):
        less_us = (
            statistics.median(each.total_us - each.us.get(HISTOGRAM, 0) for each in watched[EQUAL].spent)
            / minutes
        )
        yield plain(
            "the same less our LATENCY HISTOGRAM",
            less_us / medians[GO],
            detail="this Go exporter does not ask for it",
        )


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
    told = (
        f"mean of {len(watched[DEFAULT].spent)} servers in {plan.watch_s:g} s, all times divided "
        f"by {plan.pace:g}"
    )
    yield at_most(
        "connections opened on Redis in an hour: ours",
        watched[DEFAULT].connections_per_hour(plan.watch_s, plan.pace),
        10,
        "",
        told,
    )
    if GO in watched:
        yield plain(
            "connections opened on Redis in an hour: Go exporter",
            watched[GO].connections_per_hour(plan.watch_s, plan.pace),
            "",
            told,
        )
