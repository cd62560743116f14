"""How many files this process may open, and how many of them connections to targets may take.

Every connection is an open file. Some are kept back for everything else: clients of the pages, look-ups of
names, files that are read. Links to the other nodes of clusters have a share of their own, for a server says
how many there are: they take no connection from a target.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Hashable

from exporter.errors import ConfigError

#: where the system has no limit of its own
UNLIMITED = 1 << 20
RESERVE_MIN = 32
RESERVE_MAX = 1024
#: with fewer, the program cannot even start
FILES_MIN = 32


def raise_limit() -> int:
    """Raise the limit of open files as far as it may be raised without privileges. The limit that holds
    then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the system allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def check_limit(limit: int) -> None:
    """Raises ConfigError if a process that may open `limit` files is of no use."""
    if limit < FILES_MIN:
        raise ConfigError(
            f"this process may open {limit} files: raise the limit to {FILES_MIN} at least (ulimit -n, or "
            f"LimitNOFILE= of systemd), and by one for each target"
        )


def reserve_of(limit: int) -> int:
    """How many of `limit` files are kept back: a quarter, but 32 at least and 1,024 at most, and never
    more than half."""
    return min(max(RESERVE_MIN, limit // 4), RESERVE_MAX, limit // 2)


class Descriptors:
    """The files that connections to targets may take, and who has one. An owner has one file at most and
    keeps it until it gives it back, so that no other can take it while the owner connects again."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.reserve = reserve_of(limit)
        self.connections_max = max(1, limit - self.reserve)
        #: connections that the configured targets want, open or not: connections to nodes leave these free
        self.set_aside = 0
        self._owners: set[Hashable] = set()
        self._nodes: dict[
            Hashable, set[str]
        ] = {}  # the nodes to which links are open, by holder; no set is empty
        self._node_count = 0  # in all of those

    @property
    def in_use(self) -> int:
        return len(self._owners) + self._node_count

    @property
    def nodes_max(self) -> int:
        """Links to nodes that all holders may have together: half of what the targets leave."""
        return max(0, self.connections_max - max(self.set_aside, len(self._owners))) // 2

    def nodes_held(self, holder: Hashable) -> int:
        return len(self._nodes.get(holder, ()))

    def nodes_share(self, holder: Hashable) -> int:
        """Links to nodes that this holder may have: half of what the others leave, so that the next one finds
        room. Where all want more than that, and keep to it, they come to have equal parts."""
        left = self.nodes_max - self._node_count + self.nodes_held(holder)
        return min(max(0, left), max(1, left // 2))

    @property
    def nodes_refusal(self) -> str:
        """Why a holder got no link to one more node, for the reader."""
        return (
            f"the nodes of this target have all the connections that they may have: this process may open "
            f"{self.limit:,} files, which"
            f" leaves {self.nodes_max:,} to the nodes of all targets; raise the limit (ulimit -n, or "
            f"LimitNOFILE= of systemd)"
        )

    @property
    def refusal(self) -> str:
        """Why an owner got none, for the reader."""
        return (
            f"all {self.connections_max:,} connections to targets that this process may open are in use: it "
            f"may open"
            f" {self.limit:,} files; raise the limit (ulimit -n, or LimitNOFILE= of systemd)"
        )

    def take(self, owner: Hashable) -> bool:
        """Whether the owner has a file now."""
        if owner in self._owners:
            return True
        if self.in_use >= self.connections_max:
            return False
        self._owners.add(owner)
        return True

    def give_back(self, owner: Hashable) -> None:
        """An owner without a file changes nothing."""
        self._owners.discard(owner)

    def take_node(self, holder: Hashable, node: str) -> bool:
        """Whether the holder has a file for the link to this node now."""
        held = self._nodes.get(holder)
        if held is not None and node in held:
            return True
        if self.in_use >= self.connections_max or self.nodes_held(holder) >= self.nodes_share(holder):
            return False
        self._nodes.setdefault(holder, set()).add(node)
        self._node_count += 1
        return True

    def give_back_node(self, holder: Hashable, node: str) -> None:
        """As `give_back`."""
        held = self._nodes.get(holder)
        if held is None or node not in held:
            return
        held.remove(node)
        self._node_count -= 1
        if not held:
            del self._nodes[holder]

    def warning(self, connections: int) -> str | None:
        """What to log at start where `connections` are wanted; None where there are files enough."""
        if connections <= self.connections_max:
            return None
        needed = connections + RESERVE_MAX
        needed = next(
            limit for limit in range(connections, needed + 1) if limit - reserve_of(limit) >= connections
        )
        return (
            f"this process may open {self.limit:,} files, which leaves room for {self.connections_max:,} of "
            f"{connections:,} connections"
            f" to targets: the others will be down with the reason open_files; raise the limit to {needed:,} "
            f"or more"
            " (ulimit -n, or LimitNOFILE= of systemd)"
        )
