"""Thousands of targets in one process, scraped in parts: what that costs, and whether every poll that is due
is made.

`redis_exporter_target_polls_skipped_total` counts the turns that found the poll before still under way, not
those that never came. So the polls of each target are counted from one scrape to another, and those that are
missing count as skipped too.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.figures import Figure, at_most, plain
from bench.process import total, usage, watching
from bench.scraper import Newest, scraping, series
from bench.simulator import simulated

CORE_SHARE, MEMORY_MB = 0.06, 600.0
#: targets that share a port, so that the simulator's files do
DATABASES = 16
_POLLS = re.compile(rb'(?m)^redis_exporter_target_polls_total\{addr="([^"]+)"[^}]*lane="fast"[^}]*\} (\S+)$')
_AGES = re.compile(rb'(?m)^redis_exporter_snapshot_age_seconds\{[^}]*lane="fast"[^}]*\} (\S+)$')


@dataclass(frozen=True)
class Parts:
    """`settling` and `measured` are counted in intervals."""

    targets: int = 10_000
    parts: int = 20
    interval_s: float = 15.0
    settling: int = 5
    measured: int = 8


@dataclass(frozen=True)
class Seen:
    """What the newest pages of all parts say."""

    polls: Mapping[bytes, float]
    up: float
    skipped: float
    oldest_s: float
    in_step: float
    series: int


def in_parts(scale: Parts) -> Iterator[Figure]:
    """Every part has a moment of its own in the interval, as Prometheus gives its targets."""
    paths = [f"/metrics?part={part}/{scale.parts}" for part in range(scale.parts)]
    with contextlib.ExitStack() as stack:
        addresses = stack.enter_context(simulated(scale.targets, databases=DATABASES))
        port, pid = stack.enter_context(watching(addresses, scale.interval_s))
        scraper = stack.enter_context(scraping(port, paths, scale.interval_s, spread=True))
        time.sleep(scale.settling * scale.interval_s)
        at_first, before, began = scraper.newest(), usage(pid), time.monotonic()
        time.sleep(scale.measured * scale.interval_s)
        at_last, after, took_s = scraper.newest(), usage(pid), time.monotonic() - began
        failed = scraper.failed
    share = (after.cpu_s - before.cpu_s) / took_s
    detail = (
        f"one process, {after.rss_bytes / 1e6:,.0f} MB resident, {failed} scrapes failed,"
        f" {scale.measured} intervals"
    )
    yield at_most(
        f"{scale.targets:,} targets in {scale.parts} parts: resident", after.rss_bytes / 1e6, MEMORY_MB, "MB"
    )
    yield from _figures(scale, share, _seen(at_first), _seen(at_last), detail)


def _seen(newest: Newest) -> Seen:
    """One page at a time: all of them are nearly a gigabyte."""
    polls: dict[bytes, float] = {}
    ages = [0.0]
    up = skipped = 0.0
    in_step = 0.0
    count = 0
    for body in newest.values():
        page = body.page
        polls.update((addr, float(value)) for addr, value in _POLLS.findall(page))
        ages += map(float, _AGES.findall(page))
        up += total(page, "redis_up")
        skipped += total(page, "redis_exporter_target_polls_skipped_total")
        in_step = max(in_step, total(page, "redis_exporter_targets_in_step"))
        count += series(page)
    return Seen(polls, up, skipped, max(ages), in_step, count)


def _figures(scale: Parts, share: float, first: Seen, last: Seen, detail: str) -> Iterator[Figure]:
    """A target may be polled up to half an interval sooner or later than before, so one poll less than
    intervals is not missing."""
    made = {addr: count - first.polls.get(addr, 0.0) for addr, count in last.polls.items()}
    missing = sum(max(0.0, scale.measured - 1 - count) for count in made.values())
    missing += (scale.targets - len(made)) * scale.measured
    due = scale.targets * scale.measured
    what = f"{scale.targets:,} targets every {scale.interval_s:g} s in {scale.parts} parts"
    states = (
        f"{last.up:,.0f} targets up, {last.in_step:,.0f} in step with the scrapes, {last.series:,} series"
    )
    yield Figure(
        f"{what}: share of one core",
        round(share, 4),
        "",
        f"≤ {CORE_SHARE:g}",
        share <= CORE_SHARE,
        f"{detail}; {states}",
    )
    skipped = last.skipped - first.skipped
    counted = (
        f"{skipped:,.0f} are counted as skipped; {sum(made.values()):,.0f} of {due:,} due ones were made"
    )
    yield at_most(f"{what}: polls skipped or missing", skipped + missing, 0, detail=counted)
    yield plain(f"{what}: lanes skipped before", first.skipped, detail="the first poll of each asks for all")
    yield at_most(f"{what}: targets down", scale.targets - last.up, 0, detail="all servers answer")
    yield plain(
        f"{what}: oldest values of the fast lane at a scrape", last.oldest_s, "s", "in the last round"
    )
