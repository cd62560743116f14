"""Polls one target once more and notes each step: for a person who looks for the cause of something.

A traced poll has a connection of its own, so its dial is seen too and the polls of the target go on. It keeps
to the limits of all polls and to the target's deadline. Its commands go out one after the other, because
replies that come together show no time of a single one. Its values are not stored, and what the target's
polls remember stays as it is. What the server refused before is not sent.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from exporter.connection.cluster_links import ClusterLinks
from exporter.connection.dial_times import DialStep, DialTimes
from exporter.connection.handshake import SET_NAME
from exporter.connection.limiter import Rank, wait_at
from exporter.connection.link import Connection
from exporter.errors import (
    ConfigError,
    DeadlineError,
    OpenFilesError,
    ReplyError,
    SilenceError,
    TargetError,
)
from exporter.metrics.lane import Lane
from exporter.polling.assignment import Services
from exporter.polling.dial_admission import DialAdmission
from exporter.polling.poll import Poll
from exporter.polling.poll_context import PollContext, learn_nothing
from exporter.polling.poll_trace import PollTrace
from exporter.polling.runner import SLICE_S
from exporter.polling.target_state import TargetState
from exporter.polling.traced_command import TracedCommand, shown_command, shown_replies, shown_reply
from exporter.protocol.command import Command, Reply, pack
from exporter.targets.redaction import Redaction

log = logging.getLogger(__name__)

#: how long a traced poll waits for the limits of polls and dials
WAIT_S = 5.0
#: commands that go out alone; those after them go out together
ALONE_MAX = 250
#: lanes that a traced poll may cover: a scan takes too long
LANES = (Lane.FAST, Lane.STANDARD, Lane.SLOW)


class TraceTimes(DialTimes):
    """The steps of a dial, with its handshake."""

    __slots__ = ("commands", "replies")

    def __init__(self) -> None:
        super().__init__()
        self.commands: Sequence[Command] = ()
        self.replies: Sequence[Reply] = ()

    def note_handshake(self, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        self.commands, self.replies = commands, replies


def default_lanes(state: TargetState) -> tuple[Lane, ...]:
    """The fast lane and those that are due; of a server that struggles the fast lane alone."""
    due = () if state.series.strain else state.clock.due()
    return tuple(lane for lane in LANES if lane is Lane.FAST or lane in due)


async def trace_poll(state: TargetState, services: Services, lanes: Iterable[Lane]) -> PollTrace:
    """Poll these lanes of a target. It ends within its deadline and `WAIT_S`, well or not."""
    chosen = set(lanes)
    polled = tuple(lane for lane in LANES if lane in chosen and lane in state.assignment.family_sets.lanes)
    traced = _TracedPoll(state, services, polled)
    try:
        return await traced.run()
    finally:
        traced.close()


class _TracedPoll:
    """One of them."""

    def __init__(self, state: TargetState, services: Services, lanes: tuple[Lane, ...]) -> None:
        self._state = state
        self._services = services
        self._lanes = lanes
        self._deadline_s = state.assignment.timing.deadline_s
        self._context = _context(state)
        self._times = TraceTimes()
        self._nodes = ClusterLinks(services.dialer)
        self._connection: Connection | None = None
        self._entries: list[DialAdmission] = []
        self._commands: deque[TracedCommand] = deque()
        self._failures: Mapping[str, str] = {}
        self._began_at = self._wall_at = self._until = 0.0

    def close(self) -> None:
        """Leave nothing open."""
        self._nodes.close()
        if self._connection is not None:
            self._connection.close()
        for entry in self._entries:
            entry.leave()
        self._services.dialer.descriptors.give_back(self)

    async def run(self) -> PollTrace:
        asked_at = time.monotonic()
        error: TargetError | None = None
        self._wall_at, poll_entry = time.time(), None
        try:
            async with asyncio.timeout(WAIT_S):
                await self._enter_dials()
                poll_entry = await wait_at(self._services.limiter, Rank.NEW)
        except TimeoutError:
            error = DeadlineError(
                f"{self._where}: the limits of polls and dials had no room for {WAIT_S:g} s"
            )
        self._began_at = time.monotonic()
        try:
            if error is None:
                await self._poll()
        except ConfigError as mistake:  # of the files for TLS
            error = TargetError(str(mistake))
        except TargetError as failure:
            error = failure
        except Exception as failure:  # whatever it is, the page says how far it came
            log.exception("internal error in a traced poll (please report)", extra={"addr": self._addr})
            error = TargetError(f"{self._addr}: {type(failure).__name__} in a traced poll")
        finally:
            self._times.end()
            if poll_entry is not None:
                poll_entry.leave()
        return self._trace(self._began_at - asked_at, time.monotonic() - self._began_at, error)

    @property
    def _addr(self) -> str:
        return self._context.target.addr

    @property
    def _where(self) -> str:
        return self._context.target.place

    async def _enter_dials(self) -> None:
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = DialAdmission(
            self._services.dialer,
            self._context,
            lambda: None if admitted.done() else admitted.set_result(None),
            Rank.NEW,
        )
        self._entries.append(entry)
        entry.enter()
        await admitted

    async def _poll(self) -> None:
        self._wall_at, self._until = time.time(), self._began_at + self._deadline_s
        connection = self._connection = await self._dial()
        for entry in self._entries:
            entry.leave()
        collectors = self._state.assignment.family_sets.on(self._lanes)
        poll = Poll(collectors, self._context, self._wall_at, self._began_at)
        poll.slice_s = SLICE_S
        batch = poll.begin()
        while batch or poll.paused:
            if poll.paused:
                await asyncio.sleep(0)
                batch = poll.go_on()
                continue
            replies, received = await self._ask(connection, batch)
            batch = poll.receive(replies, time.monotonic() - self._began_at, received)
        self._failures = {name: str(failure) for name, failure in poll.results.failures.items()}
        if poll.results.error is not None:
            raise poll.results.error

    async def _dial(self) -> Connection:
        dialer, memory = self._services.dialer, self._context.memory
        if not dialer.descriptors.take(self):
            raise OpenFilesError(f"{self._addr}: {dialer.descriptors.refusal}")
        target = dialer.passwords.log_in(self._context.target)
        memory.note_password(target)
        return await dialer.dial(
            target,
            self._until,
            named=SET_NAME.name not in memory.refusals.known,
            addresses=target.addresses,
            redaction=memory.redaction,
            traffic=memory.traffic,
            times=self._times,
        )

    async def _ask(self, connection: Connection, batch: Sequence[Command]) -> tuple[list[Reply], float]:
        """The replies to a batch and their bytes: first commands alone, then the rest together, then those
        for other nodes."""
        replies: list[Reply] = [None] * len(batch)
        received = 0.0
        own = [place for place, command in enumerate(batch) if not command.node]
        alone = max(0, ALONE_MAX - len(self._commands))
        rest, others = own[alone:], [place for place, command in enumerate(batch) if command.node]
        for places in [*([place] for place in own[:alone]), *([rest] if rest else [])]:
            asked = [batch[place] for place in places]
            got = await self._exchange(connection, asked)
            for place, reply in zip(places, got, strict=True):
                replies[place] = reply
            received += connection.received
        if others:
            got = await self._scatter(connection, [batch[place] for place in others])
            for place, reply in zip(others, got, strict=True):
                replies[place] = reply
            received = math.inf
        return replies, received

    async def _exchange(self, connection: Connection, asked: Sequence[Command]) -> list[Reply]:
        ended: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
        began_at = time.monotonic()
        connection.exchange(
            pack(asked), len(asked), lambda outcome: None if ended.done() else ended.set_result(outcome)
        )
        return await self._ended(connection, asked, ended, began_at, of_nodes=False)

    async def _scatter(self, connection: Connection, asked: Sequence[Command]) -> list[Reply]:
        ended: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
        began_at = time.monotonic()
        self._nodes.scatter(
            self._context.target,
            connection,
            asked,
            self._until,
            lambda outcome: None if ended.done() else ended.set_result(outcome),
        )
        return await self._ended(connection, asked, ended, began_at, of_nodes=True)

    async def _ended(
        self,
        connection: Connection,
        asked: Sequence[Command],
        ended: asyncio.Future[list[Reply] | TargetError],
        began_at: float,
        *,
        of_nodes: bool,
    ) -> list[Reply]:
        """Note an exchange that has ended. Raises what ended it."""
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                outcome = await ended
        except TimeoutError:
            outcome = SilenceError(f"{self._where}: no complete answer within {self._deadline_s:g} s")
            connection.abort(outcome)
        times_s = began_at - self._began_at, time.monotonic() - began_at
        received = None if of_nodes else connection.received
        redaction = self._context.memory.redaction
        self._commands.append(_traced(asked, outcome, received, times_s, redaction))
        if isinstance(outcome, TargetError):
            raise outcome
        return outcome

    def _trace(self, waited_s: float, duration_s: float, error: TargetError | None) -> PollTrace:
        connection, redaction = self._connection, self._context.memory.redaction
        known = self._state.memory.refusals.known
        return PollTrace(
            self._wall_at,
            tuple(lane.value for lane in self._lanes),
            waited_s,
            duration_s,
            self._deadline_s,
            {step.value: seconds for step, seconds in self._times.by_step.items()},
            connection.peer if connection is not None else "",
            tuple(notice.value for notice in connection.notices) if connection is not None else (),
            _handshake(self._times, redaction),
            tuple(self._commands),
            {redaction.clean(name): refusal.reply.text for name, refusal in known.items()},
            self._failures,
            error.reason if error is not None else "",
            str(error) if error is not None else "",
        )


def _traced(
    asked: Sequence[Command],
    outcome: list[Reply] | TargetError,
    received: int | None,
    times_s: tuple[float, float],
    redaction: Redaction,
) -> TracedCommand:
    """What is shown of one exchange. `received` is None where other nodes replied; `times_s` are when it
    began and how long it took."""
    text, failed = shown_command(asked[0], redaction), isinstance(outcome, TargetError)
    if len(asked) > 1:
        text += f" and {len(asked) - 1:,} more"
    if received is None:
        text += " (to other nodes)"
    if isinstance(outcome, TargetError):
        reply, received = "no reply", 0
    elif len(asked) == 1:
        reply, failed = shown_reply(outcome[0]), isinstance(outcome[0], ReplyError)
    else:
        reply = shown_replies(outcome)
    sent = sum(len(command.packed) for command in asked)
    return TracedCommand(text, len(asked), sent, received, *times_s, reply, failed)


def _handshake(times: TraceTimes, redaction: Redaction) -> tuple[TracedCommand, ...]:
    """What was sent first. Its commands go out together and have one time. The words of an error reply are
    left out: it may repeat the login."""
    took_s = times.by_step.get(DialStep.AUTH, 0.0)
    return tuple(
        TracedCommand(
            shown_command(command, redaction),
            1,
            len(command.packed),
            None,
            0.0,
            took_s,
            "an error" if isinstance(reply, ReplyError) else "OK",
            isinstance(reply, ReplyError),
        )
        for command, reply in zip(times.commands, times.replies, strict=True)
    )


def _context(state: TargetState) -> PollContext:
    """That of the target's polls, with a memory that is empty at first."""
    return replace(state.context, memory=state.memory.afresh(), on_facts=learn_nothing)
