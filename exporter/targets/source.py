"""Where targets come from while the exporter runs, besides its flags and its configuration file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from exporter.targets.target import Target

#: takes all targets that a source has now, in place of those that it had before
Changed = Callable[[Sequence[Target]], None]


class TargetSource(Protocol):
    """Finds targets until it is cancelled. A source that equals one that runs is that one: a reload lets it
    go on. While it cannot find out, it keeps its newest answer by saying nothing."""

    @property
    def name(self) -> str:
        """What names it in messages, such as `--targets.file-sd=/etc/redis/*.yml`. Unique."""
        ...

    async def run(self, changed: Changed) -> None: ...


def merge(lists: Iterable[Sequence[Target]]) -> list[Target]:
    """All targets of several lists. Of those with one address the first one counts."""
    first: dict[str, Target] = {}
    for targets in lists:
        for target in targets:
            first.setdefault(target.addr, target)
    return list(first.values())
