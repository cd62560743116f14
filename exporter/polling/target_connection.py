"""The connection to one target, kept from poll to poll, and how it is made and left."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence

from exporter.connection import command_log
from exporter.connection.cluster_links import ClusterLinks
from exporter.connection.dial_times import DialTimes
from exporter.connection.dialer import Dialer
from exporter.connection.handshake import SET_NAME, Notice
from exporter.connection.link import Connection, Done
from exporter.connection.replies import RawReplies, TooMuchError
from exporter.connection.settings import DialSettings
from exporter.errors import (
    AuthError,
    OpenFilesError,
    RedpollError,
    ReplyError,
    TargetError,
    TooLargeError,
)
from exporter.polling.poll_context import PollContext
from exporter.protocol.command import Command, Reply, pack
from exporter.targets.target import Target

log = logging.getLogger(__name__)


class TargetConnection:
    """See the module. Commands for other nodes of the target's cluster go over connections to those nodes.

    `on_dialled` is called with the new connection, or with the reason why there is none. `connect_s` is how
    long the newest one took to make; `notices` and `ping_s` come from its handshake. `reconnects` counts the
    connections that replaced a lost one: neither those of other nodes, nor those that replace an old one.
    """

    def __init__(self, dialer: Dialer, on_dialled: Callable[[Connection | TargetError], None]) -> None:
        self.current: Connection | None = None
        self.connect_s = 0.0
        self.notices: tuple[Notice, ...] = ()
        self.ping_s: float | None = None
        self.reconnects = 0
        #: the newest replies as they came, until the end of the poll; None: several nodes sent them
        self.raw: RawReplies | None = None
        self._dialer = dialer
        self._on_dialled = on_dialled
        self._nodes = ClusterLinks(dialer)
        self._settings: DialSettings | None = None  # of the newest dial
        #: from then on, the next poll makes new connections; 0.0: `renew` or `compare` asks for that
        self._renew_at = math.inf
        self._dialling: asyncio.Task[None] | None = None
        self._times: DialTimes | None = None  # of the newest dial, until its poll ends
        self._password = ""  # of the newest dial
        self._is_awaiting = False  # whether the password for the next dial is obtained
        self._is_scattered = False  # whether the newest batch went to several nodes
        self._is_lost = False  # whether the newest connection was closed by others, or failed

    def needs_dial(self, context: PollContext, now: float) -> bool:
        """Whether a poll needs a new connection. One that works stays until the password for the
        next one is there."""
        connection = self.current
        if connection is None or connection.closed:
            return True
        if now < self._renew_at:
            return False
        passwords = self._dialer.passwords
        # a password that was awaited is used, however soon it expires
        is_ready = (passwords.is_ready if self._is_awaiting else passwords.prepare)(context.target)
        self._is_awaiting = not is_ready
        return is_ready

    def dial(self, context: PollContext, deadline: float) -> None:
        """Make a new connection."""
        self._note_loss()
        descriptors = self._dialer.descriptors
        if descriptors.take(self):
            self._dialling = asyncio.get_running_loop().create_task(self._dial(context, deadline))
        else:
            self._on_dialled(OpenFilesError(f"{context.target.addr}: {descriptors.refusal}"))

    async def _dial(self, context: PollContext, deadline: float) -> None:
        addr, memory, passwords = context.target.addr, context.memory, self._dialer.passwords
        began_at = time.monotonic()
        times = self._times = DialTimes()
        outcome: Connection | TargetError
        try:
            named = memory.refusals.find([SET_NAME.name], began_at) is None
            self._settings = self._dialer.settings_of(context.target)
            log.debug("connecting", extra={"addr": addr, "login": context.target.login_text})
            self._password = ""
            target = passwords.log_in(context.target)
            self._password = target.password
            memory.note_password(target)
            outcome = await self._dialer.dial(
                target,
                deadline,
                named=named,
                addresses=target.addresses,
                redaction=memory.redaction,
                traffic=memory.traffic,
                times=times,
            )
        except RedpollError as failure:
            outcome = failure if isinstance(failure, TargetError) else TargetError(str(failure))
        except Exception as failure:  # whatever it is, the poll must end
            log.exception("internal error while connecting (please report)", extra={"addr": addr})
            outcome = TargetError(f"{addr}: {type(failure).__name__} while connecting")
        times.end()
        now = time.monotonic()
        self.connect_s = now - began_at
        self._dialling = None
        if isinstance(outcome, Connection):
            self.current = outcome
            self.reconnects += self._is_lost
            self._is_lost = False
            memory.is_new_connection = True
            memory.peer = outcome.peer
            self.notices, self.ping_s = outcome.notices, outcome.ping_s
            if Notice.UNNAMED in outcome.notices:
                memory.refusals.add(SET_NAME.name, ReplyError(Notice.UNNAMED.value), now)
            elif named:
                memory.refusals.drop(SET_NAME.name)
            if self._renew_at:  # else the login has changed during the dial
                self._renew_at = now + context.connection_max_age_s
        self._on_dialled(outcome)

    def exchange(self, target: Target, batch: Sequence[Command], deadline: float, done: Done) -> None:
        """Send a batch and call `done` with its replies. Only while there is a connection."""
        connection = self.current
        assert connection is not None
        if command_log.is_on():
            done = command_log.timed(target.addr, batch, done)
        self._is_scattered, self.raw = False, None
        for command in batch:
            if command.node:
                self._is_scattered = True
                self._nodes.scatter(target, connection, batch, deadline, done)
                return
        connection.exchange_raw(pack(batch), len(batch), lambda outcome: self.take(outcome, done))

    def take(self, outcome: RawReplies | TargetError, done: Done) -> None:
        """Call `done` with the replies that have come over the connection."""
        self._is_scattered = False
        if isinstance(outcome, RawReplies):
            self.raw = outcome
            done(_decoded(outcome))
        else:
            done(outcome)

    @property
    def received(self) -> int | float:
        """How many bytes the newest replies took; infinite where several nodes sent them."""
        return math.inf if self._is_scattered or self.current is None else self.current.received

    # -- leaving the connection

    def compare(self, addresses: Iterable[str]) -> None:
        """If the connection leads to none of the target's `addresses`, let the next poll make a new one."""
        if self.current is not None and self.current.peer not in addresses:
            self._renew_at = 0.0

    def is_outdated(self, target: Target) -> bool:
        """Whether the target is dialled by other settings from now on."""
        settings = self._dialer.settings_of(target)
        return self._settings is not None and not settings.connects_as(self._settings, tls=target.tls)

    def renew(self) -> None:
        """Let the next poll make new connections."""
        self._renew_at = 0.0
        self._nodes.renew()

    def drop(self) -> None:
        """Close the connections; the next poll makes new ones."""
        self._nodes.close()
        self.close_current()
        self._dialer.descriptors.give_back(self)

    def close_current(self) -> None:
        """Close the connection before a poll makes a new one, but keep its descriptor for that."""
        self._note_loss()
        connection, self.current = self.current, None
        self._renew_at = math.inf
        if connection is not None:
            connection.close()

    def lose(self) -> Connection | None:
        """Leave the connection that has failed during a poll; returns it."""
        connection, self.current = self.current, None
        self._is_lost |= connection is not None
        return connection

    def _note_loss(self) -> None:
        self._is_lost |= self.current is not None and self.current.closed

    def abort(self, error: Callable[[Connection], TargetError]) -> None:
        """End the exchanges that run, because the deadline has passed. A dial sees that for itself, and knows
        better what did not come."""
        self._nodes.abort()
        if self._dialling is None and self.current is not None and self.current.exchanging:
            self.current.abort(error(self.current))

    def end_poll(self, target: Target, error: TargetError | None) -> DialTimes | None:
        """After a poll, give the descriptor back if the connection is lost. One that its server closes while
        it is idle keeps it. Returns the steps of the dial that the poll needed, if it needed one."""
        if self.current is None or (error is not None and self.current.closed):
            self._dialer.descriptors.give_back(self)
        if isinstance(error, AuthError):
            self._dialer.passwords.refuse(target, self._password)
        self.raw = None
        times, self._times = self._times, None
        return times

    def close(self) -> list[asyncio.Task[None]]:
        """Close everything, for good. Returns the tasks that this cancels."""
        cancelled = self._nodes.close()
        dialling, self._dialling = self._dialling, None
        if dialling is not None:
            dialling.cancel()
            cancelled.append(dialling)
        self.drop()
        return cancelled

    def let_go(self) -> None:
        """After `close`, for good: see `PollRunner.let_go`."""
        self._on_dialled = _tell_nobody


def _decoded(raw: RawReplies) -> list[Reply] | TargetError:
    try:
        return raw.decode()
    except TooMuchError as error:
        return TooLargeError(str(error))
    except Exception as failure:  # whatever it is, the poll must end
        log.exception("internal error while reading replies (please report)")
        return TargetError(f"{type(failure).__name__} while reading replies")


def _tell_nobody(outcome: Connection | TargetError) -> None:
    pass
