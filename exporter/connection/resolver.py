"""Looks up the addresses of names, in threads of its own.

The system's resolver can hang for minutes, and nothing can stop it. So each look-up has a thread, and the
number of threads is bounded. All that ask for one name share one look-up. Nothing waits for a thread: a task
stops waiting at its deadline, and the program can end. Numeric addresses are not looked up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

from exporter.connection.limiter import Admission, Limiter, Rank
from exporter.errors import DnsError, OpenFilesError, TargetError

#: look-ups that run at once
LOOKUPS_MAX = 64
#: with fewer, a few names that hang would block all others
LOOKUPS_MIN = 8
#: this many times as many run, with those that do not count
LOOKUPS_TIMES = 4
#: a look-up that takes longer no longer counts while others wait
PATIENCE_S = 2.0
#: names that run or wait; half as many may be names that servers gave
NAMES_MAX = 10_000
#: a name whose newest look-up took longer waits behind the others
SLOW_S = 1.0
#: names whose speed is remembered
REMEMBERED_MAX = 20_000

LookUp = Callable[[str], Sequence[str]]


def numeric(host: str) -> str | None:
    """A numeric address in canonical form, None for a name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def look_up(host: str) -> Sequence[str]:
    """Ask the system, which may block for long. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror:  # without a file to open, the system says that the server did not answer
        os.close(os.open(os.devnull, os.O_RDONLY))
        raise
    return tuple(dict.fromkeys(str(info[4][0]) for info in found))


class _LookUp:
    """One look-up that waits or runs. `found` gets the addresses, or the error."""

    __slots__ = ("began_at", "entry", "found", "trusted")

    def __init__(self, trusted: bool) -> None:
        self.found: asyncio.Future[Sequence[str] | Exception] = asyncio.get_running_loop().create_future()
        self.entry: Admission | None = None
        self.began_at = 0.0
        self.trusted = trusted  # whether a configured target asked for the name


class Resolver:
    """See the module. Its methods run in the event loop; only `look_up` is called in threads.

    `lookups_max` run at once. Those that take long no longer count, but `most` run in all: so names that hang
    hold up others for seconds only, as long as they are fewer.
    """

    def __init__(
        self, lookups_max: int = LOOKUPS_MAX, most: int | None = None, *, look_up: LookUp = look_up
    ) -> None:
        self._look_up = look_up
        self._limiter = Limiter(lookups_max, PATIENCE_S, most or lookups_max)
        self._lookups: dict[str, _LookUp] = {}
        self._ranks: dict[str, Rank] = {}  # by name: how its newest look-up went

    async def resolve(self, host: str, *, trusted: bool = True) -> tuple[str, ...]:
        """The numeric addresses of `host`, in the order to try them. Raises DnsError.

        A name that is not `trusted`, because a server named it, waits behind those that are configured, and
        takes no place from them.
        """
        address = numeric(host)
        if address is not None:
            return (address,)
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = self._begin(host, trusted)
        elif trusted and not lookup.trusted:
            self._prefer(host, lookup)
        outcome = await asyncio.shield(lookup.found)
        if isinstance(outcome, Exception):
            raise _failure(outcome)
        return tuple(outcome)

    def forget(self, host: str) -> None:
        """Forget how the newest look-up of a name went."""
        self._ranks.pop(host, None)

    def _begin(self, host: str, trusted: bool) -> _LookUp:
        names_max = NAMES_MAX if trusted else NAMES_MAX // 2
        if len(self._lookups) >= names_max:
            raise DnsError(f"the name cannot be resolved: {names_max:,} other names wait for the resolver")
        lookup = self._lookups[host] = _LookUp(trusted)
        self._enter(host, lookup)
        return lookup

    def _enter(self, host: str, lookup: _LookUp) -> None:
        rank = self._ranks.get(host, Rank.NEW) if lookup.trusted else Rank.DOWN
        lookup.entry = Admission(self._limiter, lambda: self._start(host, lookup), rank)
        lookup.entry.enter()

    def _prefer(self, host: str, lookup: _LookUp) -> None:
        """A configured target asks for a name that a server gave: move the name forward in the queue."""
        lookup.trusted = True
        if lookup.entry is not None and lookup.entry.waiting:
            lookup.entry.leave()
            self._enter(host, lookup)

    def _start(self, host: str, lookup: _LookUp) -> None:
        lookup.began_at = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            # a daemon, so that the program can end; a pool of the standard library would wait for its threads
            threading.Thread(target=self._work, args=(loop, host), name="look-up", daemon=True).start()
        except RuntimeError as error:  # the system gives no thread
            loop.call_soon(self._end, host, error)

    def _work(self, loop: asyncio.AbstractEventLoop, host: str) -> None:
        outcome: Sequence[str] | Exception
        try:
            outcome = self._look_up(host)
        except Exception as error:
            outcome = error
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(self._end, host, outcome)

    def _end(self, host: str, outcome: Sequence[str] | Exception) -> None:
        lookup = self._lookups.pop(host)
        if lookup.trusted:
            self._remember(host, time.monotonic() - lookup.began_at)
        if not lookup.found.done():
            lookup.found.set_result(outcome)
        if lookup.entry is not None:
            lookup.entry.leave()

    def _remember(self, host: str, took_s: float) -> None:
        if len(self._ranks) >= REMEMBERED_MAX:
            self._ranks.clear()
        self._ranks[host] = Rank.DOWN if took_s > SLOW_S else Rank.UP


def _failure(error: Exception) -> TargetError:
    match error:
        case ValueError():  # a label that is empty or too long, or an invalid character
            return DnsError("this cannot be a host name")
        case OSError() if error.errno in (errno.EMFILE, errno.ENFILE):
            return OpenFilesError(
                "the name cannot be resolved: this process may open no more files: raise its limit (ulimit "
                "-n)"
            )
        case OSError():
            return DnsError(f"the name cannot be resolved: {error.strerror or error}")
        case _:
            return DnsError(f"the name cannot be resolved: {type(error).__name__}")
