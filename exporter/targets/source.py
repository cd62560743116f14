"""Where targets come from while the exporter runs, besides its flags and its configuration file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from exporter.targets.target import Target

#: takes all targets that a source has now, in place of those that it had before
Changed = Callable[[Sequence[Target]], None]


log = logging.getLogger(__name__)


class SourceHealth:
    """What is known of how a source finds its targets. The log says a problem once, until it is over or
    another one takes its place."""

    def __init__(self) -> None:
        self.failures = 0
        self.succeeded_at: float | None = None
        self._problems: dict[str, str] = {}  # by the place where it is

    def succeed(self) -> None:
        """Note that all that the source has was found now."""
        self.succeeded_at = time.time()

    def fail(self, place: str, problem: str) -> None:
        """Note that `place` could not be read: what it had before stays."""
        self.failures += 1
        self._say(place, problem, "the targets that were found before stay")

    def fault(self, place: str, problem: str) -> None:
        """Note that a part of what a place has cannot be used; "" for nothing."""
        if problem:
            self._say(place, problem, "a part of the targets that were found cannot be used")
        else:
            self._problems.pop(place, None)

    def _say(self, place: str, problem: str, line: str) -> None:
        if self._problems.get(place) != problem:
            self._problems[place] = problem
            log.warning(line, extra={"err": f"{place}: {problem}"})


class TargetSource(Protocol):
    """Finds targets until it is cancelled. A source that equals one that runs is that one: a reload lets it
    go on. While it cannot find out, it keeps its newest answer by saying nothing."""

    @property
    def name(self) -> str:
        """What names it in messages, such as `--targets.file-sd=/etc/redis/*.yml`. Unique."""
        ...

    @property
    def health(self) -> SourceHealth: ...

    async def run(self, changed: Changed) -> None: ...


def merge(lists: Iterable[Sequence[Target]]) -> list[Target]:
    """All targets of several lists. Of those with one address the first one counts, with what discovery knows
    of it."""
    first: dict[str, Target] = {}
    for targets in lists:
        for target in targets:
            known = first.setdefault(target.addr, target)
            if known is not target and target.node is not None:
                first[target.addr] = replace(known, node=target.node)
    return list(first.values())
