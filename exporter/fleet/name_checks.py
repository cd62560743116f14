"""Looking up the names of targets again: the address behind a name can change while a connection lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from exporter.errors import TargetError
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.spread import spread

#: how often each name is looked up, in beats
RESOLVE_EVERY = 30


class NameChecks:
    """Look-ups of the names of the `watched` targets. Targets with the same name share one."""

    def __init__(self, watched: Mapping[str, WatchedTarget]) -> None:
        self._watched = watched
        #: by host: the address of the target that asks, and its task
        self._lookups: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._places: dict[str, int] = {}  # by address: a hash of the name, which 10,000 take 8 ms to compute

    def check(self, beat: int) -> None:
        """Look up the names that are due in this beat."""
        for addr, watched in self._watched.items():
            if not watched.named:
                continue
            host = watched.target.host
            place = self._places.get(addr)
            if place is None:
                place = self._places[addr] = spread(host, "look-up")
            if host not in self._lookups and (place - beat) % RESOLVE_EVERY == 0:
                task = asyncio.get_running_loop().create_task(self._look_up(watched))
                self._lookups[host] = (addr, task)
                # a task that is cancelled before its first step never runs: the entry goes all the same
                task.add_done_callback(partial(self._end, host))

    def forget(self, addr: str) -> list[asyncio.Task[None]]:
        """Cancel the look-up that this target asks for. Others with its name ask again when it is due."""
        self._places.pop(addr, None)
        cancelled = [task for asking, task in self._lookups.values() if asking == addr]
        for task in cancelled:
            task.cancel()
        return cancelled

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel all look-ups, and return their tasks."""
        cancelled = [task for _, task in self._lookups.values()]
        for task in cancelled:
            task.cancel()
        return cancelled

    def _end(self, host: str, task: asyncio.Task[None]) -> None:
        del self._lookups[host]

    async def _look_up(self, asking: WatchedTarget) -> None:
        host = asking.target.host
        try:
            addresses = await asking.resolve()
            for watched in self._watched.values():
                if watched.target.host == host:
                    watched.compare(addresses)
        except TargetError:
            pass  # a name that fails to resolve now is no reason to leave a connection that works
