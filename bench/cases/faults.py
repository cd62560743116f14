"""Faults beside 40 servers that are well, one after the other: the table of `tests.faults`, whose limits of
time its tests are too busy to judge."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator

from bench.figures import Figure, at_most
from bench.servers import redis_servers
from bench.setup import Result, Setup
from tests.faults.running import running
from tests.faults.table import GROUPS
from tests.faults.trial import HEALED_WITHIN_S, SEEN_WITHIN_S, Report, Trial
from tests.faults.watched import INTERVAL_S, MORE_ALLOWED
from tests.faults.watcher import EVERY_S

#: in intervals
AGE_MAX = 1.5
PAGE_MAX_MS = HELD_MAX_MS = 50.0
QUICK = ("tls",)


def run(setup: Setup) -> Result:
    figures: list[Figure] = []
    with redis_servers(5 if setup.quick else 40) as ports, tempfile.TemporaryDirectory() as folder:
        for group in QUICK if setup.quick else GROUPS:
            with running(group, ports, pathlib.Path(folder, group)) as started:
                for pair in started.pairs[: 2 if setup.quick else None]:
                    setup.note(pair[0].name)
                    figures += _figures(Trial(started.watched, [pair]).run())
    return Result(figures)


def _figures(report: Report) -> Iterator[Figure]:
    [finding] = report.findings
    name, found = finding.fault.name, report.figures
    # the page that shows it is asked for once in EVERY_S
    seen_max_s = finding.fault.develops_s + SEEN_WITHIN_S + EVERY_S
    yield at_most(f"{name}: seen after", finding.seen_s, seen_max_s, "s", finding.fault.reason)
    yield at_most(f"{name}: well after its end", finding.healed_s, HEALED_WITHIN_S + EVERY_S, "s")
    ages = f"{len(found.took_s)} scrapes, intervals of {INTERVAL_S:g} s"
    yield at_most(f"{name}: age of the others, p99", found.age_p99_s, AGE_MAX * INTERVAL_S, "s", ages)
    yield at_most(f"{name}: /metrics, p99", found.took_p99_s * 1e3, PAGE_MAX_MS, "ms")
    yield at_most(
        f"{name}: the loop was held",
        report.passed_s * 1e3,
        HELD_MAX_MS,
        "ms",
        f"{report.busy_s * 1e3:.1f} ms of the processor",
    )
    more_mb = report.after.resident_mb - report.before.resident_mb
    yield at_most(f"{name}: more memory afterwards", more_mb, MORE_ALLOWED.resident_mb, "MB")
    yield at_most(f"{name}: what is wrong", len(report.mistakes), 0, "", "; ".join(report.mistakes))
