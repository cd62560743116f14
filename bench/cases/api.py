"""What the JSON API takes with many targets: how long each request holds the event loop at a time, and its
CPU."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median

from aiohttp.test_utils import make_mocked_request

from bench.figures import Figure, at_most, plain
from bench.fleet import recorded_fleet
from bench.setup import Result, Setup
from exporter.app.backend import Backend
from exporter.app.build import configure
from exporter.app.reload_record import ReloadRecord
from exporter.app.run import YOUNG_OBJECTS
from exporter.app.status_answers import TURN_S, Seen, status_answers
from exporter.errors import RefusedError
from exporter.options.commandline import parse
from exporter.polling.outcome import PollOutcome
from exporter.polling.poll_history import POLLS_MAX
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.facts import Facts
from exporter.status.api import ApiAnswers
from exporter.status.cardinality import Cardinality, CardinalitySources
from exporter.targets.address import parse_address
from exporter.web.body_writer import LoopShare
from exporter.web.incidents import Incidents
from exporter.web.scrape_log import ScrapeLog

HOLD_MS, CPU_MS = 5.0, 30.0
#: what is asked for, and by which path
REQUESTS = {
    "the worst": "/api/v1/targets",
    "the last page": "/api/v1/targets?page=1000",
    "by p99": "/api/v1/targets?sort=p99",
    "a text": "/api/v1/targets?q=cache-1",
}


def run(setup: Setup) -> Result:
    sizes, rounds = ((200,), 2) if setup.quick else ((2_000, 10_000), 10)
    figures: list[Figure] = []
    for targets in sizes:
        setup.note(f"{targets:,} targets")
        figures += asyncio.run(_measure(targets, rounds))
    return Result(figures)


async def _measure(targets: int, rounds: int) -> list[Figure]:
    api, backend = await _api(targets)
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)  # as the program does
    gc.collect()
    gc.freeze()  # a collection among all these objects is not what is measured
    figures = []
    for what, path in REQUESTS.items():
        ask = partial(api.api_targets, make_mocked_request("GET", path))
        figures += await _figures(f"{targets:,} targets, {what}", ask, rounds)
    csv = make_mocked_request("GET", "/api/v1/targets.csv")
    figures += await _figures(f"{targets:,} targets, CSV of all", lambda: api.api_targets_csv(csv), 3, None)
    fleet = recorded_fleet(targets, with_commands=True)
    members = dict(zip(fleet.store.addrs(), backend.fleet.watched_targets.values(), strict=True))
    sized = [_renamed(watched, addr) for addr, watched in members.items()]

    async def counted() -> None:
        share = LoopShare(TURN_S).take
        await Cardinality(
            CardinalitySources(
                fleet.store, lambda: fleet.catalog.family_sets, lambda: sized, lambda: (0, 0), share
            )
        ).report()

    return [*figures, *await _figures(f"{targets:,} targets, cardinality", counted, 3, None)]


def _renamed(watched: WatchedTarget, addr: str) -> WatchedTarget:
    """The target under an address that the recorded snapshots have."""
    state = watched.state
    state.assignment = replace(state.assignment, target=parse_address(addr))
    return watched


async def _figures(
    what: str, ask: Callable[[], Awaitable[object]], rounds: int, cpu_ms: float | None = CPU_MS
) -> list[Figure]:
    """The longest hold and the CPU of one request: the median of some."""
    holds: list[float] = []
    spent: list[float] = []
    await ask()
    for _ in range(rounds):
        before = time.process_time()
        with _longest_hold(holds):
            await asyncio.create_task(_asked(ask))
        spent.append(time.process_time() - before)
    hold, cpu = 1e3 * median(holds), 1e3 * median(spent)
    return [
        at_most(
            f"{what}: longest hold of the loop",
            hold,
            HOLD_MS,
            "ms",
            f"the longest of {rounds}: {1e3 * max(holds):.1f} ms",
        ),
        plain(f"{what}: CPU", cpu, "ms") if cpu_ms is None else at_most(f"{what}: CPU", cpu, cpu_ms, "ms"),
    ]


async def _asked(ask: Callable[[], Awaitable[object]]) -> None:
    await ask()


@contextlib.contextmanager
def _longest_hold(holds: list[float]) -> Iterator[None]:
    """Note the longest CPU time that the loop was in one callback meanwhile: what else the machine does must
    not count. asyncio's own loop runs each callback by this method."""
    run, longest = asyncio.Handle._run, 0.0

    def timed(handle: asyncio.Handle) -> None:
        nonlocal longest
        began = time.thread_time()
        run(handle)
        longest = max(longest, time.thread_time() - began)

    asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
        holds.append(longest)


async def _api(targets: int) -> tuple[ApiAnswers, Backend]:
    """The API over targets in all states, without polls."""
    named = [
        replace(
            parse_address(f"redis://10.{number >> 16}.{number >> 8 & 255}.{number & 255}"),
            alias=f"cache-{number}",
        )
        for number in range(targets)
    ]
    configuration = configure(parse([], {}), named)
    backend = Backend(configuration, open_files=1_000_000)
    await backend.apply(configuration)
    facts = Facts((7, 2, 4), "redis", "master", "standalone", "run", False, False, 16, (7, 2, 4))
    for number, watched in enumerate(backend.fleet.watched_targets.values()):
        error = RefusedError("10.0.0.1:6379: connection refused") if number % 10 == 0 else None
        for poll in range(POLLS_MAX):
            began = time.monotonic() - poll
            watched.health.note(
                PollOutcome(None, error, began, time.time(), 0.001 * (number % 7 + poll)), watched.timing, 1
            )
        watched.state.memory.facts = facts
        for count in watched.state.series.lanes.values():
            count.polled_at = time.monotonic() - number % 13
    seen = Seen(Incidents(), ScrapeLog(), ReloadRecord(), list, lambda: True)
    (api,) = (
        each for each in status_answers(backend, configuration.options, seen) if isinstance(each, ApiAnswers)
    )
    return api, backend
