"""The targets on a page, in groups.

What changes together should stand together: a lane that is not due at each turn is polled at the same turn
for all targets of a group, so a page finds the other groups as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

#: The slow lane is due at each twelfth turn by default, the standard lane at each third.
GROUPS_MAX = 12
#: how many groups there are, by the least number of targets; each number divides the larger ones
GROUPS = ((240, 12), (96, 6), (36, 3), (0, 1))


@dataclass(frozen=True, slots=True)
class Members:
    """Targets in the order in which a page shows them. Group i ends before the place `group_ends[i]`."""

    addrs: Sequence[str]
    group_ends: Sequence[int]


def members_of(addrs: Iterable[str], turn_of: Callable[[str], int]) -> Members:
    """Put targets in groups. `turn_of` gives the number, below GROUPS_MAX, of the turn at which the slower
    lanes of a target are due. Within a group they keep their order."""
    addrs = tuple(addrs)
    count = next(groups for least, groups in GROUPS if len(addrs) >= least)
    groups: list[list[str]] = [[] for _ in range(count)]
    for addr in addrs:
        groups[turn_of(addr) % count].append(addr)
    ends, end = [], 0
    for group in groups:
        end += len(group)
        ends.append(end)
    return Members(tuple(addr for group in groups for addr in group), tuple(ends))
