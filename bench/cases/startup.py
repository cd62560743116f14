"""From a start of the process to a page that has every target on it, with real servers."""

from __future__ import annotations

import time

from bench.figures import at_most, plain
from bench.ports import free_ports
from bench.process import exporter, scrape, total, usage
from bench.servers import redis_servers
from bench.setup import Result, Setup

DATABASES = 10


def run(setup: Setup) -> Result:
    servers, rounds = (2, 1) if setup.quick else (50, 3)
    with redis_servers(servers) as ports:
        addresses = [f"redis://127.0.0.1:{port}/{db}" for port in ports for db in range(DATABASES)]
        rows = [_start(addresses) for _ in range(rounds)]
    seconds, page_bytes, rss_bytes = sorted(rows)[len(rows) // 2]
    detail = (
        f"{len(addresses)} targets on {servers} servers, a page of {page_bytes / 1e6:.1f} MB, median "
        f"of {rounds}"
    )
    return Result(
        [
            at_most("start to a page with every target", seconds, 3, "s", detail),
            plain("resident memory then", rss_bytes / 1e6, "MB"),
        ]
    )


def _start(addresses: list[str]) -> tuple[float, int, int]:
    """Seconds, bytes of the page, and resident bytes."""
    [port] = free_ports(1)
    began = time.monotonic()
    with exporter(port, [], {"REDIS_ADDR": ",".join(addresses)}) as process:
        page = scrape(port)
        while total(page, "redis_up") < len(addresses):
            if time.monotonic() - began > 60:
                raise SystemExit(
                    f"bench: {total(page, 'redis_up'):.0f} of {len(addresses)} targets were up after a minute"
                )
            page = scrape(port)
        return time.monotonic() - began, len(page), usage(process.pid).rss_bytes
