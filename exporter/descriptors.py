"""How many files this process may open, and how many of them connections to targets may take.

Every connection is an open file. Some are kept back for everything else: clients of the pages, look-ups of names, files that are read.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Hashable

#: where the system has no limit of its own
UNLIMITED = 1 << 20
RESERVE_MIN = 32
RESERVE_MAX = 1024


def raise_limit() -> int:
    """Raise the limit of open files as far as it may be raised without privileges. The limit that holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the system allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def reserve_of(limit: int) -> int:
    """How many of `limit` files are kept back: a quarter, but 32 at least and 1,024 at most, and never more than half."""
    return min(max(RESERVE_MIN, limit // 4), RESERVE_MAX, limit // 2)


class Descriptors:
    """The files that connections to targets may take, and who has one. An owner has one file at most and keeps it until it gives it
    back, so that no other can take it while the owner connects again."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.reserve = reserve_of(limit)
        self.connections_max = max(1, limit - self.reserve)
        self._owners: set[Hashable] = set()

    @property
    def in_use(self) -> int:
        return len(self._owners)

    @property
    def refusal(self) -> str:
        """Why an owner got none, for the reader."""
        return (
            f"all {self.connections_max:,} connections to targets that this process may open are in use: it may open"
            f" {self.limit:,} files; raise the limit (ulimit -n, or LimitNOFILE= of systemd)"
        )

    def take(self, owner: Hashable) -> bool:
        """Whether the owner has a file now."""
        if owner in self._owners:
            return True
        if len(self._owners) >= self.connections_max:
            return False
        self._owners.add(owner)
        return True

    def give_back(self, owner: Hashable) -> None:
        """An owner without a file changes nothing."""
        self._owners.discard(owner)

    def warning(self, connections: int) -> str | None:
        """What to log at start where `connections` are wanted; None where there are files enough."""
        if connections <= self.connections_max:
            return None
        needed = connections + RESERVE_MAX
        needed = next(limit for limit in range(connections, needed + 1) if limit - reserve_of(limit) >= connections)
        return (
            f"this process may open {self.limit:,} files, which leaves room for {self.connections_max:,} of {connections:,} connections"
            f" to targets: the others will be down with the reason open_files; raise the limit to {needed:,} or more"
            " (ulimit -n, or LimitNOFILE= of systemd)"
        )
