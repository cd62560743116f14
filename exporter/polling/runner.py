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
from exporter.connection.limiter import Limiter, Rank
from exporter.connection.link import Connection
from exporter.connection.replies import RawReplies
from exporter.errors import CancelledPollError, DeadlineError, ResetError, SilenceError, TargetError
from exporter.polling import steady_poll
from exporter.polling.deadlines import Timed
from exporter.polling.heap_trimmer import HEAP_TRIMMER, LARGE_BYTES
from exporter.polling.outcome import PollOutcome
from exporter.polling.poll import Poll
from exporter.polling.poll_context import PollContext
from exporter.polling.poll_place import PollPlace
from exporter.polling.program import Program
from exporter.polling.results import PollResults
from exporter.polling.target_connection import TargetConnection
from exporter.protocol.command import Command, Reply
from exporter.targets.target import Target

log = logging.getLogger(__name__)

#: a poll that reads much pauses this often, so that others go on
SLICE_S = 0.002


class PollRunner(Timed):
    """See the module. `on_end` is called with the outcome of each poll."""

    def __init__(self, dialer: Dialer, limiter: Limiter, on_end: Callable[[PollOutcome], None]) -> None:
        super().__init__()
        self.connection = TargetConnection(dialer, self._take_connection)
        #: whether a poll runs, or waits for its admission
        self.busy = False
        self._on_end = on_end
        self._place = PollPlace(dialer, limiter)
        # of the newest poll:
        self._context: PollContext
        self._collectors: Sequence[EnabledCollector] = ()
        self._rank = Rank.UP
        self._poll: Poll | None = None  # None: it has not begun, has ended, or is a steady one
        self._program: Program | None = None  # of a steady one
        #: what a program sent that is in doubt, and the replies: the poll takes them if it asks the same
        self._given: tuple[tuple[Command, ...], RawReplies] | None = None
        self._batch: Sequence[Command] = ()
        self._untouched = False  # it began on a kept connection, and no reply has come yet

    def start(
        self,
        context: PollContext,
        collectors: Sequence[EnabledCollector],
        deadline_s: float,
        rank: Rank = Rank.UP,
    ) -> None:
        """Poll as soon as the limiters admit it, for at most `deadline_s` then. Only while it is not busy."""
        self.busy = True
        self._context, self._collectors = context, collectors
        self.deadline_s, self._rank = deadline_s, rank
        self._enter()

    def renew(self, target: Target) -> None:
        """Use the login of `target` from the next poll on. A poll that waits for its admission is one."""
        self.connection.renew()
        if self.busy and not self.begun:
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
        self.stop_clock()
        self.connection.abort(lambda connection: _late(connection, self.deadline_s))
        if self._poll is not None and self._place.waits_to_dial:
            self._end(_no_room(self._context.target.addr))

    def _enter(self) -> None:
        needs_dial = self.connection.needs_dial(self._context, time.monotonic())
        self._place.enter(self._context, self._begin, self._rank, needs_dial=needs_dial)

    def _begin(self) -> None:
        now = time.monotonic()
        if not self._place.may_dial and self.connection.needs_dial(self._context, now):  # lost meanwhile
            self._place.leave()()
            self._enter()
            return
        self.start_clock(now)
        connection = None if self._place.may_dial else self.connection.current
        program = steady_poll.program_for(self._collectors, self._context, now)
        if program is None or connection is None:
            self._begin_poll()
        else:
            self._program, self._batch, self._untouched = program, program.commands, True
            connection.exchange_raw(program.request, len(program.commands), self._receive_again)

    def _begin_poll(self) -> None:
        self._program = None
        if self._place.may_dial:
            self.connection.close_current()
        self._untouched = self.connection.current is not None
        if not self._untouched:
            self._context.memory.is_new_connection = True
        poll = self._poll = Poll(self._collectors, self._context, self.wall_at, self.began_at)
        poll.slice_s = SLICE_S
        self._advance(poll, poll.begin)

    def _receive_again(self, outcome: RawReplies | TargetError) -> None:
        """Take the replies to a program, or the error that ended the exchange."""
        program = self._program
        if program is None:  # it was given up
            return
        if isinstance(outcome, TargetError):
            self._lose(outcome)
        elif (results := steady_poll.read(program, outcome, self._context, self)) is not None:
            self._end(None, results)
        else:
            self._given = (program.commands, outcome)
            self._begin_poll()

    def _send(self) -> None:
        """Send the batch."""
        connection = self.connection.current
        if connection is None and self._place.may_dial:
            self._dial()
        elif connection is None:  # dropped while the poll paused
            self._place.enter_dials(self._context, self._dial)
        elif not self.in_time:  # other nodes, or the reading, took all the time
            self._end(_late(connection, self.deadline_s))
        else:
            self._exchange()

    def _dial(self) -> None:
        self.connection.dial(self._context, self.deadline)

    def _take_connection(self, outcome: Connection | TargetError) -> None:
        self._place.leave_dials()
        if isinstance(outcome, TargetError):
            self._end(outcome)
            return
        self._exchange()
        if not self.in_time:
            outcome.abort(_late(outcome, self.deadline_s))

    def _exchange(self) -> None:
        given, self._given = self._given, None
        if given is not None and given[0] == tuple(self._batch):
            self.connection.take(given[1], self._receive)
            return
        self._untouched &= given is None
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
        spent_s, received = time.monotonic() - self.began_at, self.connection.received
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
            if self._program is not None:
                self._begin_poll()
            else:
                self._place.enter_dials(self._context, self._dial)
        else:
            self._context.memory.refusals.note_failure(error, self._batch)
            self._end(error)

    def _end(self, error: TargetError | None, results: PollResults | None = None) -> None:
        """`results` are those of a steady poll that went well."""
        self.stop_clock()
        poll, self._poll, self._program, self._given = self._poll, None, None, None
        self.busy = self.begun = False
        if poll is not None:
            results = poll.results
            raw = self.connection.raw if error is None else None
            steady_poll.leave_program(poll, raw, self._context, self._collectors)
        dial = self.connection.end_poll(self._context.target, error)
        make_room = self._place.leave()
        duration_s = time.monotonic() - self.began_at
        try:
            self._on_end(PollOutcome(results, error, self.began_at, self.wall_at, duration_s, dial))
        finally:
            make_room()


def _late(connection: Connection, deadline_s: float) -> SilenceError:
    return SilenceError(f"{connection.where}: no complete answer within {deadline_s:g} s")


def _no_room(addr: str) -> DeadlineError:
    return DeadlineError(f"{addr}: the connection was lost, and there was no room for another one in time")


def _internal(failure: Exception, addr: str) -> TargetError:
    log.exception("internal error while reading replies (please report)", extra={"addr": addr})
    return TargetError(f"{addr}: {type(failure).__name__} while reading replies")


def _tell_nobody(outcome: PollOutcome) -> None:
    pass
