"""The servers that discovery has found: where they may be dialled, whose login they get, and how long they
stay."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.errors import NotAllowedError, TargetError
from exporter.fleet.configured_servers import ConfiguredServers
from exporter.fleet.slices import Slices
from exporter.node_allowance import is_number_like
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.neighbours import NamedServer
from exporter.targets.neighbour import neighbour_host, neighbour_target
from exporter.targets.target import NodeFacts, Target

#: how long a turn of discovery waits for the look-up of a name
LOOK_UP_S = 5.0
#: nodes whose names are looked up at once
BATCH = 50
NODES_MAX = 10_000

#: finds the addresses at which a host and port may be dialled, or raises NotAllowedError or TargetError
Finder = Callable[[str, int], Awaitable[tuple[str, ...]]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Naming:
    """A server that somebody names, and the seed whose login it gets."""

    server: NamedServer
    seed: WatchedTarget
    seen_at: float
    cluster: str
    shard: str = ""


@dataclass(slots=True)
class _Node:
    """A found server. `named_at` is monotonic; `admitted_for` is the seed under which its addresses were
    checked; `same_as` is the address of the configured target that it is, "" if none; `is_double` says that
    another one of them is the same server."""

    named: Naming
    named_at: float
    addresses: tuple[str, ...] = ()
    admitted_for: Target | None = None
    same_as: str = ""
    is_double: bool = False
    run_id: str = ""

    @property
    def seed(self) -> str:
        return self.named.seed.target.addr

    @property
    def place(self) -> tuple[str, int]:
        return neighbour_host(self.named.server.host), self.named.server.port


class FoundNodes:
    """By address. `finder_for` makes the finder of the servers that one target names. `roles` are the newest
    ones by the address of the target."""

    def __init__(self, finder_for: Callable[[Target], Awaitable[Finder]]) -> None:
        self._finder_for = finder_for
        self._nodes: dict[str, _Node] = {}
        self._turn_at = 0.0
        self._is_full = False
        self.roles: Mapping[str, str] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._nodes.clear()
        self.roles = {}

    def admit_again(self) -> None:
        """Check again where all of them may be dialled."""
        for node in self._nodes.values():
            node.admitted_for = None

    def seed_of(self, addr: str, seeds: Mapping[str, WatchedTarget]) -> WatchedTarget | None:
        """The seed whose login a found server has, if it is one of these."""
        node = self._nodes.get(addr)
        return seeds.get(node.seed) if node is not None else None

    def found_by(self, seeds: Mapping[str, WatchedTarget]) -> Iterator[str]:
        """The addresses of those that have the login of these seeds."""
        return (addr for addr, node in self._nodes.items() if node.seed in seeds)

    # -- who comes

    async def update(
        self,
        named: Mapping[str, Naming],
        found: Mapping[str, WatchedTarget],
        configured: ConfiguredServers,
        slices: Slices,
    ) -> None:
        """Take what is named now. `found` are the targets that discovery has brought."""
        self._turn_at = time.monotonic()
        doubtful: dict[str, list[tuple[str, _Node]]] = {}  # by seed
        for addr, each in named.items():
            await slices.rest()
            node = self._nodes.get(addr) or _Node(each, self._turn_at)
            node.named, node.named_at = each, self._turn_at
            watched = found.get(addr)
            if watched is not None and watched.up and watched.facts is not None:
                node.run_id = watched.facts.run_id
            same = configured.find(each.server, node.run_id)
            node.same_as = same.target.addr if same is not None else ""
            if same is not None or self._is_admitted(node, watched):
                self._keep(addr, node)
            else:
                doubtful.setdefault(node.seed, []).append((addr, node))
        for nodes in doubtful.values():
            await self._admit(nodes, slices)

    @staticmethod
    def _is_admitted(node: _Node, watched: WatchedTarget | None) -> bool:
        """A name is looked up again while the server behind it is down, or is polled by another name."""
        is_lost = watched is not None and watched.up is False and node.addresses != (node.place[0],)
        return node.admitted_for is node.named.seed.target and not is_lost and not node.is_double

    async def _admit(self, nodes: Sequence[tuple[str, _Node]], slices: Slices) -> None:
        """Check where servers that one seed names may be dialled."""
        seed = nodes[0][1].named.seed.target
        find: Finder
        try:
            async with asyncio.timeout(LOOK_UP_S):
                find = await self._finder_for(seed)
        except (TargetError, TimeoutError):
            find = _no_answer
        named: list[tuple[str, _Node]] = []
        for addr, node in nodes:
            await slices.rest()
            if _is_numeric(node.place[0]):
                await self._admit_one(find, seed, addr, node)
            else:
                named.append((addr, node))
        for at in range(0, len(named), BATCH):  # together, because a look-up may take long
            await asyncio.gather(*(self._admit_one(find, seed, *each) for each in named[at : at + BATCH]))
            await slices.rest()

    async def _admit_one(self, find: Finder, seed: Target, addr: str, node: _Node) -> None:
        try:
            async with asyncio.timeout(LOOK_UP_S):
                addresses = await find(*node.place)
        except NotAllowedError:  # the finder has logged it
            self._nodes.pop(addr, None)
        except (TargetError, TimeoutError):
            before = node.admitted_for  # what was allowed stays so under the same settings
            if before is None or before.overrides != seed.overrides:
                self._nodes.pop(addr, None)
        else:
            node.addresses, node.admitted_for = addresses, seed
            self._keep(addr, node)

    def _keep(self, addr: str, node: _Node) -> None:
        if addr in self._nodes or len(self._nodes) < NODES_MAX:
            self._nodes[addr] = node
        elif not self._is_full:
            self._is_full = True
            log.warning("%s nodes are discovered: no more are polled", f"{NODES_MAX:,}")

    # -- who goes

    def forget(self, seeds: Mapping[str, WatchedTarget], grace_s: float) -> None:
        """Let those go that nobody has named for a while, whose node is at another address now, or whose seed
        is gone."""
        now = time.monotonic()
        at_new_place = {
            node.named.server.id for node in self._nodes.values() if node.named_at == self._turn_at
        } - {""}
        for addr, node in list(self._nodes.items()):
            is_named = node.named_at == self._turn_at
            has_moved = not is_named and node.named.server.id in at_new_place
            if node.seed not in seeds or has_moved or (not is_named and now - node.named_at > grace_s):
                del self._nodes[addr]

    # -- what they are

    async def targets(
        self, everybody: Mapping[str, WatchedTarget], shown: tuple[str, ...], slices: Slices
    ) -> list[Target]:
        """Each as a target. One that is configured is that target, with what is known of it as a node."""
        targets: dict[str, Target] = {}
        roles: dict[str, str] = {}
        await self._mark_doubles(slices)
        for addr, node in self._nodes.items():
            await slices.rest()
            if node.is_double:
                continue
            own = node.same_as or addr
            watched, seed = everybody.get(own), everybody[node.seed]
            role = roles[own] = _role(node, watched)
            server = node.named.server
            facts = NodeFacts(
                cluster=node.named.cluster,
                shard=node.named.shard,
                role=role if "role" in shown else "",
                node_id=server.id,
                master_name=server.master_name,
                shown=shown,
            )
            if node.same_as and watched is not None:
                targets.setdefault(own, replace(watched.target, source="discovered", node=facts))
            elif not node.same_as:
                targets.setdefault(
                    addr,
                    neighbour_target(
                        seed.target, addr, node.place, node.addresses, source="discovered", node=facts
                    ),
                )
        self.roles = roles
        return list(targets.values())

    async def _mark_doubles(self, slices: Slices) -> None:
        """Of several names of one server one counts: its address, else the first one. A name that leads to
        several servers is a name of none of them."""
        places = {node.place for node in self._nodes.values()}
        seen: set[tuple[frozenset[str], int]] = set()
        for node in self._nodes.values():
            await slices.rest()
            host, port = node.place
            if not _is_numeric(host) and not node.same_as:
                at = frozenset(node.addresses), port
                node.is_double = at in seen or any((address, port) in places for address in node.addresses)
                seen.add(at)


def _is_numeric(host: str) -> bool:
    return ":" in host or is_number_like(host)


async def _no_answer(host: str, port: int) -> tuple[str, ...]:
    raise TargetError("the seed's own name cannot be looked up")


def _role(node: _Node, watched: WatchedTarget | None) -> str:
    """As the server says itself while it is up, else as others say."""
    if watched is not None and watched.up and watched.facts is not None:
        return watched.facts.role
    return node.named.server.role
