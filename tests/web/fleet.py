"""Targets as the web side sees them, without polls: what a poll would do is told beforehand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import web

from exporter.metrics.lane import Lane
from exporter.protocol.cluster import ClusterView
from exporter.protocol.facts import Facts
from exporter.targets.address import parse_address
from exporter.targets.target import Target


class FakeWatch:
    """Counts what it is asked for; `poll` is what a poll of it does."""

    def __init__(self, target: Target, up: bool | None, poll: Callable[[], object] = lambda: None) -> None:
        self.target = target
        self.up = up
        self.poll = poll
        self.asked: list[tuple[float | None, float]] = []
        self.lanes: tuple[Lane, ...] = ()  # of the newest request
        self.polling: asyncio.Future[None] | None = None
        self.scanned = True
        self.facts: Facts | None = None
        self.cluster: ClusterView | None = None

    @property
    def whole(self) -> bool:
        return self.up is not None and self.scanned

    def refresh(self, max_age_s: float, lanes: Iterable[Lane]) -> asyncio.Future[None] | None:
        self.lanes = tuple(lanes)
        self.asked.append((max_age_s, 0.0))
        self.poll()
        return self.polling

    async def fresh(self, max_age_s: float | None, deadline: float, lanes: Iterable[Lane]) -> None:
        self.lanes = tuple(lanes)
        self.asked.append((max_age_s, deadline))
        self.poll()


class FakeFirstRound:
    """`polled` is set when all targets were polled, `scanned` when they were scanned too."""

    def __init__(self) -> None:
        self.polled, self.scanned = asyncio.Event(), asyncio.Event()
        self.polled.set()
        self.scanned.set()
        self.waited_s: list[float] = []

    @property
    def polls_done(self) -> bool:
        return self.polled.is_set()

    @property
    def done(self) -> bool:
        return self.polled.is_set() and self.scanned.is_set()

    async def wait_polls(self, timeout_s: float) -> None:
        """Until the round ends, however long that takes: how long it may take is written down."""
        self.waited_s.append(timeout_s)
        await self.polled.wait()

    async def wait(self, timeout_s: float) -> None:
        await self.wait_polls(timeout_s)
        await self.scanned.wait()


class FakeFleet:
    """All of them."""

    def __init__(self, watched_targets: list[FakeWatch]) -> None:
        self._watched = {watched.target.addr: watched for watched in watched_targets}
        self.first_round = FakeFirstRound()

    @property
    def watched_targets(self) -> Mapping[str, FakeWatch]:
        return self._watched

    def find(self, text: str) -> FakeWatch | None:
        for watched in self._watched.values():
            if watched.target.alias == text:
                return watched
        return self._watched.get(parse_address(text).addr)

    def states(self) -> Mapping[str, int]:
        counts = Counter(
            {True: "up", False: "down", None: "unknown"}[watched.up] for watched in self._watched.values()
        )
        return {state: counts[state] for state in ("up", "down", "unknown")}


class OtherAnswers:
    """In place of all that answers beside `Web`: each path says that it is none of its own."""

    def __getattr__(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(status=404, text=f"{name} is answered elsewhere\n")

        return answer
