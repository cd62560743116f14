"""Links to the other nodes of a target's cluster, over which single commands of a poll go.

They are dialled like the target, with its user, password and TLS. So a node is dialled only where the nodes
of the target may be (see `neighbourhood`). A node that cannot be reached costs only its own replies: each is
an error reply that says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from exporter.connection.dialer import Dialer
from exporter.connection.limiter import Rank, wait_at
from exporter.connection.link import Connection
from exporter.connection.neighbourhood import Neighbourhood
from exporter.connection.node_addresses import NodeAddresses, parse_node
from exporter.connection.traffic import Traffic
from exporter.errors import (
    UNREACHABLE,
    DeadlineError,
    OpenFilesError,
    RedpollError,
    ReplyError,
    TargetError,
)
from exporter.protocol.command import Command, Reply, pack
from exporter.targets.target import Target

#: nodes of one target that one batch may reach, and links that are kept; Redis' own limit for a cluster
NODES_MAX = 1000

Done = Callable[[list[Reply] | TargetError], None]

log = logging.getLogger(__name__)


class _Batch:
    """One batch that is sent over several links: its replies by place, and how many links have still to
    answer."""

    __slots__ = ("deadline", "done", "neighbourhood", "replies", "target", "traffic", "waiting")

    def __init__(
        self, target: Target, neighbourhood: Neighbourhood, deadline: float, count: int, done: Done
    ) -> None:
        self.target = target
        self.neighbourhood = neighbourhood
        self.deadline = deadline
        self.replies: list[Reply] = [None] * count
        self.waiting = 0
        self.traffic: Traffic
        self.done: Done | None = done

    @property
    def rest_s(self) -> float:
        return self.deadline - time.monotonic()

    def take(self, places: Sequence[int], replies: Sequence[Reply]) -> None:
        for place, reply in zip(places, replies, strict=True):
            self.replies[place] = reply
        self.waiting -= 1
        if self.waiting == 0:
            self.finish(self.replies)

    def finish(self, outcome: list[Reply] | TargetError) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(outcome)


class ClusterLinks:
    """The links of one poll runner, by `host:port`, in the order of their last use. One batch runs at a
    time."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._addresses = NodeAddresses(dialer)
        self._links: dict[str, Connection] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._wanted: Container[str] = ()  # the nodes of the newest batch
        self._rules: object = None  # what says where nodes may be, as of that batch

    def scatter(
        self, target: Target, link: Connection, batch: Sequence[Command], deadline: float, done: Done
    ) -> None:
        """Send each command to its node, or over `link` if it has none. `done` gets all replies in order, or
        the error of `link`; it is called after this method has returned."""
        places: dict[str, list[int]] = {}
        for place, command in enumerate(batch):
            places.setdefault(command.node, []).append(place)
        own = places.pop("", [])
        settings = self._dialer.settings_of(target)
        self._follow((settings.allowance, settings.scrape_allow, target.login_allow))
        neighbourhood = Neighbourhood(target.host, link.addresses, settings.allowance)
        current = _Batch(target, neighbourhood, deadline, len(batch), done)
        current.traffic = link.traffic
        current.waiting = len(places) + bool(own)

        def receive(outcome: list[Reply] | TargetError) -> None:
            if isinstance(outcome, TargetError):
                current.finish(outcome)
                self.abort()
            else:
                current.take(own, outcome)

        if own:
            link.exchange(pack(batch[place] for place in own), len(own), receive)
        self._wanted = places
        self._forget_closed(places)
        self._shrink(self._dialer.descriptors.nodes_share(self))
        for number, (node, at) in enumerate(places.items()):
            if number < NODES_MAX:
                asking = self._ask(node, [batch[place] for place in at], at, current)
                task = asyncio.get_running_loop().create_task(asking)
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            else:
                current.take(
                    at, _unreachable(f"{node}: more than {NODES_MAX:,} nodes are asked at once", len(at))
                )

    def _follow(self, rules: object) -> None:
        """After a change of these, nodes are dialled again, if they still may be."""
        if rules != self._rules:
            self._rules = rules
            self.renew()

    def abort(self) -> None:
        """Close the links that have not replied yet."""
        for node, link in list(self._links.items()):
            if link.exchanging:
                self._give_up(node, link)

    def _give_up(self, node: str, link: Connection) -> DeadlineError:
        """Close a link that did not reply in time; the error that says so."""
        if self._links.get(node) is link:
            self._drop(node)
        error = DeadlineError(f"{link.where}: no complete answer in time")
        link.abort(error)
        return error

    def _drop(self, node: str) -> Connection:
        self._dialer.descriptors.give_back_node(self, node)
        return self._links.pop(node)

    def _forget_closed(self, wanted: Container[str]) -> None:
        """Give back the files of links that their servers closed, unless this batch wants them. Not while a
        node is dialled: its file is counted already."""
        if not self._asking:
            for node, link in list(self._links.items()):
                if link.closed and node not in wanted:
                    self._drop(node)

    def renew(self) -> None:
        """Close the idle links; the others close with their exchange."""
        for node, link in list(self._links.items()):
            if not link.exchanging:
                self._drop(node).close()

    def close(self) -> list[asyncio.Task[None]]:
        """Close all links. Returns the tasks that this cancels."""
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        for node in list(self._links):
            self._drop(node).close()
        return asking

    async def _ask(
        self, node: str, commands: Sequence[Command], places: Sequence[int], current: _Batch
    ) -> None:
        outcome: list[Reply] | TargetError
        try:
            async with asyncio.timeout(current.rest_s):
                link = await self._link(node, current)
            if current.done is None:  # the batch has failed meanwhile, and the next one may want this link
                return
            outcome = await self._exchange(node, link, commands, current)
        except TimeoutError:
            outcome = DeadlineError(f"{node}: no connection in time")
        except (ValueError, RedpollError) as error:
            outcome = TargetError(str(error))
        except Exception as error:  # whatever it is, the batch must not hang in this node
            log.exception(
                "internal error while asking a node (please report)", extra={"addr": current.target.addr}
            )
            outcome = TargetError(f"{type(error).__name__} while asking a node")
        current.take(
            places, _unreachable(str(outcome), len(places)) if isinstance(outcome, TargetError) else outcome
        )

    async def _exchange(
        self, node: str, link: Connection, commands: Sequence[Command], current: _Batch
    ) -> list[Reply] | TargetError:
        answered: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
        link.exchange(
            pack(commands),
            len(commands),
            lambda outcome: None if answered.done() else answered.set_result(outcome),
        )
        try:
            # an exchange may begin after `abort` was called
            async with asyncio.timeout(current.rest_s):
                return await answered
        except TimeoutError:
            return self._give_up(node, link)

    async def _link(self, node: str, current: _Batch) -> Connection:
        link = self._links.get(node)
        if link is None or link.closed:
            dialled = await self._dial(node, current)
            link = self._links.get(node)
            if link is None or link.closed:
                link = dialled
            else:  # that of a batch before, which came later than its batch ended
                dialled.close()
        self._links.pop(node, None)
        self._links[node] = link
        return link

    async def _dial(self, node: str, current: _Batch) -> Connection:
        host, port = parse_node(node)
        target = current.target
        addresses = await self._addresses.find(target, current.neighbourhood, host, port)
        self._make_room()
        descriptors = self._dialer.descriptors
        entry = await wait_at(self._dialer.limiter, Rank.NEW)
        try:
            if not descriptors.take_node(self, node):
                raise OpenFilesError(f"{node}: {descriptors.nodes_refusal}")
            there = replace(target, host=host, port=port, path="", db=0)
            return await self._dialer.dial(
                there, current.deadline, addresses=addresses, traffic=current.traffic
            )
        except BaseException:
            descriptors.give_back_node(self, node)
            raise
        finally:
            entry.leave()

    def _make_room(self) -> None:
        """Close the links that were used longest ago, if there are as many as may be kept. Not those of this
        batch: each batch would dial them again."""
        links_max = min(NODES_MAX, self._dialer.descriptors.nodes_share(self))
        for node, link in list(self._links.items()):
            if self._dialer.descriptors.nodes_held(self) < links_max:
                return
            if not link.exchanging and node not in self._wanted:
                self._drop(node).close()

    def _shrink(self, links_max: int) -> None:
        """Close idle links beyond a share that has become smaller, because other targets have nodes too."""
        for node, link in list(self._links.items()):
            if self._dialer.descriptors.nodes_held(self) <= links_max:
                return
            if not link.exchanging:
                self._drop(node).close()


def _unreachable(text: str, count: int) -> list[Reply]:
    return [ReplyError(f"{UNREACHABLE} {text}")] * count
