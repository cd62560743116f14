"""No two targets on the page of all targets have the same labels: the series of one would be those of the
other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

from exporter.polling.watched_target import WatchedTarget
from exporter.targets.distinct import clash_key

log = logging.getLogger(__name__)


class PageLabels:
    """Who has which labels there. A configured target has its own in any case, and an adopted one only those
    that nobody has yet. `set_apart` takes an adopted one off the page, by its key, because a configured one
    has its labels now."""

    def __init__(self, set_apart: Callable[[str], None]) -> None:
        self._set_apart = set_apart
        self._holders: dict[Hashable, WatchedTarget] = {}  # by labels
        self._labels: dict[str, Hashable] = {}  # by key of a target

    def take(self, watched: WatchedTarget) -> bool:
        """Whether a target may be on the page. It has its labels from now on, if so."""
        target = watched.target
        self.leave(target.key)
        labels = clash_key(target, watched.assignment.options.metrics)
        if labels is None:
            return True
        holder = self._holders.get(labels)
        if holder is not None and target.source == "adopted":
            _warn(watched, holder)
            return False
        if holder is not None and holder.target.source == "adopted":
            self.leave(holder.target.key)
            self._set_apart(holder.target.key)
            _warn(holder, watched)
        self._holders[labels] = watched
        self._labels[target.key] = labels
        return True

    def leave(self, key: str) -> None:
        """A target is off the page, or gets other labels."""
        labels = self._labels.pop(key, None)
        holder = self._holders.get(labels)  # for a moment of a reload, two configured ones may have the same
        if holder is not None and holder.target.key == key:
            del self._holders[labels]


def _warn(watched: WatchedTarget, other: WatchedTarget) -> None:
    log.warning(
        "the target is on its own page only: %s has the same labels",
        other.target.addr,
        extra={"addr": watched.target.addr},
    )
