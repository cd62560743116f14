"""Targets as the table sees them: real ones in states that a test chooses, without polls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from exporter.errors import RefusedError
from exporter.fleet.aliases import Aliases
from exporter.metrics.lane import Lane
from exporter.polling.outcome import PollOutcome
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.facts import Facts
from exporter.targets.address import parse_address
from tests.watch_harness import WatchHarness

FACTS = Facts((7, 2, 4), "redis", "master", "standalone", "run", False, False, 16, (7, 2, 4))


class Members:
    """A fleet. Targets are at ports that nobody dials."""

    def __init__(self) -> None:
        self.harness = WatchHarness()
        self.watched: dict[str, WatchedTarget] = {}
        self.adopted: dict[str, WatchedTarget] = {}
        self._aliases = Aliases()

    @property
    def watched_targets(self) -> Mapping[str, WatchedTarget]:
        return self.watched

    @property
    def adopted_targets(self) -> Mapping[str, WatchedTarget]:
        return self.adopted

    def find(self, text: str) -> WatchedTarget | None:
        return self._aliases.find(text) or self.watched.get(parse_address(text).addr)

    def add(self, host: str, state: str = "unknown", *, since_s: float = 0.0, **target: Any) -> WatchedTarget:
        """One more, in a state since so many seconds."""
        watched = self.harness.watched(6379, host, **target)
        wall, now = time.time(), time.monotonic()
        if state == "paused":
            watched.state.pause(wall + 60, now)
        elif state != "unknown":
            error = RefusedError(f"{host}:6379: nobody listens") if state == "down" else None
            end(watched, error, wall=wall - since_s - 0.25)
            watched.state.memory.facts = FACTS
            for count in watched.state.series.lanes.values():
                count.stale = state == "stale"
                count.polled_at = now - 1.0
        watched.health.since = wall - since_s
        if target.get("source") == "adopted":
            self.adopted[watched.target.key] = watched
        else:
            self.watched[watched.target.addr] = watched
            self._aliases.add(watched)
        return watched


def end(
    watched: WatchedTarget,
    error: RefusedError | None = None,
    *,
    took_s: float = 0.25,
    wall: float | None = None,
) -> None:
    """Let a poll end."""
    began = time.monotonic() - took_s
    outcome = PollOutcome(None, error, began, time.time() if wall is None else wall, took_s)
    watched.health.note(outcome, watched.timing, 1)


def fleet(states: Mapping[str, int]) -> Members:
    """So many targets of each state."""
    members = Members()
    for state, number in states.items():
        for index in range(number):
            members.add(f"{state}-{index:04}", state, alias=f"{state} {index:04}", since_s=float(index))
    return members


async def no_share() -> None:
    """There is time."""


LANES = (Lane.FAST, Lane.STANDARD)
