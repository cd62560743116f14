"""Maintenance: targets that are not polled until a given moment.

A paused target stays known. It has no connection, and of its series only the one that says until when. Its
variants go. It stays paused while the configuration changes, also if it goes and comes back. When the pause
is over, it is polled as a target that has just come.
"""

from __future__ import annotations

import asyncio
import logging
import time

from exporter.fleet.fleet import Fleet
from exporter.polling.watched_target import WatchedTarget

log = logging.getLogger(__name__)


class Pauses:
    """The pauses of a fleet's targets, by address. The fleet asks `keep` of each target that comes."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._ends: dict[str, tuple[float, asyncio.TimerHandle]] = {}  # the wall clock's moment

    def find(self, text: str) -> str | None:
        """The address of the target with this alias or address. ConfigError for a text that is neither."""
        watched = self._fleet.find(text)
        return None if watched is None else watched.target.addr

    def until(self, addr: str) -> float | None:
        """When the pause ends, in Unix time. None: the target is polled."""
        pause = self._ends.get(addr)
        return None if pause is None else pause[0]

    def begin(self, addr: str, for_s: float) -> float:
        """Pause a target, or change when its pause ends. Returns when it does."""
        known = self._ends.pop(addr, None)
        if known is None:
            self._fleet.hold(addr)
            for key, adopted in list(self._fleet.adopted_targets.items()):
                if adopted.target.addr == addr:
                    self._fleet.forget(key)
        else:
            known[1].cancel()
        until = time.time() + for_s
        timer = asyncio.get_running_loop().call_later(for_s, self.end, addr, "its time is over")
        self._ends[addr] = (until, timer)
        self._fleet.add(self._fleet.watched_targets[addr])
        log.info("polls pause for %g s: a request asked for that", for_s, extra={"addr": addr})
        return until

    def end(self, addr: str, why: str = "a request ended the pause") -> None:
        """Poll a target again."""
        pause = self._ends.pop(addr, None)
        if pause is None:
            return
        pause[1].cancel()
        if addr in self._fleet.watched_targets:
            log.info("polls go on: %s", why, extra={"addr": addr})
            self._fleet.renew(addr)

    def keep(self, watched: WatchedTarget) -> bool:
        """Whether a target is paused. One that is shows that, and is closed."""
        pause = self._ends.get(watched.target.addr)
        if pause is None:
            return False
        watched.close()
        watched.state.pause(pause[0], time.monotonic())
        return True

    def close(self) -> None:
        """End no more pauses."""
        for _, timer in self._ends.values():
            timer.cancel()
        self._ends.clear()
