"""One poll at a time of one target: waiting for admission, connecting, exchanging, reading.

A runner is a small state machine driven by callbacks; only connecting takes a task. At most one poll and one
dial run at a time, under one deadline. Every poll that was started ends once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from exporter.collectors._enabled import EnabledCollector
from exporter.connection.backlog import WAITING_BYTES, running_backlog
from exporter.connection.dialer import Dialer
from exporter.connection.limiter import Admission, Limiter, Rank
from exporter.connection.link import Connection
from exporter.errors import CancelledPollError, DeadlineError, ResetError, SilenceError, TargetError
from exporter.polling.dial_admission import DialAdmission
from exporter.polling.heap_trimmer import HEAP_TRIMMER, LARGE_BYTES
from exporter.polling.outcome import PollOutcome
from exporter.polling.poll import Poll
from exporter.polling.poll_context import PollContext
from exporter.polling.target_connection import TargetConnection
from exporter.protocol.command import Command, Reply
from exporter.targets.target import Target

log = logging.getLogger(__name__)

#: a poll that reads much pauses this often, so that others go on
SLICE_S = 0.002


class PollRunner:
    """See the module. `on_end` is called with the outcome of each poll."""

    def __init__(self, dialer: Dialer, limiter: Limiter, on_end: Callable[[PollOutcome], None]) -> None:
        self.connection = TargetConnection(dialer, self._take_connection)
        #: whether a poll runs, or waits for its admission
        self.busy = False
        self.deadline = 0.0  # the monotonic moment at which the newest poll ends at the latest
        self._dialer = dialer
        self._limiter = limiter
        self._on_end = on_end
        self._admission: Admission | None = None  # of the poll
        self._dial_admission: Admission | None = None  # of its dial, if it needs one
        # of the newest poll:
        self._context: PollContext
        self._collectors: Sequence[EnabledCollector] = ()
        self._rank = Rank.UP
        self._deadline_s = self._began_at = self._wall_at = 0.0
        self._poll: Poll | None = None  # None: it has not begun, or has ended
        self._batch: list[Command] = []
        self._untouched = False  # it began on a kept connection, and no reply has come yet
        self._timer: asyncio.TimerHandle | None = None  # None: no poll runs, or its deadline has passed

    def overdue(self, now: float) -> bool:
        """Whether the deadline of the running poll has passed at `now`."""
        return self._poll is not None and now >= self.deadline

    def start(
        self,
        context: PollContext,
        collectors: Sequence[EnabledCollector],
        deadline_s: float,
        rank: Rank = Rank.UP,
    ) -> None:
        """Poll as soon as the limiters admit it, for at most `deadline_s` from then on. Only while it is not
        busy."""
        self.busy = True
        self._context, self._collectors = context, collectors
        self._deadline_s, self._rank = deadline_s, rank
        self._enter()

    def renew(self, target: Target) -> None:
        """Use the login of `target` from the next poll on. A poll that waits for its admission is one."""
        self.connection.renew()
        if self.busy and self._poll is None:
            self._context = replace(self._context, target=target)

    def close(self) -> list[asyncio.Task[None]]:
        """Give up the running poll and the connections, for good. Returns the tasks that this cancels."""
        cancelled = self.connection.close()
        if self.busy:
            self._end(CancelledPollError(f"{self._context.target.addr}: the poll was given up"))
        return cancelled

    def let_go(self) -> None:
        """After `close`, for good: report nothing from now on. That ends circles of references, so all is
        freed at once. The garbage collector may come after thousands of other targets."""
        self._on_end = _tell_nobody
        self.connection.let_go()

    def time_out(self) -> None:
        """End the running poll: its deadline has passed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.connection.abort(lambda connection: _late(connection, self._deadline_s))
        if self._poll is not None and self._dial_admission is not None and self._dial_admission.waiting:
            addr = self._context.target.addr
            error = f"{addr}: the connection was lost, and there was no room for another one in time"
            self._end(DeadlineError(error))

    # -- admission

    def _enter(self) -> None:
        """Wait for the admission of a dial first, if one is needed: a poll that waits there delays no other,
        and its time has not begun."""
        if self.connection.needs_dial(self._context, time.monotonic()):
            self._dial_admission = DialAdmission(self._dialer, self._context, self._enter_limiter, self._rank)
            self._dial_admission.enter()
        else:
            self._enter_limiter()

    def _enter_limiter(self) -> None:
        self._admission = Admission(self._limiter, self._begin, self._rank)
        self._admission.enter()

    def _enter_dials(self) -> None:
        self._dial_admission = DialAdmission(self._dialer, self._context, self._dial)
        self._dial_admission.enter()

    # -- the poll

    def _begin(self) -> None:
        now = time.monotonic()
        if self._dial_admission is None and self.connection.needs_dial(self._context, now):  # lost meanwhile
            if self._admission is not None:
                self._admission.leave()
            self._enter()
            return
        self._began_at, self.deadline = now, now + self._deadline_s
        self._wall_at = time.time()
        self._timer = asyncio.get_running_loop().call_later(self._deadline_s, self.time_out)
        poll = self._poll = Poll(self._collectors, self._context, self._wall_at, now)
        poll.slice_s = SLICE_S
        if self._dial_admission is not None:
            self.connection.close_current()
        self._untouched = self.connection.current is not None
        self._advance(poll, poll.begin)

    def _send(self) -> None:
        """Send the batch."""
        connection = self.connection.current
        if connection is None and self._dial_admission is not None:
            self._dial()
        elif connection is None:  # dropped while the poll paused
            self._enter_dials()
        elif self._timer is None:  # other nodes, or the reading, took all the time
            self._end(_late(connection, self._deadline_s))
        else:
            self._exchange()

    def _dial(self) -> None:
        self.connection.dial(self._context, self.deadline)

    def _take_connection(self, outcome: Connection | TargetError) -> None:
        if self._dial_admission is not None:
            self._dial_admission.leave()
            self._dial_admission = None
        if isinstance(outcome, TargetError):
            self._end(outcome)
            return
        self._exchange()
        if self._timer is None:
            outcome.abort(_late(outcome, self._deadline_s))

    def _exchange(self) -> None:
        self.connection.exchange(self._context.target, self._batch, self.deadline, self._receive)

    def _advance(self, poll: Poll, step: Callable[..., list[Command]], *given: Any) -> None:
        """Let a poll take its next step, and send what it asks. It may have been given up while it waited."""
        if self._poll is not poll:
            return
        try:
            self._batch = step(*given)
        except Exception as failure:  # whatever it is, the poll must end
            self._end(_internal(failure, self._context.target.addr))
            return
        if poll.paused:
            running_backlog().add(lambda: self._advance(poll, poll.go_on))
        elif self._batch:
            self._send()
        else:
            self._end(poll.results.error)

    def _receive(self, outcome: list[Reply] | TargetError) -> None:
        poll = self._poll
        if poll is None:  # it was given up
            return
        if isinstance(outcome, TargetError):
            self._lose(outcome)
            return
        spent_s, received = time.monotonic() - self._began_at, self.connection.received
        if self._untouched:
            self._untouched = False
            poll.results.answered_s = spent_s
        connection = self.connection.current
        if connection is not None and connection.received >= LARGE_BYTES:
            HEAP_TRIMMER.note(connection.received)
        if received >= WAITING_BYTES:
            running_backlog().add(lambda: self._advance(poll, poll.receive, outcome, spent_s, received))
        else:
            self._advance(poll, poll.receive, outcome, spent_s, received)

    def _lose(self, error: TargetError) -> None:
        """If the server closed the kept connection before, try once more on a new one, in the time left."""
        connection = self.connection.lose()
        was_closed = isinstance(error, ResetError) and connection is not None and not connection.began_reply
        if was_closed and self._untouched:
            self._untouched = False
            self._enter_dials()
        else:
            self._context.memory.refusals.note_failure(error, self._batch)
            self._end(error)

    def _end(self, error: TargetError | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        poll, self._poll = self._poll, None
        self.busy = False
        dial = self.connection.end_poll(self._context.target, error)
        admissions = self._dial_admission, self._admission
        self._dial_admission = self._admission = None
        results, duration_s = poll.results if poll is not None else None, time.monotonic() - self._began_at
        try:
            self._on_end(PollOutcome(results, error, self._began_at, self._wall_at, duration_s, dial))
        finally:
            for admission in admissions:
                if admission is not None:
                    admission.leave()


def _late(connection: Connection, deadline_s: float) -> SilenceError:
    return SilenceError(f"{connection.where}: no complete answer within {deadline_s:g} s")


def _internal(failure: Exception, addr: str) -> TargetError:
    log.exception("internal error while reading replies (please report)", extra={"addr": addr})
    return TargetError(f"{addr}: {type(failure).__name__} while reading replies")


def _tell_nobody(outcome: PollOutcome) -> None:
    pass
