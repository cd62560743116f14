"""Pages of 500 targets: assembling beside a copy of the same bytes, compressing beside the event loop, and
one scrape."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from bench.figures import Figure, at_most, plain
from bench.fleet import RecordedFleet, recorded_fleet
from bench.measure import copy_us, percentile
from bench.scraper import series
from bench.setup import Result, Setup
from exporter import engine
from exporter.pages.cache import PageCache
from exporter.pages.compressed import PIECE_BYTES
from exporter.pages.exposition import Exposition
from exporter.pages.page import Draft

TICK_S = 0.001


def run(setup: Setup) -> Result:
    targets, rounds = (20, 3) if setup.quick else (500, 20)
    figures: list[Figure] = []
    for what, with_commands in (("default INFO", False), ("with statistics of 25 commands", True)):
        fleet = recorded_fleet(targets, with_commands)
        figures += asyncio.run(_measure(f"{targets} targets, {what}", fleet, rounds))
    return Result(figures)


class _Unlabelled:
    """Any target: nothing stands before the label of its lanes."""

    lane_labels = b""
    group = ""

    def labels_of(self, family_set: str) -> engine.Labels:
        return engine.Labels(b"")


async def _measure(what: str, fleet: RecordedFleet, rounds: int) -> list[Figure]:
    origin = _Unlabelled()
    exposition = Exposition(fleet.catalog, fleet.store, lambda addr: origin, lambda: b"")
    draft = exposition.draft()
    page = b"".join(_pieces(draft))
    copied_us = copy_us(page, rounds)
    assembled_us = min(_assemble_us(draft) for _ in range(rounds))
    gathered_us = min(_timed_us(exposition.draft) for _ in range(rounds))
    lag_s, built_s = await _lag(exposition, rounds)
    pages = PageCache(exposition)
    try:
        kept = await pages.page()
        scrape_us = min([await _scrape_us(pages) for _ in range(rounds)])
        calls = await _work_of_a_scrape(pages)
    finally:
        await pages.close()
    return [
        plain(
            f"{what}: page",
            len(page) / 1e6,
            "MB",
            f"{series(page):,} series, {len(kept.body) / 1e6:.2f} MB compressed",
        ),
        plain(f"{what}: copy of the page", copied_us / 1e3, "ms"),
        at_most(
            f"{what}: assembling / copy",
            assembled_us / copied_us,
            4,
            detail=f"{assembled_us / 1e3:.2f} ms in pieces of {PIECE_BYTES // 1024} kB",
        ),
        plain(f"{what}: gathering on the loop", gathered_us / 1e3, "ms"),
        plain(f"{what}: assembling and compressing in the thread", built_s * 1e3, "ms"),
        at_most(f"{what}: loop lag p99 meanwhile", lag_s * 1e3, 5, "ms"),
        plain(f"{what}: one scrape's page and tail", scrape_us, "µs"),
        at_most(f"{what}: assemblies in 100 scrapes", calls, 0),
    ]


def _pieces(draft: Draft) -> list[bytes]:
    assembler = engine.Assembler(draft.headers, draft.cells, draft.blocks)
    room = bytearray(PIECE_BYTES)
    pieces = []
    while length := assembler.fill(room):
        pieces.append(bytes(room[:length]))
    return pieces


def _assemble_us(draft: Draft) -> float:
    """All pieces into the same memory, as in the build of a page."""
    began = time.perf_counter()
    assembler = engine.Assembler(draft.headers, draft.cells, draft.blocks)
    room = bytearray(PIECE_BYTES)
    while assembler.fill(room):
        pass
    return (time.perf_counter() - began) * 1e6


def _timed_us(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6


async def _lag(exposition: Exposition, rounds: int) -> tuple[float, float]:
    """The 99th percentile of how late a millisecond's sleep ends while pages are built one after the
    other."""
    loop = asyncio.get_running_loop()
    lags: list[float] = []
    done = threading.Event()
    builds: list[float] = []

    def build() -> None:
        for _ in range(rounds):
            draft = exposition.draft()
            began = time.perf_counter()
            draft.build()
            builds.append(time.perf_counter() - began)
        done.set()

    future = loop.run_in_executor(None, build)
    while not (lags and done.is_set()):
        began = time.perf_counter()
        await asyncio.sleep(TICK_S)
        lags.append(time.perf_counter() - began - TICK_S)
    await future
    return percentile(lags, 0.99), min(builds)


async def _scrape_us(pages: PageCache) -> float:
    began = time.perf_counter()
    page = await pages.page()
    page.tail(time.monotonic())
    return (time.perf_counter() - began) * 1e6


async def _work_of_a_scrape(pages: PageCache) -> int:
    """How many pages are assembled by 100 scrapes of an unchanged store."""
    calls = 0
    original = Draft.build

    def counted(self: Draft) -> object:
        nonlocal calls
        calls += 1
        return original(self)

    Draft.build = counted  # type: ignore[method-assign, assignment]
    try:
        for _ in range(100):
            (await pages.page()).tail(time.monotonic())
    finally:
        Draft.build = original  # type: ignore[method-assign]
    return calls
