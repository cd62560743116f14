"""Nodes of the clusters of configured targets that requests ask for.

Such a node is polled like the target that names it, its seed: with the seed's credentials and TLS, at its
interval, in all lanes. It goes too when no configured target names it any longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from weakref import WeakKeyDictionary, WeakSet

from exporter.errors import NotAllowedError, PageError, TargetError
from exporter.fleet.adopted import LOOK_UP_S, AdoptedTargets
from exporter.fleet.fleet import BATCH, Fleet
from exporter.polling.assignment import Assignment
from exporter.polling.identity import Identity
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.cluster import ClusterNode, ClusterView
from exporter.targets.neighbour import neighbour_host, neighbour_target
from exporter.targets.target import Target

#: members of a cluster by host and port
_Members = Mapping[tuple[str, int], ClusterNode]

log = logging.getLogger(__name__)


class ClusterAdoption:
    """Finds and adopts nodes. `assign` makes the assignment of a node from that of its seed; `admit` returns
    the addresses at which a node of a seed may be dialled, or raises. With `hostnames`, nodes are known by
    the names that they announce."""

    def __init__(
        self,
        fleet: Fleet,
        adopted: AdoptedTargets,
        assign: Callable[[Assignment, Target], Assignment],
        admit: Callable[[Target, str, int], Awaitable[tuple[str, ...]]],
        *,
        hostnames: bool = False,
    ) -> None:
        self._fleet = fleet
        self._adopted = adopted
        self._assign = assign
        self._admit = admit
        self._hostnames = hostnames
        self._nodes: WeakSet[Identity] = WeakSet()  # that were adopted here
        self._members: WeakKeyDictionary[Identity, tuple[ClusterView, _Members]] = WeakKeyDictionary()

    async def find(self, place: Target) -> WatchedTarget | None:
        """The target of a node's place: the configured one if that is the node itself, else an adopted one.
        None if no configured target names it.

        Raises NotAllowedError for a node that may not be dialled, and PageError if it cannot be adopted now.
        """
        key = place.addr
        watched = self._fleet.adopted_targets.get(key)
        watched = watched if watched is not None and watched.identity in self._nodes else None
        if watched is None or (watched.up is False and watched.target.addresses != (place.host,)):
            named = self._named(place)
            if named is None:
                return None
            seed, node = named
            if "myself" in node.flags:
                return seed
            try:
                watched = await self._adopt(seed, place)
            except PageError:
                watched = self._fleet.adopted_targets.get(key)  # it is down, and its page says so
                if watched is None:
                    raise
        self._adopted.ask(key)
        return watched

    async def follow(self) -> None:
        """After a change of the configuration, nodes follow their seeds, or go."""
        nodes = [each for each in self._fleet.adopted_targets.values() if each.identity in self._nodes]
        for at in range(0, len(nodes), BATCH):  # together, because a look-up may take long
            await asyncio.gather(*map(self._follow, nodes[at : at + BATCH]))
            await asyncio.sleep(0)

    async def _follow(self, watched: WatchedTarget) -> None:
        target = watched.target
        why = self._review(watched)
        named = self._named(target)
        if not why and named is not None:
            try:
                await self._adopt(named[0], target)
            except (NotAllowedError, PageError) as error:
                why = str(error)
        if why:
            self._adopted.forget(target.key, why)

    # -- who names whom

    def _review(self, watched: WatchedTarget) -> str:
        """Why an adopted node goes."""
        named = self._named(watched.target)
        if named is not None and "myself" not in named[1].flags:
            return ""
        return "no configured target names it any longer"

    def _named(self, place: Target) -> tuple[WatchedTarget, ClusterNode] | None:
        """The configured target that names this place, and the node there. One that is this node itself comes
        first."""
        found = None
        if place.path or place.db:
            return None
        for seed in self._fleet.watched_targets.values():
            view = seed.cluster
            if view is None:  # most targets of a large fleet
                continue
            facts = seed.facts
            if facts is None or not facts.cluster_enabled or seed.target.node_scheme != place.scheme:
                continue
            node = self._members_of(seed, view).get((place.host, place.port))
            if node is not None and "myself" in node.flags:
                return seed, node
            if node is not None:
                found = found or (seed, node)
        return found

    def _members_of(self, seed: WatchedTarget, view: ClusterView) -> _Members:
        """The members of a view by their places, made once for each view."""
        known = self._members.get(seed.identity)
        if known is None or known[0] is not view:
            known = self._members[seed.identity] = (view, _by_place(view, hostnames=self._hostnames))
        return known[1]

    # -- who is adopted

    async def _adopt(self, seed: WatchedTarget, place: Target) -> WatchedTarget:
        """Poll the node of a seed at this place. If it is polled already, let it follow its seed."""
        addresses = await self._look_up(seed, place)
        # what follows is true after the look-up, whatever has changed during it
        configured = self._fleet.watched_targets.get(place.addr)
        if configured is not None:
            return configured
        if self._fleet.watched_targets.get(seed.target.addr) is not seed:
            raise PageError(f"{seed.target.addr}, which names this node, is not configured any longer")
        node = neighbour_target(
            seed.target, place.addr, (place.host, place.port), addresses, source="adopted"
        )
        assignment = self._assign(seed.assignment, replace(node, labels=()))
        watched = self._fleet.adopted_targets.get(place.addr)
        if watched is not None and watched.identity not in self._nodes:
            self._adopted.forget(place.addr, "it is a node of a configured target's cluster")
            watched = None
        if watched is not None:
            watched = self._adopted.change(watched, assignment)
        else:
            watched = self._adopted.add(assignment, self._review)
            log.info("polling a node of the cluster of %s", seed.target.addr, extra={"addr": place.addr})
        self._nodes.add(watched.identity)
        return watched

    async def _look_up(self, seed: WatchedTarget, place: Target) -> tuple[str, ...]:
        """Where the node may be dialled."""
        try:
            async with asyncio.timeout(LOOK_UP_S):
                return await self._admit(seed.target, place.host, place.port)
        except TargetError as error:
            raise PageError(str(error)) from None
        except TimeoutError:
            raise PageError(f"{place.addr}: no answer of the resolver within {LOOK_UP_S:g} s") from None


def _by_place(view: ClusterView, *, hostnames: bool) -> _Members:
    """Of two at one place, the node itself counts, else the first one."""
    found: dict[tuple[str, int], ClusterNode] = {}
    for node in view.nodes:
        place = neighbour_host(node.shown_host(hostnames=hostnames)), node.port
        if node.is_member and (place not in found or "myself" in node.flags):
            found[place] = node
    return found
