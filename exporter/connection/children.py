"""Child processes that are run for what they print, within limits of time and size."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

#: the end of what a child writes to stderr is kept
ERRORS_MAX = 4096
#: how often it is checked whether a child has ended that left its output to another process
LOOK_S = 0.05
CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended. `fault` is empty if it went well; it begins with a verb. `errors` is the end of what
    it wrote to stderr."""

    output: bytes
    errors: bytes
    fault: str


class Children:
    """Runs children, each with its process group. After `close` there is none, and none starts."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def run(self, args: Sequence[str], timeout_s: float, output_max: int) -> Ended:
        """Run a command in this thread, until it ends or is killed because of a limit. It reads an empty
        stdin."""
        deadline = time.monotonic() + timeout_s
        try:
            child = self._start(args)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "an argument holds a zero byte"
            return Ended(b"", b"", f"cannot be started: {why or type(error).__name__}")
        if child is None:
            return Ended(b"", b"", "is not started: the exporter stops")
        reading = _Reading(child, output_max)
        try:
            fault = reading.read(deadline)
            if fault is None:
                fault = f"took longer than {timeout_s:g} s, and was stopped"
        finally:
            self._end(child)
        return Ended(bytes(reading.output), bytes(reading.errors), fault)

    def close(self) -> None:
        """Kill all that run."""
        with self._starting:
            self._closed = True
            for child in self._running:
                _kill(child)

    def _start(self, args: Sequence[str]) -> subprocess.Popen[bytes] | None:
        with self._starting:  # `close` sees each child
            if self._closed:
                return None
            pipe = subprocess.PIPE
            child = subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
            )
            self._running.add(child)
            return child

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        _kill(child)
        child.wait()
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()
        with self._starting:
            self._running.discard(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that runs, and what it has started."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


class _Reading:
    """What one child has printed so far."""

    def __init__(self, child: subprocess.Popen[bytes], output_max: int) -> None:
        self.output = bytearray()
        self.errors = bytearray()
        self._child = child
        self._output_max = output_max

    def read(self, deadline: float) -> str | None:
        """Read until the child ends. Returns its fault, "" for none; None: the deadline has passed."""
        child = self._child
        assert child.stdout is not None
        assert child.stderr is not None
        with selectors.DefaultSelector() as selector:
            for stream in (child.stdout, child.stderr):
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                rest_s = deadline - time.monotonic()
                if rest_s <= 0:
                    return None
                has_ended = child.poll() is not None  # before the look, which then finds all that it printed
                ready = selector.select(min(rest_s, LOOK_S))
                if has_ended and not ready:  # what it has started may hold the pipes
                    break
                for key, _ in ready:
                    if not self._take(child.stdout, key.fd):
                        selector.unregister(key.fileobj)
                if len(self.output) > self._output_max:
                    return f"printed more than {self._output_max} bytes, and was stopped"
        try:
            code = child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None
        if code < 0:
            return f"ended by signal {-code}"
        return f"ended with exit status {code}" if code else ""

    def _take(self, output: IO[bytes], descriptor: int) -> bool:
        """Read what there is. Returns whether more may come."""
        data = os.read(descriptor, CHUNK)
        if descriptor == output.fileno():
            self.output += data
        else:
            self.errors = (self.errors + data)[-ERRORS_MAX:]
        return bool(data)
