"""Which part of everything a page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.targets.spread import spread


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of everything a page shows. All None: the whole.

    `slice` is (I, N): the targets whose hash (see `spread`) is I of N; `group` those whose label `group` says so;
    `names` some families; `addr` one target, with `plain` without its labels.
    """

    slice: tuple[int, int] | None = None
    group: str | None = None
    names: frozenset[str] | None = None
    addr: str | None = None
    plain: bool = False

    def takes(self, addr: str, groups: Callable[[str], str]) -> bool:
        if self.addr is not None:
            return addr == self.addr
        if self.slice is not None and spread(addr, "page slice") % self.slice[1] != self.slice[0]:
            return False
        return self.group is None or groups(addr) == self.group

    @property
    def takes_all(self) -> bool:
        return self.addr is None and self.slice is None and self.group is None


WHOLE = Selection()
