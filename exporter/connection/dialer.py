"""Connecting to a server, in the task of the caller: name, socket, TLS, login.

Every failure is a `TargetError`. Its text names the server as the operator wrote it, and never a user or a
password.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from exporter import engine
from exporter.connection import command_log
from exporter.connection.burst import CoreConnection
from exporter.connection.candidates import Candidates
from exporter.connection.command_passwords import CommandPasswords
from exporter.connection.dial_plan import DialPlan, same_for_all
from exporter.connection.dial_times import DialStep, DialTimes
from exporter.connection.failures import os_failure
from exporter.connection.handshake import Handshake, Notice
from exporter.connection.limiter import PATIENCE_S, Limiter
from exporter.connection.link import Connection
from exporter.connection.requested_addresses import allowed
from exporter.connection.resolver import Resolver
from exporter.connection.settings import DialSettings
from exporter.connection.sockets import connect_address, connect_path
from exporter.connection.stream import StreamConnection
from exporter.connection.tls import LOOK_S
from exporter.connection.traffic import Traffic
from exporter.descriptors import UNLIMITED, Descriptors
from exporter.errors import (
    DeadlineError,
    DnsError,
    ReplyError,
    ResetError,
    SilenceError,
    TargetError,
    TlsError,
)
from exporter.protocol.command import Command, Reply, pack
from exporter.targets.redaction import Redaction
from exporter.targets.target import Target, endpoint

Result = TypeVar("Result")

#: whether connections are made on the exchange core
CORE = engine.ENGINE == "compiled" and engine.EPOLL

#: addresses whose failures the error shows
FAILURES_SHOWN = 3
#: connections that are set up at once
DIALS_MAX = 64


def connection_kind() -> type[Connection]:
    """Which kind of connection is made. The core needs the compiled engine, and a system that has epoll."""
    return CoreConnection if CORE else StreamConnection


class Dialer:
    """Makes connections as `plan` says, or by the same settings for all targets. `limiter` and `descriptors`
    bound what is dialled at once and what is open, and `passwords` obtains passwords; the caller asks
    them."""

    def __init__(
        self,
        settings: DialSettings | None = None,
        *,
        resolver: Resolver | None = None,
        limiter: Limiter | None = None,
        descriptors: Descriptors | None = None,
        plan: DialPlan | None = None,
    ) -> None:
        self._plan = plan or same_for_all(settings or DialSettings())
        self.limiter = limiter or Limiter(DIALS_MAX, PATIENCE_S)
        self.descriptors = descriptors or Descriptors(UNLIMITED)
        self.passwords = CommandPasswords()
        self._resolver = resolver or Resolver()
        self._candidates = Candidates()

    def change(self, plan: DialPlan) -> None:
        """Use another plan for new connections."""
        self._plan = plan

    def settings_of(self, target: Target) -> DialSettings:
        """How it is dialled from now on."""
        return self._plan.settings_of(target)

    async def resolve(self, host: str, port: int, *, trusted: bool = True) -> tuple[str, ...]:
        """The numeric addresses of `host`, in the order to try them; `Connection.peer` is one of them. Raises
        DnsError.

        A name that is not `trusted` waits behind those that are configured.
        """
        try:
            return await self._resolver.resolve(host, trusted=trusted)
        except TargetError as error:
            raise type(error)(f"{endpoint(host, port)}: {error}") from None

    async def resolve_for(self, target: Target) -> tuple[str, ...]:
        """Those of a target's host. A name that a request gave is not trusted."""
        return await self.resolve(target.host, target.port, trusted=target.source != "adopted")

    def forget(self, host: str) -> None:
        """Forget what is remembered of a host. If other targets have the same host, it is learnt again."""
        self._resolver.forget(host)
        self._candidates.forget(host)

    async def dial(
        self,
        target: Target,
        deadline: float,
        *,
        named: bool = True,
        addresses: Sequence[str] = (),
        redaction: Redaction | None = None,
        traffic: Traffic | None = None,
        times: DialTimes | None = None,
    ) -> Connection:
        """Connect to `target` and log in, all before `deadline` (monotonic seconds). Nothing stays open on
        failure.

        Without `named` the connection gets no name: the server did not accept it. With `addresses` nothing is
        looked up. Of an adopted target only addresses are dialled that requests may name. `redaction` is for
        one that knows the target's passwords, `traffic` counts, `times` learns how long each step takes: the
        caller ends it. Raises TargetError, or ConfigError for TLS.
        """
        times = times or DialTimes()
        redaction = redaction or self.passwords.redaction(target)
        target = self.passwords.log_in(target)
        where = target.place
        settings = self.settings_of(target)
        context = await self._read_tls(settings, deadline) if target.tls else None
        if not target.path and not addresses:
            times.begin(DialStep.DNS)
            addresses = await self._look_up(target, where, deadline)
        addresses = allowed(settings.scrape_allow, target, addresses)
        times.begin(DialStep.CONNECT)
        sock, peer = await self._connect(target, where, addresses, deadline)
        connection = connection_kind()(where, peer, settings.limits, redaction)
        connection.addresses, connection.traffic = tuple(addresses), traffic or connection.traffic
        # a name ends with a dot in DNS only
        name = (settings.server_name or target.host.partition("%")[0]).rstrip(".")
        try:
            if context is not None:
                times.begin(DialStep.TLS)
            await self._attach(connection, sock, context, name, deadline)
            handshake = Handshake(where, target, named=named and settings.set_client_name)
            connection.notices = await self._log_in(connection, handshake, times, deadline)
            if settings.ping:
                connection.ping_s = await self._ping(connection, deadline)
        except BaseException:
            connection.close()
            sock.close()
            raise
        connection.traffic.connections += 1
        return connection

    async def _read_tls(self, settings: DialSettings, deadline: float) -> ssl.SSLContext:
        """From the files as they are now. Most of the time left is for the server, even if a check hangs."""
        context = self._plan.context_of(settings)
        await context.freshen(min(LOOK_S, (deadline - time.monotonic()) / 4))
        return context.newest

    async def _look_up(self, target: Target, where: str, deadline: float) -> tuple[str, ...]:
        try:
            return await _before(deadline, where, "resolving the name", self.resolve_for(target))
        except DeadlineError:
            raise DnsError(
                f"{where}: the name cannot be resolved: the resolver did not answer before the deadline"
            ) from None

    async def _connect(
        self, target: Target, where: str, addresses: Sequence[str], deadline: float
    ) -> tuple[socket.socket, str]:
        """A connected socket and the address it is connected to. Each address that is tried gets an equal
        share of the time left."""
        if target.path:
            try:
                return await _before(deadline, where, "connecting", connect_path(target.path)), target.path
            except OSError as error:
                raise os_failure(where, error) from None
        failures: list[TargetError] = []
        candidates = self._candidates.choose(target.host, addresses)
        for tried, address in enumerate(candidates):
            via = where if address == target.host else f"{where} ({address})"
            now = time.monotonic()
            share = now + (deadline - now) / (len(candidates) - tried)
            try:
                sock = await _before(share, via, "connecting", connect_address(address, target.port))
                self._candidates.note(target.host, addresses, address)
                return sock, address
            except OSError as error:
                failures.append(os_failure(via, error))
            except DeadlineError as error:
                failures.append(error)
        self._candidates.note(target.host, addresses, None)
        raise _of_all(failures, len(addresses))

    async def _attach(
        self,
        connection: Connection,
        sock: socket.socket,
        context: ssl.SSLContext | None,
        name: str,
        deadline: float,
    ) -> None:
        """Give a connected socket to its connection, with TLS if there is a context. `name` is the
        server's."""
        where = connection.where
        try:
            if context is None:
                await connection.attach(sock)
            else:
                shaking = connection.attach(sock, context, name)
                # no SilenceError: this may be a port without TLS, which is no server that struggles
                await _before(deadline, where, "in the TLS handshake (does this port speak TLS?)", shaking)
        except ConnectionError:
            raise ResetError(
                f"{where}: the server closed the connection during the TLS handshake: this port does not "
                f"speak TLS, the server has no room for clients, or it is a proxy without a server behind it"
            ) from None
        except OSError as error:
            raise os_failure(where, error) from None
        except ValueError as error:  # a server name that TLS cannot carry
            raise TlsError(f"{where}: {error}") from None

    async def _log_in(
        self, connection: Connection, handshake: Handshake, times: DialTimes, deadline: float
    ) -> tuple[Notice, ...]:
        commands = handshake.commands
        if not commands:
            times.end()
            return ()
        times.begin(DialStep.AUTH)
        began_at = time.perf_counter()
        replies = await _ask(connection, commands, deadline)
        times.end()
        times.note_handshake(commands, replies)
        command_log.note(handshake.addr, commands, began_at)
        return handshake.judge(replies)

    async def _ping(self, connection: Connection, deadline: float) -> float | None:
        """Seconds that a PING took, None if the server refuses it."""
        began_at = time.perf_counter()
        [reply] = await _ask(connection, [Command.of("PING")], deadline)
        return None if isinstance(reply, ReplyError) else time.perf_counter() - began_at


async def _before(
    deadline: float,
    where: str,
    when: str,
    awaitable: Awaitable[Result],
    kind: type[DeadlineError] = DeadlineError,
) -> Result:
    try:
        async with asyncio.timeout(deadline - time.monotonic()) as clock:
            return await awaitable
    except TimeoutError:
        if not clock.expired():  # the operating system's own timeout
            raise
        raise kind(f"{where}: no answer before the deadline, {when}") from None


async def _ask(connection: Connection, commands: Sequence[Command], deadline: float) -> list[Reply]:
    answered: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
    connection.exchange(
        pack(commands),
        len(commands),
        lambda outcome: None if answered.done() else answered.set_result(outcome),
    )
    replies = await _before(deadline, connection.where, "after connecting", answered, SilenceError)
    if isinstance(replies, TargetError):
        raise replies
    return replies


def _of_all(failures: Sequence[TargetError], addresses: int) -> TargetError:
    """The failure of a dial that reached no address: of the type of the last one; texts of this type come
    first."""
    kind = type(failures[-1])
    texts = [str(failure) for failure in sorted(failures, key=lambda failure: type(failure) is not kind)]
    shown = texts[:FAILURES_SHOWN]
    if len(texts) > FAILURES_SHOWN:
        shown.append(f"{len(texts) - FAILURES_SHOWN} others failed too")
    if addresses > len(failures):
        shown.insert(0, f"{len(failures)} of its {addresses:,} addresses were tried")
    return kind("; ".join(shown))
