"""The passwords that commands of the operator give: obtained before a dial needs them, and kept."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Container
from concurrent.futures import Future
from dataclasses import replace

from exporter import files
from exporter.connection.children import Children, Ended
from exporter.connection.limiter import Admission, Limiter, Rank
from exporter.errors import AuthError
from exporter.targets import password_text
from exporter.targets.password_command import PasswordCommand
from exporter.targets.redaction import Redaction, redaction_of
from exporter.targets.target import Target

#: how long a command may run, and how many run at once
TIMEOUT_S = 5.0
COMMANDS_MAX = 4
OUTPUT_MAX = 256 * 1024
#: the longest time between a failure, or a password that is refused again, and the next run
PAUSE_MAX_S = 30.0
#: newest passwords of a command that no text may show
PASSWORDS_MAX = 32

log = logging.getLogger(__name__)


class _Source:
    """One command: its newest password, and how its runs went. Times are monotonic seconds."""

    __slots__ = (
        "fault",
        "is_refused",
        "is_running",
        "obtained_at",
        "passwords",
        "pause",
        "retry_at",
        "waiting",
    )

    def __init__(self) -> None:
        self.passwords: deque[str] = deque(maxlen=PASSWORDS_MAX)  # the newest one last
        self.obtained_at = -math.inf
        self.is_refused = False
        self.is_running = False
        self.fault = ""  # of the newest run
        self.pause = 0  # runs in a row that brought nothing new
        self.retry_at = 0.0
        self.waiting: list[Callable[[], None]] = []

    @property
    def password(self) -> str:
        return self.passwords[-1] if self.passwords else ""

    def needs_run(self, ttl_s: float, now: float) -> bool:
        is_usable = self.password and not self.is_refused and now - self.obtained_at < ttl_s
        return not is_usable and now >= self.retry_at

    @property
    def rank(self) -> Rank:
        return Rank.DOWN if self.pause else Rank.UP if self.password else Rank.NEW

    def note(self, password: str, fault: str, began_at: float) -> None:
        """Take what a run gave. A password stays when the next run fails."""
        self.fault = fault
        if fault or (self.is_refused and password == self.password):
            self.pause += 1
            self.retry_at = time.monotonic() + min(PAUSE_MAX_S, 2.0 ** (self.pause - 1))
        else:
            self.pause, self.retry_at = 0, 0.0
        if not fault:
            if password != self.password:
                self.passwords.append(password)
            self.obtained_at, self.is_refused = began_at, False


class CommandPasswords:
    """Runs each command once for all targets that have it. Commands that fail have a share of the places
    only, so they keep those that work waiting for a moment."""

    def __init__(self) -> None:
        self._children = Children()
        self._limiter = Limiter(COMMANDS_MAX)
        self._places = threading.BoundedSemaphore(COMMANDS_MAX)
        self._sources: dict[tuple[str, ...], _Source] = {}
        self._closed = False

    def prepare(self, target: Target) -> bool:
        """Whether a dial need not wait for the target's password. If it does, the command runs from now
        on."""
        command = target.password_command
        if command is None or self._closed:
            return True
        source = self._source_of(command)
        if not source.is_running and source.needs_run(command.ttl_s, time.monotonic()):
            self._start(command, source)
        return not source.is_running

    def is_ready(self, target: Target) -> bool:
        """The same, but nothing is started."""
        command = target.password_command
        return command is None or not self._source_of(command).is_running

    def call_when_ready(self, target: Target, go_on: Callable[[], None]) -> None:
        """Call `go_on` once the command that runs for this target has ended."""
        assert target.password_command is not None
        self._source_of(target.password_command).waiting.append(go_on)

    def log_in(self, target: Target) -> Target:
        """The target with the newest password of its command. AuthError if there is none."""
        command = target.password_command
        if command is None:
            return target
        source = self._source_of(command)
        if not source.password:
            fault = source.fault or "has given no password yet"
            raise AuthError(f"{target.place}: password_command {command.name} {fault}")
        return replace(target, password=source.password, password_command=None)

    def refuse(self, target: Target, password: str) -> None:
        """A server refused this password of the target. If it is still the newest one, the next dial asks
        the command again."""
        if target.password_command is not None and password:
            source = self._source_of(target.password_command)
            source.is_refused = source.is_refused or password == source.password

    def redaction(self, target: Target) -> Redaction:
        """What knows all passwords that the target has had."""
        command = target.password_command
        if command is None:
            return redaction_of(target.user, target.password)
        return redaction_of(target.user, *self._source_of(command).passwords)

    def keep(self, commands: Container[tuple[str, ...]]) -> None:
        """Forget the passwords of other commands."""
        for args in [args for args in self._sources if args not in commands]:
            if not self._sources[args].is_running:
                del self._sources[args]

    def close(self) -> None:
        """Kill the commands that run, and run no more."""
        self._closed = True
        self._children.close()

    def _source_of(self, command: PasswordCommand) -> _Source:
        source = self._sources.get(command.args)
        if source is None:
            source = self._sources[command.args] = _Source()
        return source

    # -- one run

    def _start(self, command: PasswordCommand, source: _Source) -> None:
        source.is_running = True

        def begin() -> None:
            began_at = time.monotonic()

            def end(running: asyncio.Future[Ended] | Future[Ended]) -> None:
                entry.leave()
                self._finish(command, source, began_at, running)

            try:
                started = files.start(self._run(command), self._places)
            except files.FileError as error:
                started = Future()
                started.set_exception(error)
            asyncio.wrap_future(started).add_done_callback(end)

        entry = Admission(self._limiter, begin, source.rank)
        entry.enter()

    def _run(self, command: PasswordCommand) -> Callable[[], Ended]:
        return lambda: self._children.run(command.args, TIMEOUT_S, OUTPUT_MAX)

    def _finish(
        self,
        command: PasswordCommand,
        source: _Source,
        began_at: float,
        running: asyncio.Future[Ended] | Future[Ended],
    ) -> None:
        source.is_running = False
        error = running.exception()
        if error is not None:
            ended = Ended(b"", b"", f"was not run: {type(error).__name__}")
        else:
            ended = running.result()
        password = ended.output.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")
        wrong = "" if ended.fault else password_text.fault(password)
        fault = ended.fault or (f"printed no password: {wrong}" if wrong else "")
        hidden = [*source.passwords, *command.secrets, *password.split("\n")]
        source.note(password, fault, began_at)
        if not self._closed:
            _log(command, fault, _last_line(ended.errors, hidden), time.monotonic() - began_at)
        waiting, source.waiting = source.waiting, []
        for go_on in waiting:
            go_on()


def _last_line(errors: bytes, hidden: list[str]) -> str:
    """The last line that was written to stderr, without secrets."""
    lines = [line for line in errors.decode("utf-8", "replace").split("\n") if line.strip()]
    return Redaction("", *filter(None, hidden)).clean(lines[-1].strip()) if lines else ""


def _log(command: PasswordCommand, fault: str, said: str, duration_s: float) -> None:
    extra = {"duration_ms": round(duration_s * 1000, 1), **({"err": said} if said else {})}
    if fault:
        log.warning("password_command %s %s", command.name, fault, extra=extra)
    else:
        log.debug("password_command %s gave a password", command.name, extra=extra)
