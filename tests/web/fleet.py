"""Targets as the web side sees them, without polls: what a poll would do is told beforehand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

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
        self.asked: list[tuple[float, float]] = []
        self.polling: asyncio.Future[None] | None = None
        self.facts: Facts | None = None
        self.cluster: ClusterView | None = None

    def refresh(self, max_age_s: float) -> asyncio.Future[None] | None:
        self.asked.append((max_age_s, 0.0))
        self.poll()
        return self.polling

    async def fresh(self, max_age_s: float, deadline: float) -> None:
        self.asked.append((max_age_s, deadline))
        self.poll()


class FakeFleet:
    """All of them. `polled` is set when all were polled."""

    def __init__(self, watched_targets: list[FakeWatch]) -> None:
        self._watched = {watched.target.addr: watched for watched in watched_targets}
        self.polled = asyncio.Event()
        self.polled.set()
        self.waited_s: list[float] = []

    @property
    def watched_targets(self) -> Mapping[str, FakeWatch]:
        return self._watched

    @property
    def first_polls_done(self) -> bool:
        return self.polled.is_set()

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

    async def wait_first_polls(self, timeout_s: float) -> None:
        """Until the round ends, however long that takes: how long it may take is written down."""
        self.waited_s.append(timeout_s)
        await self.polled.wait()
