"""Looking up the names of targets again: the address behind a name can change while a connection lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from exporter.errors import TargetError
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.spread import spread

#: how often each name is looked up
RESOLVE_S = 30.0
#: parts of that time; the names of one part are looked up together
PARTS = 30


class NameChecks:
    """Look-ups of the names of the `watched` targets. Targets with the same name share one."""

    def __init__(self, watched: Mapping[str, WatchedTarget]) -> None:
        self._watched = watched
        #: by host: the address of the target that asks, and its task
        self._lookups: dict[str, tuple[str, asyncio.Task[None]]] = {}
        #: by host, the keys of its targets; the hosts by the part of the time in which they are looked up
        self._parts: list[dict[str, dict[str, None]]] = [{} for _ in range(PARTS)]
        self._part_of: dict[str, int] = {}  # by host
        self._host_of: dict[str, str] = {}  # by key
        self._checked: int | None = None  # the newest part, counted from the monotonic clock's beginning

    def follow(self, watched: WatchedTarget) -> None:
        """Look up the name of this target from now on, if it has one."""
        key, host = watched.target.key, watched.target.host
        self._drop(key)
        if watched.named:
            part = self._part_of.get(host)
            if part is None:
                part = self._part_of[host] = spread(host, "look-up") % len(self._parts)
            self._parts[part].setdefault(host, {})[key] = None
            self._host_of[key] = host

    def check(self, now: float) -> None:
        """Look up the names that are due by now (monotonic)."""
        parts = len(self._parts)
        newest = int(now / RESOLVE_S * parts)
        first = newest if self._checked is None else max(self._checked, newest - parts) + 1
        self._checked = newest
        for number in range(first, newest + 1):
            for host, keys in self._parts[number % parts].items():
                if host not in self._lookups:
                    self._begin(host, next(iter(keys)))

    def _begin(self, host: str, key: str) -> None:
        task = asyncio.get_running_loop().create_task(self._look_up(self._watched[key]))
        self._lookups[host] = (key, task)
        # a task that is cancelled before its first step never runs: the entry goes all the same
        task.add_done_callback(partial(self._end, host))

    def _drop(self, key: str) -> None:
        host = self._host_of.pop(key, None)
        if host is not None:
            keys = self._parts[self._part_of[host]][host]
            del keys[key]
            if not keys:
                del self._parts[self._part_of.pop(host)][host]

    def forget(self, addr: str) -> list[asyncio.Task[None]]:
        """Cancel the look-up that this target asks for. Others with its name ask again when it is due."""
        self._drop(addr)
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
            part = self._part_of.get(host)
            for key in [] if part is None else list(self._parts[part][host]):
                self._watched[key].compare(addresses)
        except TargetError:
            pass  # a name that fails to resolve now is no reason to leave a connection that works
