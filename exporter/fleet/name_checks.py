"""Looking up the names of targets again: the address behind a name can change while a connection lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache

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

    def check(self, beat: int) -> None:
        """Look up the names that are due in this beat."""
        for addr, watched in self._watched.items():
            host = watched.target.host
            if (
                watched.named
                and host not in self._lookups
                and _beat_of(host) == beat % RESOLVE_EVERY
            ):
                task = asyncio.get_running_loop().create_task(self._look_up(watched))
                self._lookups[host] = (addr, task)

    def forget(self, addr: str) -> list[asyncio.Task[None]]:
        """Cancel the look-up that this target asks for. Others with its name ask again when it is due."""
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

    async def _look_up(self, asking: WatchedTarget) -> None:
        host = asking.target.host
        try:
            addresses = await asking.resolve()
            for watched in self._watched.values():
                if watched.target.host == host:
                    watched.compare(addresses)
        except TargetError:
            pass  # a name that fails to resolve now is no reason to leave a connection that works
        finally:
            del self._lookups[host]


@lru_cache(maxsize=20_000)  # every name is looked at in every beat
def _beat_of(host: str) -> int:
    return spread(host, "look-up") % RESOLVE_EVERY
