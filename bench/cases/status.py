"""The status page of 2,000 targets, which charts of Kubernetes use as a probe: how large it is, what it
takes, and for how long it holds the event loop."""

from __future__ import annotations

import asyncio
import gc
import time

from aiohttp.test_utils import make_mocked_request

from bench.figures import Figure, at_most, plain
from bench.measure import percentile
from bench.setup import Result, Setup
from exporter.app.backend import Backend
from exporter.app.build import configure
from exporter.app.reload_record import ReloadRecord
from exporter.app.status_answers import Seen, status_answers
from exporter.options.commandline import parse
from exporter.polling.outcome import PollOutcome
from exporter.protocol.facts import Facts
from exporter.status.overview import OverviewPage
from exporter.targets.address import parse_address
from exporter.web.incidents import Incidents
from exporter.web.scrape_log import ScrapeLog

TARGETS, PAGES = 2000, 100
FACTS = Facts((7, 2, 4), "redis", "master", "standalone", "run", False, False, 16, (7, 2, 4))


def run(setup: Setup) -> Result:
    figures: list[Figure] = []
    for query, meaning in (("", "the worst first"), ("?sort=p99&q=host", "searched and sorted by p99")):
        setup.note(meaning)
        figures += asyncio.run(_measure(query, meaning, 5 if setup.quick else PAGES))
    return Result(figures)


async def _measure(query: str, meaning: str, pages: int) -> list[Figure]:
    backend = await _backend()
    try:
        page = _overview(backend)
        size = len((await _answer(page, query)).encode())
        gc.collect()
        gc.freeze()  # to look at all old objects is no work of a page
        began_s = time.process_time()
        for _ in range(pages):
            await _answer(page, query)
        spent_s = (time.process_time() - began_s) / pages
        holds: list[float] = []
        watch = asyncio.create_task(_note_turns(holds))
        for _ in range(pages):
            await _answer(page, query)
        watch.cancel()
    finally:
        await backend.close()
        gc.unfreeze()
    name = f"status page of {TARGETS:,} targets, {meaning}"
    return [
        at_most(f"{name}: size", size / 1000, 50, "kB"),
        at_most(f"{name}: hold of the loop, p99", 1e3 * percentile(holds, 0.99), 5, "ms"),
        plain(f"{name}: longest hold of the loop", 1e3 * max(holds), "ms"),
        plain(f"{name}: CPU", 1e3 * spent_s, "ms"),
    ]


async def _backend() -> Backend:
    """2,000 targets that were polled well, and are not polled again while this runs."""
    targets = [parse_address(f"redis://host-{number:04}:6379") for number in range(TARGETS)]
    configuration = configure(parse(["--poll.interval=10m", "--poll.align=off"], {}), targets)
    backend = Backend(configuration, 2 * TARGETS)
    await backend.apply(configuration)
    now, wall = time.monotonic(), time.time()
    for number, watched in enumerate(backend.fleet.watched_targets.values()):
        took_s = 0.001 * (1 + number % 20)
        watched.health.note(PollOutcome(None, None, now - took_s, wall - took_s, took_s), watched.timing, 1)
        watched.state.memory.facts = FACTS
        for count in watched.state.series.lanes.values():
            count.polled_at = now - 1.0
    return backend


def _overview(backend: Backend) -> OverviewPage:
    seen = Seen(Incidents(), ScrapeLog(), ReloadRecord(), lambda: ["127.0.0.1:9121"], lambda: True)
    answers = status_answers(backend, backend.configuration.options, seen)
    return next(each for each in answers if isinstance(each, OverviewPage))


async def _answer(page: OverviewPage, query: str) -> str:
    answer = await page.overview(make_mocked_request("GET", f"/{query}"))
    text: str = answer.text  # type: ignore[attr-defined]
    return text


async def _note_turns(holds: list[float]) -> None:
    """How much CPU each turn of the event loop takes: other programs of the machine do not count."""
    before = time.thread_time()
    while True:
        await asyncio.sleep(0)
        now = time.thread_time()
        holds.append(now - before)
        before = now
