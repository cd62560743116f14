"""Targets that requests ask for and nobody configured: nodes of the clusters of configured targets.

An adopted target is polled like the target that names it, its seed: with the seed's credentials and TLS, at
its interval, in all lanes. It goes when nobody has asked for it for a while, and when no configured target
names it any longer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from exporter.errors import NotAllowedError, PageError, TargetError
from exporter.fleet.fleet import BATCH, Fleet
from exporter.polling.assignment import Assignment
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.cluster import ClusterNode, ClusterView
from exporter.targets.address import canonical_host, parse_address
from exporter.targets.neighbour import neighbour_target
from exporter.targets.target import Target

#: how long an adopted target is kept that nobody asks for: the longer of a time and a number of gaps between
#: requests
KEPT_S = 600.0
KEPT_GAPS = 3
#: how often it is checked who may go
CHECK_S = 5.0
#: how long a request waits for the look-up of a node's name
LOOK_UP_S = 5.0
ADOPTED_MAX = 10_000

#: members of a cluster by host and port
_Members = Mapping[tuple[str, int], ClusterNode]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Requests:
    """When an adopted target was asked for last, and how long after the request before."""

    newest_at: float
    gap_s: float = 0.0

    def note(self, now: float) -> None:
        self.newest_at, self.gap_s = now, now - self.newest_at

    def have_ended(self, now: float) -> bool:
        return now - self.newest_at > max(KEPT_S, KEPT_GAPS * self.gap_s)


class Adoption:
    """Finds and adopts. `assign` makes the assignment of a node from that of its seed; `admit` returns the
    addresses at which a node of a seed may be dialled, or raises. With `hostnames`, nodes are known by the
    names that they announce."""

    def __init__(
        self,
        fleet: Fleet,
        assign: Callable[[Assignment, Target], Assignment],
        admit: Callable[[Target, str, int], Awaitable[tuple[str, ...]]],
        *,
        hostnames: bool = False,
    ) -> None:
        self._fleet = fleet
        self._assign = assign
        self._admit = admit
        self._hostnames = hostnames
        self._requests: dict[str, _Requests] = {}
        self._members: WeakKeyDictionary[WatchedTarget, tuple[ClusterView, _Members]] = WeakKeyDictionary()
        self._checks: asyncio.Task[None] | None = None
        self._closed = False

    async def find(self, text: str) -> WatchedTarget | None:
        """The target of a node's address: the configured one if that is the node itself, else an adopted one.
        None if no configured target names it.

        Raises ConfigError for a text that is no address, NotAllowedError for a node that may not be dialled,
        and PageError if it cannot be adopted now.
        """
        place = parse_address(text)
        watched = self._fleet.adopted_targets.get(place.addr)
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
                watched = self._fleet.adopted_targets.get(place.addr)  # it is down, and its page says so
                if watched is None:
                    raise
        if place.addr in self._requests:
            self._requests[place.addr].note(time.monotonic())
        return watched

    async def follow(self) -> None:
        """After a change of the configuration, adopted targets follow their seeds, or go."""
        adopted = list(self._fleet.adopted_targets.values())
        for at in range(0, len(adopted), BATCH):  # together, because a look-up may take long
            await asyncio.gather(*map(self._follow, adopted[at : at + BATCH]))
            await asyncio.sleep(0)

    async def _follow(self, watched: WatchedTarget) -> None:
        seed = self._seed_of(watched)
        if seed is not None:
            try:
                await self._adopt(seed, watched.target)
            except (NotAllowedError, PageError) as error:
                self._forget(watched.target.addr, str(error))

    async def close(self) -> None:
        """Adopt no more."""
        self._closed = True
        if self._checks is not None:
            self._checks.cancel()
            await asyncio.wait([self._checks])

    # -- who names whom

    def _seed_of(self, watched: WatchedTarget) -> WatchedTarget | None:
        """The seed of an adopted target. One that has none any longer goes."""
        named = self._named(watched.target)
        if named is not None and "myself" not in named[1].flags:
            return named[0]
        self._forget(watched.target.addr, "no configured target names it any longer")
        return None

    def _named(self, place: Target) -> tuple[WatchedTarget, ClusterNode] | None:
        """The configured target that names this place, and the node there. One that is this node itself comes
        first."""
        found = None
        if place.path or place.db:
            return None
        for seed in self._fleet.watched_targets.values():
            view, facts = seed.cluster, seed.facts
            if view is None or facts is None or not facts.cluster_enabled:
                continue
            if seed.target.node_scheme != place.scheme:
                continue
            node = self._members_of(seed, view).get((place.host, place.port))
            if node is not None and "myself" in node.flags:
                return seed, node
            if node is not None:
                found = found or (seed, node)
        return found

    def _members_of(self, seed: WatchedTarget, view: ClusterView) -> _Members:
        """The members of a view by their places, made once for each view."""
        known = self._members.get(seed)
        if known is None or known[0] is not view:
            known = self._members[seed] = (view, _by_place(view, hostnames=self._hostnames))
        return known[1]

    # -- who is adopted

    async def _adopt(self, seed: WatchedTarget, place: Target) -> WatchedTarget:
        """Poll the node of a seed at this place. If it is polled already, let it follow its seed."""
        addresses = await self._look_up(seed, place)
        # what follows is true after the look-up, whatever has changed during it
        if self._closed:
            raise PageError("the exporter is stopping")
        configured = self._fleet.watched_targets.get(place.addr)
        if configured is not None:
            return configured
        if self._fleet.watched_targets.get(seed.target.addr) is not seed:
            raise PageError(f"{seed.target.addr}, which names this node, is not configured any longer")
        adopted = self._fleet.adopted_targets
        node = neighbour_target(
            seed.target, place.addr, (place.host, place.port), addresses, source="adopted"
        )
        assignment = self._assign(seed.assignment, replace(node, labels=()))
        watched = adopted.get(place.addr)
        if watched is None and len(adopted) >= ADOPTED_MAX:
            raise PageError(f"{ADOPTED_MAX:,} nodes that are not configured are polled: no more can be")
        if watched is None:
            watched = self._fleet.adopt(assignment)
            self._requests[place.addr] = _Requests(time.monotonic())
            log.info("polling a node of the cluster of %s", seed.target.addr, extra={"addr": place.addr})
            if self._checks is None:
                self._checks = asyncio.create_task(self._keep_checking())
        elif watched.assignment != assignment:
            self._fleet.change(watched, assignment)
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

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                await self._check()
            except Exception:  # without the checks no target would go
                log.exception("internal error in the check of adopted targets (please report)")

    async def _check(self) -> None:
        """Let those go whose time is over."""
        for number, (addr, watched) in enumerate(list(self._fleet.adopted_targets.items()), 1):
            is_here = self._fleet.adopted_targets.get(addr) is watched and self._seed_of(watched) is not None
            if is_here and self._requests[addr].have_ended(time.monotonic()):
                self._forget(addr, "nobody asks for it")
            if number % BATCH == 0:
                await asyncio.sleep(0)
        for addr in self._requests.keys() - self._fleet.adopted_targets.keys():  # they are configured now
            del self._requests[addr]

    def _forget(self, addr: str, why: str) -> None:
        if addr in self._fleet.adopted_targets:
            self._fleet.forget(addr)
            del self._requests[addr]
            log.info("polls of the node end: %s", why, extra={"addr": addr})


def _by_place(view: ClusterView, *, hostnames: bool) -> _Members:
    """Of two at one place, the node itself counts, else the first one."""
    found: dict[tuple[str, int], ClusterNode] = {}
    for node in view.nodes:
        place = canonical_host(node.shown_host(hostnames=hostnames)), node.port
        if node.is_member and (place not in found or "myself" in node.flags):
            found[place] = node
    return found
