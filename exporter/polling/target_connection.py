"""The connection to one target, kept from poll to poll, and how it is made and left."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence

from exporter.connection.cluster_links import ClusterLinks
from exporter.connection.dialer import Dialer
from exporter.connection.handshake import SET_NAME, Notice
from exporter.connection.link import Connection, Done
from exporter.errors import OpenFilesError, RedpollError, ReplyError, TargetError
from exporter.polling.poll_context import PollContext
from exporter.protocol.command import Command, pack

log = logging.getLogger(__name__)


class TargetConnection:
    """See the module. Commands for other nodes of the target's cluster go over connections to those nodes.

    `on_dialled` is called with the new `link`, or with the reason why there is none. `connect_s` is how long the
    newest link took to make; `notices` and `ping_s` come from its handshake.
    """

    def __init__(self, dialer: Dialer, on_dialled: Callable[[Connection | TargetError], None]) -> None:
        self.link: Connection | None = None
        self.connect_s = 0.0
        self.notices: tuple[Notice, ...] = ()
        self.ping_s: float | None = None
        self._dialer = dialer
        self._on_dialled = on_dialled
        self._nodes = ClusterLinks(dialer)
        self._renew_at = 0.0
        self._dialling: asyncio.Task[None] | None = None
        self._is_scattered = False  # whether the newest batch went to several nodes

    def needs_dial(self, now: float) -> bool:
        link = self.link
        return link is None or link.closed or now >= self._renew_at

    def dial(self, context: PollContext, deadline: float) -> None:
        """Make a new link."""
        descriptors = self._dialer.descriptors
        if descriptors.take(self):
            self._dialling = asyncio.get_running_loop().create_task(self._dial(context, deadline))
        else:
            self._on_dialled(OpenFilesError(f"{context.target.addr}: {descriptors.refusal}"))

    async def _dial(self, context: PollContext, deadline: float) -> None:
        addr, memory = context.target.addr, context.memory
        began_at = time.monotonic()
        outcome: Connection | TargetError
        try:
            named = memory.refusal(SET_NAME.name, began_at) is None
            outcome = await self._dialer.dial(context.target, deadline, named=named)
        except RedpollError as failure:
            outcome = failure if isinstance(failure, TargetError) else TargetError(str(failure))
        except Exception as failure:  # whatever it is, the poll must end
            log.exception("%s: internal error while connecting (please report)", addr)
            outcome = TargetError(f"{addr}: {type(failure).__name__} while connecting")
        now = time.monotonic()
        self.connect_s = now - began_at
        self._dialling = None
        if isinstance(outcome, Connection):
            self.link = outcome
            self.notices, self.ping_s = outcome.notices, outcome.ping_s
            if Notice.UNNAMED in outcome.notices:
                memory.refuse(SET_NAME.name, ReplyError(Notice.UNNAMED.value), now)
            self._renew_at = now + context.connection_max_age_s
        self._on_dialled(outcome)

    def exchange(
        self, context: PollContext, link: Connection, batch: Sequence[Command], deadline: float, done: Done
    ) -> None:
        """Send a batch and call `done` with its replies."""
        self._is_scattered = False
        for command in batch:
            if command.node:
                self._is_scattered = True
                self._nodes.scatter(context.target, link, batch, deadline, done)
                return
        link.exchange(pack(batch), len(batch), done)

    @property
    def received(self) -> float:
        """How many bytes the newest replies took; infinite where several nodes sent them."""
        return math.inf if self._is_scattered or self.link is None else self.link.received

    # -- leaving the link

    def compare(self, addresses: Iterable[str]) -> None:
        """If the link leads to none of the target's `addresses`, let the next poll make a new one."""
        if self.link is not None and self.link.peer not in addresses:
            self._renew_at = 0.0

    def renew(self) -> None:
        """Let the next poll make new links."""
        self._renew_at = 0.0
        self._nodes.renew()

    def drop(self) -> None:
        """Close the links; the next poll makes new ones."""
        self._nodes.close()
        self.close_link()
        self._dialer.descriptors.give_back(self)

    def close_link(self) -> None:
        """Close the link, but keep its descriptor for the next one."""
        link, self.link = self.link, None
        if link is not None:
            link.close()

    def abort(self, error: Callable[[Connection], TargetError]) -> None:
        """End the exchanges that run, because the deadline has passed. A dial sees that for itself, and knows
        better what did not come."""
        self._nodes.abort()
        if self._dialling is None and self.link is not None and self.link.exchanging:
            self.link.abort(error(self.link))

    def give_back(self, *, failed: bool) -> None:
        """After a poll: give the descriptor back if the link is lost. A link that its server closes while it is
        idle keeps it."""
        if self.link is None or (failed and self.link.closed):
            self._dialer.descriptors.give_back(self)

    def close(self) -> list[asyncio.Task[None]]:
        """Close everything, for good. Returns the tasks that this cancels."""
        cancelled = self._nodes.close()
        dialling, self._dialling = self._dialling, None
        if dialling is not None:
            dialling.cancel()
            cancelled.append(dialling)
        self.drop()
        return cancelled
