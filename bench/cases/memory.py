"""Resident memory: of the process without a target, and of each further target, over TCP and over TLS."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.figures import Figure, at_most, plain
from bench.ports import free_ports
from bench.process import exporter, total, usage
from bench.scraper import scraping, series
from bench.setup import Result, Setup
from bench.simulated_replies import COMMANDS
from bench.simulator import raise_open_files, simulated

EMPTY_MB = 60
#: of each further target
GOAL_KB, GOAL_TLS_KB = 60.0, 110.0
SCRAPED_EVERY_S = 5.0


@dataclass(frozen=True)
class Resident:
    rss_bytes: int
    page_bytes: int
    series: int


def run(setup: Setup) -> Result:
    raise_open_files()
    few, many = (2, 12) if setup.quick else (50, 550)
    settle_s = 1.5 if setup.quick else 32.0  # past the last of the first polls, and some pages
    setup.note("no target")
    empty = _resident([], settle_s)
    figures = [
        at_most(
            "resident without a target", empty.rss_bytes / 1e6, EMPTY_MB, "MB", f"{empty.series:,} series"
        )
    ]
    setup.note("plain TCP")
    with simulated(many) as addresses:
        figures += _further("plain TCP", few, many, addresses, settle_s, GOAL_KB)
    if shutil.which("openssl"):
        setup.note("TLS")
        with _certificate() as flags, simulated(many, *flags, scheme="rediss") as addresses:
            figures += _further("TLS", few, many, addresses, settle_s, GOAL_TLS_KB, "--skip-tls-verification")
    return Result(figures)


def _further(
    way: str, few: int, many: int, addresses: Sequence[str], settle_s: float, goal_kb: float, *flags: str
) -> Iterator[Figure]:
    of_few, of_many = (_resident(addresses[:count], settle_s, *flags) for count in (few, many))
    each_bytes = (of_many.page_bytes - of_few.page_bytes) / (many - few)
    each_rss = (of_many.rss_bytes - of_few.rss_bytes) / (many - few)
    detail = (
        f"{of_few.rss_bytes / 1e6:.1f} MB at {few} targets, {of_many.rss_bytes / 1e6:.1f} at {many}; "
        f"{of_many.series // many} series each, {COMMANDS} commands in use, default lanes"
    )
    yield plain(f"a target's part of the page, {way}", each_bytes / 1e3, "kB")
    yield at_most(f"resident for each further target, {way}", each_rss / 1e3, goal_kb, "kB", detail)


def _resident(addresses: Sequence[str], settle_s: float, *flags: str) -> Resident:
    """After some polls and scrapes."""
    [port] = free_ports(1)
    environ = {"REDIS_ADDR": ",".join(addresses)}
    with (
        exporter(port, flags, environ) as process,
        scraping(port, ["/metrics"], min(SCRAPED_EVERY_S, settle_s / 3)) as scraper,
    ):
        time.sleep(settle_s)
        scraper.wait_answered()
        page = scraper.pages.get("/metrics", b"")
        if scraper.failed or total(page, "redis_up") != len(addresses):
            raise SystemExit(
                f"bench: {scraper.failed} scrapes failed, {total(page, 'redis_up'):.0f} of {len(addresses)} "
                f"targets were up"
            )
        return Resident(usage(process.pid).rss_bytes, len(page), series(page))


@contextlib.contextmanager
def _certificate() -> Iterator[list[str]]:
    """The simulator's flags for a certificate that nobody has signed."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = (str(pathlib.Path(folder, name)) for name in ("server.crt", "server.key"))
        asked = [
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=127.0.0.1",
            "-days",
            "2",
            "-out",
            certificate,
            "-keyout",
            key,
        ]
        subprocess.run(["openssl", "req", *asked], check=True, capture_output=True)
        yield [f"--tls-cert={certificate}", f"--tls-key={key}"]
