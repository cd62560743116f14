"""One connection to a target, and the poll under way on it.

A line is a small state machine driven by callbacks: idle, waiting at a gate, dialling (the only task),
exchanging. There is at most one poll and one dial at a time, under one deadline; every poll that was started
ends, once. What a poll asks of other nodes of a cluster goes out over links of their own.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence

from exporter.connection.backlog import WAITING_BYTES, running_backlog
from exporter.connection.cluster_links import ClusterLinks
from exporter.connection.dialer import Dialer
from exporter.connection.handshake import SET_NAME, Notice
from exporter.connection.limiter import Admission, Limiter, Rank
from exporter.connection.link import Connection
from exporter.errors import (
    CancelledPollError,
    DeadlineError,
    OpenFilesError,
    RedpollError,
    ReplyError,
    ResetError,
    TargetError,
)
from exporter.metrics.family_set import FamilySet
from exporter.polling.heap_trimmer import HEAP_TRIMMER, LARGE_BYTES
from exporter.polling.outcome import PollOutcome
from exporter.polling.poll import Poll, PollContext
from exporter.protocol.command import Command, Reply, pack

log = logging.getLogger(__name__)


#: a poll that reads much pauses so often, and lets others go on
SLICE_S = 0.002


class PollRunner:
    """See the module. `on_end` is called with the outcome of each poll.

    `connect_s` is how long the newest connection took to make; `notices` and `ping_s` come from its handshake.
    """

    def __init__(self, dialer: Dialer, limiter: Limiter, on_end: Callable[[PollOutcome], None]) -> None:
        self.connect_s = 0.0
        self.notices: tuple[Notice, ...] = ()
        self.ping_s: float | None = None
        self._dialer = dialer
        self._limiter = limiter
        self._rank = Rank.UP
        self._entry: Admission | None = None  # of the poll, at the gate
        self._dial_entry: Admission | None = None  # of its dial, at the dialer's
        self._on_end = on_end
        self._nodes = ClusterLinks(dialer)
        self._link: Connection | None = None
        self._link_until = 0.0
        self._dialling: asyncio.Task[None] | None = None
        #: whether a poll runs, or waits for its admission
        self.busy = False
        self._context: PollContext  # of the newest poll
        self._family_sets: Sequence[FamilySet] = ()
        self._poll: Poll | None = None
        self._batch: list[Command] = []
        self._scattered = False  # whether the batch goes to several nodes
        self._untouched = False  # no reply of this poll has come yet, and it began on a kept connection
        self._began_at = 0.0
        self._wall_at = 0.0
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None  # None: no poll under way, or its deadline has passed

    def overdue(self, now: float) -> bool:
        """Whether the poll under way has had its time at `now`."""
        return self._poll is not None and now >= self._began_at + self._deadline_s

    def start(
        self, context: PollContext, family_sets: Sequence[FamilySet], deadline_s: float, rank: Rank = Rank.UP
    ) -> None:
        """Poll as soon as the limiters admit it, for at most `deadline_s` from then on. Only while it is not
        busy."""
        self.busy = True
        self._context = context
        self._family_sets = family_sets
        self._deadline_s = deadline_s
        self._rank = rank
        self._enter()

    def _enter(self) -> None:
        """Wait where dials wait first, if a connection is to be made: a poll that waits there holds up no
        other, and its time has not begun."""
        if self._needs_dial():
            self._dial_entry = Admission(self._dialer.limiter, self._enter_limiter, self._rank)
            self._dial_entry.enter()
        else:
            self._enter_limiter()

    def _enter_limiter(self) -> None:
        self._entry = Admission(self._limiter, self._begin, self._rank)
        self._entry.enter()

    def _needs_dial(self) -> bool:
        return self._link is None or self._link.closed or time.monotonic() >= self._link_until

    def compare(self, addresses: Iterable[str]) -> None:
        """If the connection is to none of the target's `addresses`, let the next poll make a new one."""
        if self._link is not None and self._link.peer not in addresses:
            self._link_until = 0.0

    def renew(self) -> None:
        """Let the next poll make new connections."""
        self._link_until = 0.0
        self._nodes.renew()

    def drop(self) -> None:
        """Close the connections; the next poll makes new ones."""
        self._nodes.close()
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._dialer.descriptors.give_back(self)

    def close(self) -> list[asyncio.Task[None]]:
        """Give up the poll under way and the connections, for good. Gives the tasks that are cancelled by
        it."""
        cancelled = self._nodes.close()
        dialling, self._dialling = self._dialling, None
        if dialling is not None:
            dialling.cancel()
            cancelled.append(dialling)
        self.drop()
        if self.busy:
            self._end(CancelledPollError(f"{self._context.target.addr}: the poll was given up"))
        return cancelled

    # -- the poll

    def _begin(self) -> None:
        if self._dial_entry is None and self._needs_dial():  # the connection was lost while the poll waited
            self._leave_limiter()
            self._enter()
            return
        now = self._began_at = time.monotonic()
        self._wall_at = time.time()
        self._timer = asyncio.get_running_loop().call_later(self._deadline_s, self.time_out)
        self._poll = Poll(self._family_sets, self._context, self._wall_at, now)
        self._poll.slice_s = SLICE_S
        link = self._link
        if link is not None and self._dial_entry is not None:
            link.close()
            link = self._link = None
        self._untouched = link is not None
        if self._advance(self._poll.begin):
            self._send()

    def _send(self) -> None:
        """Ask the batch."""
        link = self._link
        if link is None and self._dial_entry is not None:
            self._dial()
        elif link is None:  # dropped while the poll paused
            self._enter_dials()
        elif self._timer is None:  # what the nodes did not answer in time, or the reading, left nothing of it
            self._end(self._late(link))
        else:
            self._exchange(link)

    def _enter_dials(self) -> None:
        self._dial_entry = Admission(self._dialer.limiter, self._dial)
        self._dial_entry.enter()

    def _leave_limiter(self) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            entry.leave()

    def _leave_dials(self) -> None:
        entry, self._dial_entry = self._dial_entry, None
        if entry is not None:
            entry.leave()

    def time_out(self) -> None:
        """The deadline has passed. A dial sees that for itself, and knows better what it was that did not
        come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._nodes.abort()
        if self._poll is not None and self._dial_entry is not None and self._dial_entry.waiting:
            self._end(
                DeadlineError(
                    f"{self._context.target.addr}: the connection was lost, and there was no room to make another one "
                    f"in time"
                )
            )
        elif self._dialling is None and self._link is not None and self._link.exchanging:
            self._link.abort(self._late(self._link))

    def _late(self, link: Connection) -> DeadlineError:
        return DeadlineError(f"{link.where}: no complete answer within {self._deadline_s:g} s")

    def _dial(self) -> None:
        descriptors = self._dialer.descriptors
        if not descriptors.take(self):
            self._end(OpenFilesError(f"{self._context.target.addr}: {descriptors.refusal}"))
            return
        self._dialling = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        began_at = time.monotonic()
        try:
            named = self._context.memory.refusal(SET_NAME.name, began_at) is None
            link = await self._dialer.dial(
                self._context.target, self._began_at + self._deadline_s, named=named
            )
        except RedpollError as failure:
            self._end_dial(began_at)
            self._end(failure if isinstance(failure, TargetError) else TargetError(str(failure)))
        except Exception as failure:  # whatever it is, the line must not hang in this poll
            log.exception("%s: a mistake in this program, while connecting", self._context.target.addr)
            self._end_dial(began_at)
            self._end(TargetError(f"{self._context.target.addr}: {type(failure).__name__} while connecting"))
        else:
            now = self._end_dial(began_at)
            self._link = link
            self.notices = link.notices
            self.ping_s = link.ping_s
            if Notice.UNNAMED in link.notices:
                self._context.memory.refuse(SET_NAME.name, ReplyError(Notice.UNNAMED.value), now)
            self._link_until = now + self._context.connection_max_age_s
            self._exchange(link)
            if self._timer is None:
                link.abort(self._late(link))

    def _end_dial(self, began_at: float) -> float:
        now = time.monotonic()
        self.connect_s = now - began_at
        self._dialling = None
        self._leave_dials()
        return now

    def _exchange(self, link: Connection) -> None:
        batch = self._batch
        self._scattered = any(command.node for command in batch)
        if self._scattered:
            self._nodes.scatter(
                self._context.target, link, batch, self._began_at + self._deadline_s, self._receive
            )
        else:
            link.exchange(pack(batch), len(batch), self._receive)

    def _advance(self, step: Callable[[], list[Command]]) -> bool:
        """Let the poll make its next step, and say what it asks then. False: nothing, it has ended, or
        pauses."""
        poll = self._poll
        assert poll is not None
        try:
            self._batch = step()
        except Exception as failure:  # as above
            log.exception("%s: a mistake in this program, while reading replies", self._context.target.addr)
            self._end(
                TargetError(f"{self._context.target.addr}: {type(failure).__name__} while reading replies")
            )
            return False
        if poll.paused:
            running_backlog().add(lambda: self._go_on(poll))
            return False
        if not self._batch:
            self._end(poll.error)
        return bool(self._batch)

    def _go_on(self, poll: Poll) -> None:
        """After a pause; the poll may have been given up in it."""
        if self._poll is poll and self._advance(poll.go_on):
            self._send()

    def _receive(self, outcome: list[Reply] | TargetError) -> None:
        if self._poll is None:  # it was given up
            return
        link = self._link
        if isinstance(outcome, TargetError):
            self._link = None
            if (
                isinstance(outcome, ResetError)
                and self._untouched
                and link is not None
                and not link.began_reply
            ):
                self._untouched = (
                    False  # closed while idle: once more, on a new connection, before the same deadline
                )
                self._enter_dials()
            else:
                self._end(outcome)
            return
        self._untouched = False
        poll, spent_s = self._poll, time.monotonic() - self._began_at
        received = math.inf if self._scattered or link is None else link.received
        if link is not None and link.received >= LARGE_BYTES:
            HEAP_TRIMMER.note(link.received)
        if received >= WAITING_BYTES:
            running_backlog().add(lambda: self._read(poll, outcome, spent_s, received))
        else:
            self._read(poll, outcome, spent_s, received)

    def _read(self, poll: Poll, replies: list[Reply], spent_s: float, received: float) -> None:
        """Large replies have waited; the poll may have been given up in that time."""
        if self._poll is poll and self._advance(lambda: poll.receive(replies, spent_s, received)):
            self._send()

    def _end(self, error: TargetError | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        poll, self._poll = self._poll, None
        self.busy = False
        if self._link is None or (
            error is not None and self._link.closed
        ):  # a link that its server closes while idle keeps its file
            self._dialer.descriptors.give_back(self)
        try:
            duration_s = time.monotonic() - self._began_at
            self._on_end(PollOutcome(poll, error, self._began_at, self._wall_at, duration_s))
        finally:
            self._leave_dials()
            self._leave_limiter()
