"""Targets that configured targets name: nodes of their cluster, servers that a Sentinel watches, replicas.

Nothing is asked for it: what the polls bring says who is there. A target that names others is a seed. A seed
that is down keeps what it said last, unless another one of its group knows better.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from exporter.fleet.configured_servers import ConfiguredServers
from exporter.fleet.endpoints import Endpoints
from exporter.fleet.fleet import Fleet
from exporter.fleet.found_nodes import Finder, FoundNodes, Naming
from exporter.fleet.seed_groups import SeedGroup, join, read_cluster, read_others
from exporter.fleet.slices import Slices
from exporter.metrics.lane import Lane
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.neighbours import Neighbours
from exporter.protocol.shard_names import ShardNames
from exporter.targets.neighbour import neighbour_address
from exporter.targets.source import Changed, SourceHealth
from exporter.targets.target import NodeFacts, Target

NAME: Final = "discovered"
#: how long it waits for further news before it works through them
GAP_S = 0.5
#: nodes that say who else is there while none of their seeds is up
STANDINS_MAX = 3

Watched = Mapping[str, WatchedTarget]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiscoverySettings:
    """What of the options matters here. `allowance` is where nodes may be, of targets without an own one."""

    interval_s: float = 30.0
    grace_s: float = 300.0
    labels: tuple[str, ...] = ()
    hostnames: bool = False
    allowance: object = None


class Discovery:
    """A source of targets. `finder_for` makes what finds the addresses at which the servers that one target
    names may be dialled."""

    name = NAME

    def __init__(
        self,
        fleet: Fleet,
        finder_for: Callable[[Target], Awaitable[Finder]],
        settings: DiscoverySettings,
    ) -> None:
        self.health = SourceHealth()
        self._fleet = fleet
        self._settings = settings
        self._nodes = FoundNodes(finder_for)
        self._endpoints = Endpoints()
        self._shards: dict[str, ShardNames] = {}  # by the first seed of a group
        self._news = asyncio.Event()
        self._newest: dict[str, object] = {}  # what targets said, and whether they were up
        self._asked_at: dict[str, float] = {}
        self._sources: set[str] = set()  # targets whose words count now
        self._others: set[str] = set()  # those that need not be listened to
        self._warnings = _Warnings()

    def change(self, settings: DiscoverySettings) -> None:
        """Go on with other settings, or other seeds."""
        if settings != self._settings:
            self._settings = settings
            self._nodes.admit_again()
        self._news.set()

    def role_of(self, addr: str) -> str:
        """The newest role of a target that others name; "" unknown."""
        return self._nodes.roles.get(addr, "")

    # -- when to look

    def note(self, watched: WatchedTarget) -> None:
        """Take the end of a poll of a target that may name others."""
        addr, mode = watched.target.addr, watched.target.discover
        if addr in self._others:
            return
        said: object = watched.cluster
        if mode != "cluster":
            neighbours = read_others(watched)
            said = neighbours and neighbours.servers
        if self._newest.get(addr) != (watched.up, said):
            self._newest[addr] = (watched.up, said)
            self._news.set()
        if mode == "cluster" and watched.up and addr in self._sources:
            self._hurry(watched)

    def _hurry(self, watched: WatchedTarget) -> None:
        """Let a source say within the interval of discovery who is there, though its lane is slower."""
        addr, ahead_s = watched.target.addr, 2 * watched.timing.interval_s
        age_s = time.time() - watched.cluster.seen_at if watched.cluster is not None else math.inf
        asked_s = time.monotonic() - self._asked_at.get(addr, -math.inf)
        if min(age_s, asked_s) + ahead_s > self._settings.interval_s:
            self._asked_at[addr] = time.monotonic()
            watched.state.clock.bring_forward((Lane.SLOW,))

    async def run(self, changed: Changed) -> None:
        """Find until it is cancelled, which it is when there is no seed any longer."""
        try:
            while True:
                await self._look(changed)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.interval_s):
                        await self._news.wait()
                await asyncio.sleep(min(GAP_S, self._settings.interval_s / 10))
                self._news.clear()
        finally:
            self._forget_all()

    async def _look(self, changed: Changed) -> None:
        try:
            changed(await self._find())
            self.health.succeed()
        except Exception:  # the next news must find somebody who listens
            self.health.failures += 1
            log.exception("internal error in the discovery of targets (please report)")

    # -- one turn

    async def _find(self) -> Sequence[Target]:
        slices = Slices()
        everybody = dict(self._fleet.watched_targets)
        found = {addr: each for addr, each in everybody.items() if each.target.source == NAME}
        seeds = {addr: each for addr, each in everybody.items() if each.target.discover and addr not in found}
        groups = await join(seeds.values(), partial(self._neighbours_of, slices), slices)
        self._endpoints.keep_only(set(seeds))
        self._sources = set()
        named: dict[str, Naming] = {}
        for group in groups:
            self._endpoints.note(group)
            for addr, each in (await self._named_by(group, found, slices)).items():
                named.setdefault(addr, each)
        self._forget(groups, seeds, found)
        self._warnings.note(groups)
        await self._nodes.update(named, found, await self._configured(everybody, slices), slices)
        self._nodes.forget(seeds, self._settings.grace_s)
        targets = await self._nodes.targets(everybody, self._settings.labels, slices)
        return (*self._endpoint_targets(groups), *targets)

    async def _neighbours_of(self, slices: Slices, watched: WatchedTarget) -> Neighbours | None:
        """What a target said last of the servers around it, None if it said nothing of the kind."""
        if watched.target.discover != "cluster":
            return read_others(watched)
        view = watched.cluster
        if view is None:
            return None
        return await read_cluster(view, slices, hostnames=self._settings.hostnames)

    async def _configured(self, everybody: Watched, slices: Slices) -> ConfiguredServers:
        configured = ConfiguredServers()
        for addr, watched in everybody.items():
            await slices.rest()
            if watched.target.source != NAME and addr not in self._endpoints.addrs:
                configured.add(watched)
        return configured

    async def _named_by(self, group: SeedGroup, found: Watched, slices: Slices) -> Mapping[str, Naming]:
        """Who is there, by address, as those say who know best: the seeds that are up, else nodes that are
        up, else what the seeds said last. Of replicas each server that is named names others in turn."""
        in_turn = group.mode == "replicas"
        seeds = {each.target.addr: each for each in group.seeds}
        words = deque(group.views if in_turn else [each for each in group.views if each[0].up])
        words = words or deque(await self._standins(seeds, found, slices)) or deque(group.views)
        named: dict[str, Naming] = {}
        while words:
            watched, neighbours = words.popleft()
            self._sources.add(watched.target.addr)
            seed = seeds.get(watched.target.addr) or self._nodes.seed_of(watched.target.addr, seeds)
            seed = seed or group.seeds[0]
            for server in neighbours.servers:
                await slices.rest()
                addr = neighbour_address(seed.target, server.host, server.port)
                before = named.get(addr)
                if not addr or (before is not None and before.seen_at >= neighbours.seen_at):
                    continue
                login = before.seed if before is not None else self._nodes.seed_of(addr, seeds) or seed
                named[addr] = Naming(server, login, neighbours.seen_at, group.name)
                if in_turn and addr in found:
                    further = read_others(found[addr])
                    words.extend([(found[addr], further)] if further is not None else [])
        if group.mode != "cluster":
            return named
        shards = self._shards.setdefault(group.seeds[0].target.addr, ShardNames())
        await slices.rest()
        names = shards.assign([each.server for each in named.values()])
        for addr, each in named.items():
            await slices.rest()
            named[addr] = replace(each, shard=names.get(each.server.id, ""))
        return named

    async def _standins(
        self, seeds: Watched, found: Watched, slices: Slices
    ) -> list[tuple[WatchedTarget, Neighbours]]:
        """Some found nodes that are up, and what they say."""
        standins: list[tuple[WatchedTarget, Neighbours]] = []
        for addr in self._nodes.found_by(seeds):
            watched = found.get(addr)
            if watched is not None and watched.up and len(standins) < STANDINS_MAX:
                neighbours = await self._neighbours_of(slices, watched)
                standins += [(watched, neighbours)] if neighbours is not None else []
        return standins

    def _endpoint_targets(self, groups: Iterable[SeedGroup]) -> list[Target]:
        return [
            replace(seed.target, source=NAME, node=NodeFacts(cluster=group.name, is_endpoint=True))
            for group in groups
            for seed in group.seeds
            if seed.target.addr in self._endpoints.addrs
        ]

    # -- what is remembered

    def _forget(self, groups: Iterable[SeedGroup], seeds: Watched, found: Watched) -> None:
        """Forget who is gone, and who need not be listened to from now on."""
        everybody = {**seeds, **found}
        spare = {each.target.addr for group in groups if group.is_full for each in group.seeds}
        known = {addr for addr, watched in found.items() if watched.up is not None}
        self._others = (spare | known) - self._sources
        for memory in (self._newest, self._asked_at, self._shards):
            for addr in memory.keys() - everybody.keys():
                del memory[addr]
        self._warnings.keep_only(everybody)

    def _forget_all(self) -> None:
        self._nodes.clear()
        self._endpoints.keep_only(set())
        self._sources = set()
        self._forget((), {}, {})


class _Warnings:
    """What the operator should know about seeds. Each is logged once, until its seed is gone."""

    def __init__(self) -> None:
        self._warned: set[tuple[str, str]] = set()  # address and text

    def keep_only(self, addrs: Collection[str]) -> None:
        """Forget the other targets."""
        self._warned = {(addr, text) for addr, text in self._warned if addr in addrs}

    def note(self, groups: Sequence[SeedGroup]) -> None:
        named: set[str] = set()
        for group in groups:
            if group.views and group.mode != "replicas" and group.name in named:
                self._warn(group.seeds[0].target.addr, _SEVERAL)
            named.update([group.name] if group.views else ())  # seeds that said nothing may be of one cluster
            said = {watched.target.addr for watched, _ in group.views}
            for seed in group.seeds if not group.views else ():
                if seed.up and seed.target.addr not in said:
                    self._warn(seed.target.addr, f"it names no neighbours: {_WHY_NONE[group.mode]}")

    def _warn(self, addr: str, text: str) -> None:
        if (addr, text) not in self._warned:
            self._warned.add((addr, text))
            log.warning("%s", text, extra={"addr": addr})


_SEVERAL = (
    "it is of another cluster than an earlier seed with the same value of the label cluster: give each "
    "cluster a group of its own, or a label cluster"
)
_WHY_NONE = {
    "cluster": "it is no node of a cluster, its user may not send CLUSTER NODES, or the collector "
    "cluster_nodes is switched off",
    "sentinel": "it is no Sentinel, its user may not send SENTINEL MASTERS, or the collector sentinel is "
    "switched off",
    "replicas": "its INFO has no section about replication",
}
