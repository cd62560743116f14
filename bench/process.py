"""The exporter as a process of its own, and what the kernel says it used."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.builds import THIS, Build
from bench.ports import free_ports

DEFAULT_INTERVAL_S = 5.0
#: the kernel takes 128 kB in one argument
ADDRESSES_A_FLAG = 2000


@dataclass(frozen=True)
class Usage:
    """CPU seconds, and how often the process went to sleep, since it began."""

    cpu_s: float
    switches: int
    rss_bytes: int


def usage(pid: int) -> Usage:
    """From /proc; schedstat has nanoseconds where stat has hundredths of a second."""
    cpu_ns = switches = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            cpu_ns += int((task / "schedstat").read_text().split()[0])
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    switches += int(line.split()[1])
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage(cpu_ns / 1e9, switches, pages * os.sysconf("SC_PAGE_SIZE"))


@contextlib.contextmanager
def exporter(
    port: int, flags: Sequence[str], environ: Mapping[str, str] | None = None, build: Build = THIS
) -> Iterator[subprocess.Popen[bytes]]:
    """`redis_exporter` of a build on loopback, until the block ends."""
    process = subprocess.Popen(
        [*build.command, f"--web.listen-address=127.0.0.1:{port}", "--log-level=ERROR", *flags],
        env={**build.environment, **(environ or {})},
    )
    try:
        wait_ready(port)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def watching(
    addresses: Sequence[str], interval_s: float, *flags: str, build: Build = THIS
) -> Iterator[tuple[int, int]]:
    """`redis_exporter` for these targets: its port and process. Default flags, but for an interval that is
    not the default."""
    [port] = free_ports(1)
    starts = range(0, len(addresses), ADDRESSES_A_FLAG)
    targets = [f"--redis.addr={','.join(addresses[start : start + ADDRESSES_A_FLAG])}" for start in starts]
    every = [] if interval_s == DEFAULT_INTERVAL_S else [f"--poll.interval={interval_s:g}s"]
    with exporter(port, [*targets, *every, *flags], build=build) as process:
        yield port, process.pid


def wait_ready(port: int, within_s: float = 20.0) -> float:
    """Seconds until every target was attempted."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2):
                return time.monotonic() - began
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"bench: the exporter on port {port} was not ready within {within_s:g} s")


def scrape(port: int, path: str = "/metrics") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return bytes(response.read())


def total(page: bytes, name: str, label: str = "") -> float:
    """The sum over all series of one family, those that hold `label` (`lane="fast"`, say)."""
    prefix = name.encode()
    lines = (
        line
        for line in page.split(b"\n")
        if line.startswith((prefix + b"{", prefix + b" ")) and label.encode() in line
    )
    return sum(float(line.rsplit(b" ", 1)[1]) for line in lines)
