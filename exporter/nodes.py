"""Links to the other nodes of a target's cluster, over which single commands of a poll go.

They are dialled as the target is: the same user, password and TLS. A node that cannot be reached costs its own replies
only: each of them is an error reply that says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from exporter.connection import Dialer, Link, pack
from exporter.errors import DeadlineError, RedpollError, ReplyError, TargetError
from exporter.model import Command, Target
from exporter.replies import Reply

#: code of the error that stands in place of a reply
UNREACHABLE = "UNREACHABLE"

Done = Callable[[list[Reply] | TargetError], None]


def parse_node(text: str) -> tuple[str, int]:
    """Host and port of `host:port`; an IPv6 host may stand in brackets. ValueError if it is none."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


class _Round:
    """One batch under way on several links: its replies by place, and how many links have still to answer."""

    __slots__ = ("done", "replies", "waiting")

    def __init__(self, count: int, waiting: int, done: Done) -> None:
        self.replies: list[Reply] = [None] * count
        self.waiting = waiting
        self.done: Done | None = done

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


class Nodes:
    """The links of one line, by `host:port`. One batch is under way at a time."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._links: dict[str, Link] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def scatter(self, target: Target, link: Link, batch: Sequence[Command], deadline: float, done: Done) -> None:
        """Send each command where it belongs, those without a node over `link`. `done` gets all replies in order, or the
        error of `link`; it is not called from inside this method."""
        places: dict[str, list[int]] = {}
        for place, command in enumerate(batch):
            places.setdefault(command.node, []).append(place)
        own = places.pop("", [])
        current = _Round(len(batch), len(places) + bool(own), done)

        def receive(outcome: list[Reply] | TargetError) -> None:
            if isinstance(outcome, TargetError):
                current.finish(outcome)
                self.abort()
            else:
                current.take(own, outcome)

        if own:
            link.exchange(pack(batch[place] for place in own), len(own), receive)
        for node, at in places.items():
            task = asyncio.get_running_loop().create_task(self._ask(target, node, [batch[place] for place in at], at, deadline, current))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    def abort(self) -> None:
        """Whoever has not answered yet does so no more."""
        for node, link in list(self._links.items()):
            if link.exchanging:
                self._give_up(node, link)

    def _give_up(self, node: str, link: Link) -> DeadlineError:
        """Close a link that did not answer in time; the error that says so."""
        if self._links.get(node) is link:
            del self._links[node]
        error = DeadlineError(f"{link.where}: no complete answer in time")
        link.abort(error)
        return error

    def renew(self) -> None:
        """Close the links that are idle; the others end with their exchange."""
        for node, link in list(self._links.items()):
            if not link.exchanging:
                del self._links[node]
                link.close()

    def close(self) -> list[asyncio.Task[None]]:
        """Close all links. Gives the tasks that are cancelled by it."""
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        links, self._links = self._links, {}
        for link in links.values():
            link.close()
        return asking

    async def _ask(
        self, target: Target, node: str, commands: Sequence[Command], places: Sequence[int], deadline: float, current: _Round
    ) -> None:
        try:
            link = await self._link(target, node, deadline)
            if current.done is None:  # the batch has failed meanwhile, and the next one may want this link
                return
            answered: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
            link.exchange(pack(commands), len(commands), lambda outcome: None if answered.done() else answered.set_result(outcome))
            try:
                # An exchange may begin after `abort` was called.
                async with asyncio.timeout(deadline - time.monotonic()):
                    outcome = await answered
            except TimeoutError:
                raise self._give_up(node, link) from None
        except (ValueError, RedpollError) as error:
            outcome = TargetError(str(error))
        if isinstance(outcome, TargetError):
            outcome = [ReplyError(f"{UNREACHABLE} {outcome}")] * len(commands)
        current.take(places, outcome)

    async def _link(self, target: Target, node: str, deadline: float) -> Link:
        link = self._links.get(node)
        if link is None or link.closed:
            host, port = parse_node(node)
            dialled = await self._dialer.dial(replace(target, host=host, port=port, path="", db=0), deadline)
            link = self._links.get(node)
            if link is None or link.closed:
                link = self._links[node] = dialled
            else:  # that of a batch before, which came later than its batch ended
                dialled.close()
        return link
