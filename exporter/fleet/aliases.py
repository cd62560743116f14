"""Which target an alias names."""

from __future__ import annotations

from exporter.polling.watched_target import WatchedTarget


class Aliases:
    """The watched targets that have an alias. Of those that share one, it names the last one."""

    def __init__(self) -> None:
        self._watched: dict[str, dict[str, WatchedTarget]] = {}  # by alias and address

    def add(self, watched: WatchedTarget) -> None:
        if watched.target.alias:
            self._watched.setdefault(watched.target.alias, {})[watched.target.addr] = watched

    def remove(self, alias: str, addr: str) -> None:
        """If another target has the same alias, it names that one from now on."""
        if alias:
            sharing = self._watched[alias]
            del sharing[addr]
            if not sharing:
                del self._watched[alias]

    def find(self, alias: str) -> WatchedTarget | None:
        sharing = self._watched.get(alias)
        return None if sharing is None else next(reversed(sharing.values()))
