"""Resident memory: of the process without a target, and of each further target."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.figures import at_most, plain
from bench.process import exporter, scrape, total, usage
from bench.scraper import series
from bench.servers import free_ports
from bench.setup import Result, Setup
from bench.simulator import COMMANDS, raise_open_files, simulated

EMPTY_MB = 60
#: of each further target: its part of the page times this, and so many bytes more
OF_ITS_BYTES, MORE_BYTES = 1.2, 30_000


def run(setup: Setup) -> Result:
    raise_open_files()
    few, many = (2, 12) if setup.quick else (50, 550)
    settle_s = 1.0 if setup.quick else 25.0
    with simulated(many) as addresses:
        empty_rss, _, _ = _resident([], settle_s)
        few_rss, few_bytes, _ = _resident(addresses[:few], settle_s)
        many_rss, many_bytes, count = _resident(addresses, settle_s)
    each_bytes = (many_bytes - few_bytes) / (many - few)
    each_rss = (many_rss - few_rss) / (many - few)
    detail = f"from {few} to {many} targets, {count // many} series each, {COMMANDS} commands in use, plain TCP"
    return Result(
        [
            at_most("resident without a target", empty_rss / 1e6, EMPTY_MB, "MB"),
            plain("a target's part of the page", each_bytes / 1e3, "kB"),
            at_most("resident for each further target", each_rss / 1e3, (OF_ITS_BYTES * each_bytes + MORE_BYTES) / 1e3, "kB", detail),
        ]
    )


def _resident(addresses: Sequence[str], settle_s: float) -> tuple[int, int, int]:
    """Bytes resident, bytes of the plain page, series. After some polls and scrapes."""
    [port] = free_ports(1)
    with exporter(port, [] if addresses else ["--redis.addr="], {"REDIS_ADDR": ",".join(addresses)}) as process:
        began = time.monotonic()
        while time.monotonic() - began < settle_s:
            page = scrape(port)
            if total(page, "redis_up") != len(addresses):
                raise SystemExit(f"bench: {total(page, 'redis_up'):.0f} of {len(addresses)} targets were up")
            time.sleep(min(5.0, settle_s / 2))
        return usage(process.pid).rss_bytes, len(page), series(page)
