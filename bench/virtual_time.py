"""Time that stands still while an exporter works, and is moved on when it waits.

So what a run does depends neither on the machine's speed nor on its load, and it takes as long as the work in
it. `virtual_time.c`, preloaded into the exporter, answers all questions for the time. This side looks whether
all threads of the exporter and of its servers sleep, and then moves time on to what the event loop waits for.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pathlib
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from bench.compiled import compile_library

T = TypeVar("T")

SOURCE = pathlib.Path(__file__).with_suffix(".c")
#: as `struct shared` of the source has them: now, wake_at, waiting, waits
_SHARED = struct.Struct("=4q")
NS = 1_000_000_000
LOOK_S = 0.002
#: of real time without any progress
STUCK_S = 300.0
ASLEEP, ENDED = "S", "Z"


class VirtualTime:
    """The time of one process, which runs in `environ`. Its servers run in `environ_of_servers`: they have
    the same time, and before it moves they sleep too."""

    def __init__(self, path: pathlib.Path, library: pathlib.Path) -> None:
        self.environ = {"VIRTUAL_TIME": str(path), "LD_PRELOAD": str(library), "PYTHONHASHSEED": "0"}
        self.environ_of_servers = {**self.environ, "VIRTUAL_TIME_ONLY_READ": "1"}
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _SHARED.size)
        self._wake = os.open(f"{path}.wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._pids: Sequence[int] = ()

    @property
    def now_s(self) -> float:
        return self._now_ns() / NS

    def follow(self, *pids: int) -> None:
        """The exporter and its servers. It has to be running."""
        self._pids = pids

    def advance_to(self, moment_s: float) -> None:
        """Return when this time has come and everybody sleeps."""
        until_ns = round(moment_s * NS)
        self._wait_asleep()
        while self._now_ns() < until_ns:
            self._move(min(until_ns, self._wakes_at_ns()))
            self._wait_asleep()

    def during(self, work: Callable[[], T]) -> T:
        """What `work` gives. Time moves on only if it waits and nobody does anything."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            while not _done(future, LOOK_S):
                if self._asleep() and not _done(future, 10 * LOOK_S) and self._asleep():
                    self._move(min(self._now_ns() + NS, self._wakes_at_ns()))
            return future.result()

    def close(self) -> None:
        self._shared.close()
        os.close(self._wake)

    def _move(self, to_ns: int) -> None:
        self._shared[:8] = struct.pack("=q", max(to_ns, self._now_ns()))
        if self._wakes_at_ns() <= self._now_ns():
            os.write(self._wake, b"\0")

    def _now_ns(self) -> int:
        return int(_SHARED.unpack(self._shared)[0])

    def _wakes_at_ns(self) -> int:
        return int(_SHARED.unpack(self._shared)[1])

    def _wait_asleep(self) -> None:
        deadline = time.monotonic() + STUCK_S
        while not self._asleep():
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: the exporter has not slept for {STUCK_S:g} s")

    def _asleep(self) -> bool:
        """Whether all sleep, at two looks, and the event loop did not wake up in between."""
        now_ns, wake_at_ns, waiting, waits = _SHARED.unpack(self._shared)
        if not self._all_sleep() or not waiting or wake_at_ns <= now_ns:
            time.sleep(LOOK_S)
            return False
        time.sleep(LOOK_S)
        return self._all_sleep() and _SHARED.unpack(self._shared)[2:] == (1, waits)

    def _all_sleep(self) -> bool:
        return all(_state(task) == ASLEEP for pid in self._pids for task in _tasks(pid))


def _tasks(pid: int) -> list[pathlib.Path]:
    """SystemExit if the process has ended."""
    process = pathlib.Path(f"/proc/{pid}")
    try:
        if _state(process) != ENDED:
            return list((process / "task").iterdir())
    except FileNotFoundError:
        pass
    raise SystemExit(f"bench: process {pid} has ended")


def _state(task: pathlib.Path) -> str:
    """The letter of /proc. A thread that has ended sleeps."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ASLEEP


def _done(future: Future[T], within_s: float) -> bool:
    return bool(wait([future], within_s).done)


@contextlib.contextmanager
def virtual_time(folder: pathlib.Path) -> Iterator[VirtualTime]:
    """Files of it come into `folder`."""
    path = folder / "time"
    path.write_bytes(bytes(_SHARED.size))
    os.mkfifo(f"{path}.wake")
    clock = VirtualTime(path, compile_library(SOURCE.read_text(), folder, "virtual_time"))
    try:
        yield clock
    finally:
        clock.close()
