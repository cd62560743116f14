"""One connection to one server: dialling it, greeting it, and exchanging one pipeline for its replies.

A `Link` is a protocol of ours: it writes what was packed, reads replies, and calls back; no task is involved.
A `Dialer` makes links, in the task of its caller. Every failure is a `TargetError`; its text names the server as the
operator wrote it, and never a user, a password or what the server said to AUTH (an unknown AUTH is answered with its arguments).

RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

from exporter import files
from exporter.allowance import Allowance
from exporter.backlog import WAITING_BYTES, running_backlog
from exporter.candidates import Candidates
from exporter.descriptors import UNLIMITED, Descriptors
from exporter.errors import (
    CancelledPollError,
    ConfigError,
    DeadlineError,
    DnsError,
    InternalError,
    OpenFilesError,
    ProtocolError,
    RefusedError,
    ReplyError,
    ResetError,
    TargetError,
    TlsError,
    TooLargeError,
)
from exporter.gate import PATIENCE_S, Gate
from exporter.greeting import Greeting, Note, refusal
from exporter.model import Command, Target
from exporter.redaction import NOTHING, Redaction, redaction_of
from exporter.replies import (
    DEFAULT_LIMITS,
    NotRespError,
    Reply,
    ReplyLimits,
    ReplyReader,
    TooMuchError,
    borrow_reader,
    give_back,
    read_unasked,
)
from exporter.resolver import Resolver
from exporter.sockets import connect_address, connect_path

log = logging.getLogger(__name__)

#: large replies are read in pieces of so many bytes: one takes 3 ms at most, a list of empty lists
PIECE_BYTES = 64 * 1024

Done = Callable[[list[Reply] | TargetError], None]
Result = TypeVar("Result")


def pack(commands: Iterable[Command]) -> bytes:
    """The bytes of a pipeline."""
    return b"".join([command.packed for command in commands])


class Link(asyncio.Protocol):
    """One connection to one server, with at most one exchange at a time.

    `where` names the server in texts; `peer` is the numeric address it is connected to, or the path of the socket, and
    `addresses` are all that its name had then; `opened_at` is monotonic seconds.
    `began_reply` says whether any byte came for the newest exchange: while it is False, the exchange may be repeated
    on another link. `received` is how many bytes the replies of the newest complete one took. `notes` are left by the greeting,
    and `ping_s` by a PING after it. Once `closed`, a link stays closed.
    """

    def __init__(self, where: str, peer: str, limits: ReplyLimits = DEFAULT_LIMITS, redaction: Redaction = NOTHING) -> None:
        self.closed = False
        self.where = where
        self.peer = peer
        self.addresses: tuple[str, ...] = ()
        self.opened_at = time.monotonic()
        self.began_reply = False
        self.received = 0
        self.notes: tuple[Note, ...] = ()
        self.ping_s: float | None = None
        self._limits = limits
        self._redaction = redaction
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: ReplyReader | None = None  # of the running exchange only
        self._unread: deque[bytes] = deque()  # pieces that wait their turn; nothing more is received in that time
        self._done: Done | None = None
        self._exchanged = False  # whether an exchange has ended well on this link
        self._reason: TargetError = ResetError(f"{where}: the server closed the idle connection")

    @property
    def exchanging(self) -> bool:
        return self._done is not None

    def exchange(self, payload: bytes, count: int, done: Done) -> None:
        """Write `payload`, a packed pipeline of `count` > 0 commands, and call `done` once.

        `done` gets the list of replies (texts as bytes, error replies as `ReplyError` values), or the error that ended
        the exchange. It is never called from inside this method, and may itself start the next exchange.
        """
        if self._done is not None:
            raise InternalError(f"{self.where}: an exchange is running already")
        self._done = done
        self.began_reply = False
        if self.closed or self._transport is None:
            self._loop.call_soon(self._finish, self._reason)
            return
        self._reader = borrow_reader(count, self._limits, self._redaction)
        self._transport.write(payload)

    def abort(self, error: TargetError) -> None:
        """Close, and end the running exchange, if there is one, with `error`."""
        self._shut(error)
        self._finish(error)

    def close(self) -> None:
        """Close. A running exchange ends as cancelled."""
        self.abort(CancelledPollError(f"{self.where}: the connection was given up"))

    def _shut(self, reason: TargetError) -> None:
        """Close without a word to the running exchange. The first reason is kept, for the exchange that follows."""
        if self.closed:
            return
        self.closed = True
        self._reason = reason
        self._unread.clear()
        if self._transport is not None:
            self._transport.abort()  # nothing unsent is worth a wait, and a TLS farewell can last

    def _finish(self, outcome: list[Reply] | TargetError) -> None:
        # The state is idle before the callback runs, for it may start the next exchange.
        done, self._done, self._reader = self._done, None, None
        if done is None:
            return
        try:
            done(outcome)
        except Exception:  # the event loop would end the connection without a word
            log.exception("%s: a mistake in this program, after an exchange", self.where)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.closed:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            if not self.closed:
                self._shut(self._unasked(data))
            return
        self.began_reply = True
        if self._unread or reader.received + len(data) > WAITING_BYTES:
            self._put_off(data)
        else:
            self._take(reader, data)

    def _put_off(self, data: bytes) -> None:
        """The beginning of large replies was read at once. The rest is read in turn with those of other links."""
        waiting = bool(self._unread)
        self._unread.extend([data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)])
        if not waiting and self._transport is not None:
            self._transport.pause_reading()
            running_backlog().add(self._read_on)

    def _read_on(self) -> None:
        if not self._unread or self._reader is None:  # it was closed meanwhile
            return
        self._take(self._reader, self._unread.popleft())
        if self._unread:
            running_backlog().add(self._read_on)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _take(self, reader: ReplyReader, data: bytes) -> None:
        try:
            complete = reader.take(data)
        except Exception as error:
            self.abort(self._unreadable(data, error))
            return
        if not complete:
            return
        replies = reader.replies
        self.received = reader.received
        if reader.spare or self._unread:
            self._shut(ProtocolError(f"{self.where}: the server sent more replies than there were commands"))
        else:
            give_back(reader)
        self._exchanged = True
        self._finish(replies)

    def eof_received(self) -> None:
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)

    # Why an exchange failed.

    def _lost(self, exc: Exception | None) -> None:
        while self._unread and self._reader is not None:  # what was sent before the end counts
            self._take(self._reader, self._unread.popleft())
        if self.closed:
            return
        self.abort(self._farewell(self._reader.replies if self._reader is not None else ()) or self._broken(exc))

    def _broken(self, exc: Exception | None) -> TargetError:
        if isinstance(exc, ssl.SSLError):
            return os_failure(self.where, exc)
        if self._done is None:
            return self._reason
        if self.began_reply:
            return ResetError(f"{self.where}: the server closed the connection in the middle of its replies")
        hint = ""
        if not self._exchanged and self._transport is not None:
            # In TLS 1.3 a client certificate is refused after the handshake, and a reset can overtake the alert that says so.
            secured = self._transport.get_extra_info("sslcontext") is not None
            hint = ": it may want another client certificate" if secured else ": it may want TLS at this port (rediss:// or valkeys://)"
        return ResetError(f"{self.where}: the server closed the connection before it answered{hint}")

    def _farewell(self, replies: Sequence[Reply]) -> TargetError | None:
        """A server that does not want a new connection says why in one line, unasked, and closes."""
        if self._exchanged or len(replies) != 1 or not isinstance(replies[0], ReplyError):
            return None
        return refusal(self.where, replies[0])

    def _unasked(self, data: bytes) -> TargetError:
        try:
            replies = read_unasked(data)
        except Exception as error:
            return self._unreadable(data, error)
        return self._farewell(replies) or ProtocolError(f"{self.where}: the server sent a reply to no command")

    def _unreadable(self, data: bytes, error: Exception) -> TargetError:
        match error:
            case NotRespError():
                return _not_resp(self.where, data, self._redaction.clean(str(error)))
            case TooMuchError():
                return TooLargeError(f"{self.where}: {error}")
        log.error("%s: a mistake in this program, while reading replies", self.where, exc_info=error)
        return TargetError(f"{self.where}: {type(error).__name__} while reading replies")


@dataclass(frozen=True, slots=True)
class DialSettings:
    """How to connect, shared by targets. The files are PEM; "" for none, the system's CAs in case of `ca_file`.

    `server_name` is what is sent as SNI and verified in place of the target's host. `allowance` says where nodes of clusters may
    be, None: near their target.
    """

    set_client_name: bool = True
    ping: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    skip_verification: bool = False
    limits: ReplyLimits = DEFAULT_LIMITS
    file_limits: files.Limits = files.DEFAULT
    allowance: Allowance | None = None


#: addresses whose failures are told
FAILURES_SHOWN = 3
#: connections that are made at once
DIALS_MAX = 64


class Dialer:
    """Makes links under one set of settings. `gate` and `descriptors` bound what is dialled at once and what is open; it is for the
    caller to ask them."""

    def __init__(
        self,
        settings: DialSettings | None = None,
        *,
        resolver: Resolver | None = None,
        gate: Gate | None = None,
        descriptors: Descriptors | None = None,
    ) -> None:
        self.settings = settings or DialSettings()
        self.gate = gate or Gate(DIALS_MAX, PATIENCE_S)
        self.descriptors = descriptors or Descriptors(UNLIMITED)
        self._resolver = resolver or Resolver()
        self._candidates = Candidates()

    @cached_property
    def context(self) -> ssl.SSLContext:
        """What all TLS links share. Its first use reads the files; a `ConfigError` names one that cannot be used."""
        return tls_context(self.settings)

    async def resolve(self, host: str, port: int, *, trusted: bool = True) -> tuple[str, ...]:
        """The numeric addresses of `host`, in the order to try them; `Link.peer` is one of them. DnsError if there is none.

        A name that is not `trusted` waits behind those that are configured.
        """
        try:
            return await self._resolver.resolve(host, trusted=trusted)
        except TargetError as error:
            raise type(error)(f"{endpoint(host, port)}: {error}") from None

    async def dial(self, target: Target, deadline: float, *, named: bool = True, addresses: Sequence[str] = ()) -> Link:
        """Connect to `target` and greet it, all before `deadline` (monotonic seconds). Nothing stays open on failure.

        Without `named` the connection gets no name: the server would not take it. With `addresses` nothing is looked up, and
        no other one is dialled. Raises a TargetError, or the ConfigError of `context`.
        """
        where = target.path or endpoint(target.host, target.port)
        context = self.context if target.tls else None
        if not target.path and not addresses:
            addresses = await self._look_up(target, where, deadline)
        sock, peer = await self._connect(target, where, addresses, deadline)
        link = Link(where, peer, self.settings.limits, redaction_of(target.user, target.password))
        link.addresses = tuple(addresses)
        try:
            await self._attach(link, sock, target, context, deadline)
            link.notes = await self._greet(link, target, deadline, named)
            if self.settings.ping:
                link.ping_s = await self._ping(link, deadline)
        except BaseException:
            link.close()
            sock.close()
            raise
        return link

    async def _look_up(self, target: Target, where: str, deadline: float) -> tuple[str, ...]:
        try:
            return await _before(deadline, where, "resolving the name", self.resolve(target.host, target.port))
        except DeadlineError:
            raise DnsError(f"{where}: the name cannot be resolved: the resolver did not answer before the deadline") from None

    async def _connect(self, target: Target, where: str, addresses: Sequence[str], deadline: float) -> tuple[socket.socket, str]:
        """A connected socket and the address it is connected to. Each address that is tried gets an equal share of the time left."""
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

    async def _attach(self, link: Link, sock: socket.socket, target: Target, context: ssl.SSLContext | None, deadline: float) -> None:
        """Give a connected socket to the event loop, with TLS if there is a context."""
        loop = asyncio.get_running_loop()
        where = link.where
        try:
            if target.path:
                await loop.create_unix_connection(lambda: link, sock=sock)
            elif context is None:
                await loop.create_connection(lambda: link, sock=sock)
            else:
                name = self.settings.server_name or target.host.partition("%")[0]
                shaking = loop.create_connection(lambda: link, sock=sock, ssl=context, server_hostname=name)
                await _before(deadline, where, "in the TLS handshake (does this port speak TLS?)", shaking)
        except ConnectionError:
            raise ResetError(
                f"{where}: the server closed the connection during the TLS handshake: this port speaks no TLS, or no client is free"
            ) from None
        except OSError as error:
            raise os_failure(where, error) from None
        except ValueError as error:  # a server name that TLS cannot carry
            raise TlsError(f"{where}: {error}") from None

    async def _greet(self, link: Link, target: Target, deadline: float, named: bool) -> tuple[Note, ...]:
        greeting = Greeting(link.where, target, named=named and self.settings.set_client_name)
        if not greeting.commands:
            return ()
        return greeting.judge(await self._ask(link, greeting.commands, deadline))

    async def _ping(self, link: Link, deadline: float) -> float | None:
        """Seconds that a PING took, None if the server will not have it."""
        began_at = time.perf_counter()
        [reply] = await self._ask(link, [Command.of("PING")], deadline)
        return None if isinstance(reply, ReplyError) else time.perf_counter() - began_at

    async def _ask(self, link: Link, commands: Sequence[Command], deadline: float) -> list[Reply]:
        answered: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
        link.exchange(pack(commands), len(commands), lambda outcome: None if answered.done() else answered.set_result(outcome))
        replies = await _before(deadline, link.where, "after connecting", answered)
        if isinstance(replies, TargetError):
            raise replies
        return replies


def endpoint(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _before(deadline: float, where: str, when: str, awaitable: Awaitable[Result]) -> Result:
    try:
        async with asyncio.timeout(deadline - time.monotonic()) as clock:
            return await awaitable
    except TimeoutError:
        if not clock.expired():  # the operating system's own timeout
            raise
        raise DeadlineError(f"{where}: no answer before the deadline, {when}") from None


def _of_all(failures: Sequence[TargetError], addresses: int) -> TargetError:
    """The failure of a dial none of whose addresses was reached: of the last one's kind, whose texts come first."""
    kind = type(failures[-1])
    texts = [str(failure) for failure in sorted(failures, key=lambda failure: type(failure) is not kind)]
    shown = texts[:FAILURES_SHOWN]
    if len(texts) > FAILURES_SHOWN:
        shown.append(f"{len(texts) - FAILURES_SHOWN} others failed too")
    if addresses > len(failures):
        shown.insert(0, f"{len(failures)} of its {addresses:,} addresses were tried")
    return kind("; ".join(shown))


def _not_resp(where: str, data: bytes, why: str) -> TargetError:
    if data[:1] in (b"\x15", b"\x16") and data[1:2] == b"\x03":  # an alert or handshake record of TLS
        return TlsError(f"{where}: the server speaks TLS here: write rediss:// or valkeys://")
    if data.startswith(b"HTTP/"):
        return ProtocolError(f"{where}: this is an HTTP server, not Redis")
    return ProtocolError(f"{where}: the server does not speak RESP: {why}")


def os_failure(where: str, error: OSError) -> TargetError:
    """What the operating system or TLS reports, as the failure of a target."""
    text = f"{where}: {error.strerror or error}"
    match error:
        case ssl.SSLCertVerificationError():
            return TlsError(f"{where}: the server's certificate cannot be trusted: {error.verify_message}")
        case ssl.SSLError():
            said = (error.reason or str(error)).replace("_", " ").lower()
            hint = ": this port speaks no TLS" if said in ("wrong version number", "record layer failure", "packet length too long") else ""
            return TlsError(f"{where}: TLS failed: {said}{hint}")
        case socket.gaierror():
            return DnsError(text)
        case ConnectionRefusedError():
            return RefusedError(f"{where}: connection refused: nothing listens there")
        case FileNotFoundError():
            return RefusedError(f"{where}: there is no such socket")
        case PermissionError():
            return RefusedError(f"{where}: no permission to connect")
        case ConnectionError():
            return ResetError(text)
        case TimeoutError():
            return DeadlineError(text)
        case _ if error.errno in (errno.EMFILE, errno.ENFILE):
            return OpenFilesError(f"{text}: this process may open no more files: raise its limit (ulimit -n)")
        case _:
            return RefusedError(text)


def tls_context(settings: DialSettings) -> ssl.SSLContext:
    """The TLS side of `settings`. ConfigError for a file that cannot be used."""
    if settings.key_file and not settings.cert_file:
        raise ConfigError(f"the TLS client key {settings.key_file} has no certificate beside it: name that too")
    read = settings.ca_file
    try:
        if settings.ca_file:
            files.fetch(settings.ca_file, settings.file_limits)
        # Only the given CAs are trusted, not the system's as well.
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.cert_file:
            read = " and ".join(filter(None, (settings.cert_file, settings.key_file)))
            for file in filter(None, (settings.cert_file, settings.key_file)):
                files.fetch(file, settings.file_limits)
            # A password is never asked for on the terminal.
            context.load_cert_chain(settings.cert_file, settings.key_file or None, password=lambda: "")
    except ssl.SSLError as error:
        why = (error.reason or "not in PEM form, or an encrypted key").replace("_", " ").lower()
        raise ConfigError(f"TLS: {read} cannot be used: {why}") from None
    except OSError as error:
        raise ConfigError(f"TLS: {read} cannot be read: {error.strerror}") from None
    except files.FileError as error:
        raise ConfigError(f"TLS: {read} cannot be read: {error}") from None
    if settings.skip_verification:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
