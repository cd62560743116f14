"""Which targets and families a page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.targets.spread import spread

#: of the parameter `part`: the exporter's own series
OWN = "own"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which targets and families a page shows. All None: the whole page.

    `slice` is (I, N): slice I of N, by a hash of the target's address. `own`: no target, only the exporter's
    own series. `group` is a value of the targets' label `group`, `names` are some families. `addr` is one
    target; with `plain`, without its labels.
    """

    slice: tuple[int, int] | None = None
    own: bool = False
    group: str | None = None
    names: frozenset[str] | None = None
    addr: str | None = None
    plain: bool = False

    def takes(self, addr: str, groups: Callable[[str], str]) -> bool:
        """Whether a target is on the page. `groups` returns the label `group` of a target."""
        if self.addr is not None:
            return addr == self.addr
        if self.own:
            return False
        if self.slice is not None and spread(addr, "page slice") % self.slice[1] != self.slice[0]:
            return False
        return self.group is None or groups(addr) == self.group

    @property
    def takes_all(self) -> bool:
        """Whether every target is on the page."""
        return self.addr is None and self.slice is None and self.group is None and not self.own

    @property
    def part(self) -> str | None:
        """The value of the parameter `part` that asks for it."""
        if self.slice is not None:
            return "{}/{}".format(*self.slice)
        return OWN if self.own else None


WHOLE = Selection()
