"""CLIENT LIST of 10,000 clients to aggregates, beside a newline scan of the same bytes."""

from __future__ import annotations

from bench.figures import at_most, plain
from bench.fleet import DATA
from bench.measure import least_us, newline_scan_us
from bench.setup import Result, Setup
from exporter import engine

CLIENTS = 10_000
GROUPED_BY = ("name", "user", "lib-name", "cmd", "db", "flags")
#: a piece of more would hold the loop for too long
LOOP_MS = 5.0


def run(setup: Setup) -> Result:
    times, rounds = (1, 2) if setup.quick else (5, 15)
    text = _clients(CLIENTS)
    scan_us, _ = newline_scan_us(text, times, rounds)
    figures = [
        plain(
            "CLIENT LIST: newline scan, a client",
            scan_us * 1e3 / CLIENTS,
            "ns",
            f"{CLIENTS:,} clients, {len(text) / 1e6:.1f} MB",
        )
    ]
    for fields in (("name",), GROUPED_BY):
        took_us = least_us(lambda fields=fields: engine.tally_clients(text, fields), times, rounds)  # type: ignore[misc]
        groups = len(engine.tally_clients(text, fields))
        what = f"CLIENT LIST by {', '.join(fields)}"
        figures.append(
            at_most(
                f"{what}: a client",
                took_us * 1e3 / CLIENTS,
                250,
                "ns",
                f"{groups} groups, {took_us / scan_us:.1f} scans",
            )
        )
        figures.append(at_most(f"{what}: the loop is held", took_us / 1e3, LOOP_MS, "ms"))
    return Result(figures)


def _clients(count: int) -> bytes:
    """Recorded lines again and again, each with an id and an address of its own."""
    recorded = (DATA / "redis-7.0.15" / "client_list.txt").read_bytes().splitlines()
    lines = []
    for number in range(count):
        words = recorded[number % len(recorded)].split(b" ")
        words[0] = b"id=%d" % (number + 1)
        words[1] = b"addr=10.%d.%d.%d:%d" % (
            number >> 16,
            number >> 8 & 255,
            number & 255,
            30000 + number % 30000,
        )
        lines.append(b" ".join(words))
    return b"\n".join(lines) + b"\n"
