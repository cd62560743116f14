"""Many clients at once, beside the scraper: 1,000 requests a second for one target, 20 for the page of all.

Nobody may get an error, and the scraper's values may not be older than without the crowd.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from bench.figures import Figure, at_most, plain
from bench.process import watching
from bench.requests import Answers, Asking
from bench.scraper import Scraper, scraping
from bench.setup import Result, Setup
from bench.simulator import raise_open_files, simulated

INTERVAL_S = 5.0
TARGET_RATE, TARGET_CONNECTIONS = 1000.0, 20
PAGE_RATE, PAGE_CONNECTIONS = 20.0, 5
#: how much older values may be at the scrape
OLDER_S = 0.2
AGE = b"redis_exporter_snapshot_age_seconds{"
LOOK_S = 0.2


def run(setup: Setup) -> Result:
    raise_open_files()
    targets, for_s, settle_s = (20, 6.0, 8.0) if setup.quick else (500, 60.0, 40.0)
    with contextlib.ExitStack() as stack:
        addresses = stack.enter_context(simulated(targets))
        port, _ = stack.enter_context(watching(addresses, INTERVAL_S))
        scraper = stack.enter_context(scraping(port, ["/metrics"], INTERVAL_S))
        setup.note("nobody else")
        time.sleep(settle_s)
        before_s = _ages(scraper, for_s)
        setup.note("a crowd")
        of_target = Asking(port, f"/scrape?target={addresses[0]}", TARGET_RATE, for_s, TARGET_CONNECTIONS)
        stack.callback(of_target.end)
        of_page = Asking(port, "/metrics", PAGE_RATE, for_s, PAGE_CONNECTIONS)
        stack.callback(of_page.end)
        during_s = _ages(scraper, for_s)
        answers = (of_target.result(), of_page.result())
    return Result(
        [
            *_figures(f"one target, {TARGET_RATE:g} requests a second", answers[0]),
            *_figures(f"the page of {targets} targets, {PAGE_RATE:g} requests a second", answers[1]),
            plain("age at the scrape without them, longest", before_s, "s"),
            at_most("age at the scrape beside them, longest", during_s, before_s + OLDER_S, "s"),
            at_most("scrapes that failed", scraper.failed, 0, detail=f"of {scraper.scrapes}"),
        ]
    )


def _figures(name: str, answers: Answers) -> Iterator[Figure]:
    yield at_most(f"{name}: errors", answers.failed, 0, detail=f"of {answers.asked:,}")
    yield plain(f"{name}: p50", answers.p50_s * 1e3, "ms")
    yield plain(f"{name}: p99", answers.p99_s * 1e3, "ms", f"longest {answers.longest_s * 1e3:.1f} ms")


def _ages(scraper: Scraper, for_s: float) -> float:
    """The greatest age of a fast lane's values on any page of the scraper in this time."""
    found, seen = 0.0, b""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        body = scraper.newest()["/metrics"]
        if body.raw is not seen:
            seen = body.raw
            ages = (line for line in body.page.split(b"\n") if line.startswith(AGE) and b'"fast"' in line)
            found = max(found, *(float(line.rsplit(b" ", 1)[1]) for line in ages))
        time.sleep(LOOK_S)
    return found
