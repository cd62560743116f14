"""All watched targets, as the rooms above see them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

from exporter.errors import CancelledPollError
from exporter.fleet.schedule import Schedule
from exporter.polling.watched_target import Ended, WatchedTarget
from exporter.targets.address import parse_address

log = logging.getLogger(__name__)


class Fleet:
    """The watches by canonical address. Tells when every target was attempted, and logs who comes and
    goes."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._watched: dict[str, WatchedTarget] = {}
        self._by_alias: dict[str, WatchedTarget] = {}
        self._waiting: set[str] = set()
        self._reasons: dict[str, str] = {}  # of targets that are down, as they were logged
        self._first_round = asyncio.Event()
        self._first_round.set()

    @property
    def watched_targets(self) -> Mapping[str, WatchedTarget]:
        return self._watched

    def add(self, watched: WatchedTarget) -> None:
        self._watched[watched.target.addr] = watched
        if watched.target.alias:
            self._by_alias[watched.target.alias] = watched
        self._schedule.add(watched)
        self._waiting.add(watched.target.addr)
        self._first_round.clear()

    def remove(self, addr: str) -> None:
        alias = self._watched.pop(addr).target.alias
        self._by_alias.pop(alias, None)
        self._schedule.remove(addr)
        self._reasons.pop(addr, None)
        self._attempted(addr)

    def find(self, text: str) -> WatchedTarget | None:
        """By exact alias first, then by address in any spelling. A ConfigError says what is wrong with one
        that is none."""
        found = self._by_alias.get(text) or self._watched.get(text)  # the canonical spelling, most often
        return found or self._watched.get(parse_address(text).addr)

    @property
    def first_round_done(self) -> bool:
        """Every target was attempted."""
        return self._first_round.is_set()

    async def wait_first_round(self, timeout_s: float) -> None:
        """Until then, or for so long."""
        try:
            await asyncio.wait_for(self._first_round.wait(), timeout_s)
        except TimeoutError:
            pass

    def states(self) -> Mapping[str, int]:
        """How many targets are up, down, or not attempted yet (`unknown`)."""
        counts = Counter(
            {True: "up", False: "down", None: "unknown"}[watched.up] for watched in self._watched.values()
        )
        return {state: counts[state] for state in ("up", "down", "unknown")}

    def note(self, watched: WatchedTarget, ended: Ended) -> None:
        """A poll has ended. The log is told when a target goes up or down, and when it is down for another
        reason."""
        addr = watched.target.addr
        self._attempted(addr)
        if isinstance(
            ended.error, CancelledPollError
        ):  # the program stops, or the target is removed: that says nothing about it
            return
        reason = ended.error.reason if ended.error is not None and watched.up is False else ""
        if not ended.up_changed and reason == self._reasons.get(addr, ""):
            return
        extra = {"addr": addr, "topic": "state", "duration_ms": round(ended.duration_s * 1000, 1)}
        if watched.up:
            self._reasons.pop(addr, None)
            log.info("up", extra=extra)
            for note in watched.notices:
                log.warning(note.value, extra={"addr": addr})
        elif ended.error is not None:
            self._reasons[addr] = reason
            log.warning("down: %s", ended.error, extra={**extra, "reason": reason})

    def _attempted(self, addr: str) -> None:
        self._waiting.discard(addr)
        if not self._waiting:
            self._first_round.set()
