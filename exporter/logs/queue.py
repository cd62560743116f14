"""Lines on their way to stderr: a bounded queue, and a thread that writes. Putting a line never blocks.

Other programs may share the descriptor (a terminal, the pipe of a supervisor), so its flags stay unchanged,
and the thread blocks in place of the event loop.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

#: bytes that are kept while stderr is not read
BYTES_MAX = 4 * 1024 * 1024
#: how often repeated lines are checked
LOOK_S = 1.0
#: how long a stop waits for the queue
FLUSH_S = 0.5


class LineWriter:
    """Writes lines to a descriptor. `say_dropped` makes the line about dropped lines; `collect` gives more
    lines, about repeated ones, while `is_counting`."""

    def __init__(
        self,
        descriptor: int,
        *,
        say_dropped: Callable[[int], bytes] = lambda count: b"%d log lines were dropped\n" % count,
        collect: Callable[[], list[bytes]] = lambda: [],
        is_counting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._descriptor = descriptor
        self._say_dropped = say_dropped
        self._collect = collect
        self._is_counting = is_counting
        # without a lock: a finalizer may call `put` while `put` runs
        self._queue: SimpleQueue[bytes | threading.Event | None] = SimpleQueue()
        self._put_bytes = self._taken_bytes = 0  # only one side changes each
        self._refused = self._failed = self._said = 0
        self._looked_at = time.monotonic()
        self._is_ending = False
        self._is_cut = False  # whether what was written ends within a line
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written: the queue was full, or the descriptor failed."""
        return self._refused + self._failed

    def put(self, line: bytes) -> None:
        """Queue a line, or drop it."""
        if self._put_bytes - self._taken_bytes + len(line) > BYTES_MAX:
            self._refused += 1
            return
        self._put_bytes += len(line)
        self._queue.put(line)

    def wake(self) -> None:
        """Let the thread see that `is_counting` has changed."""
        self._queue.put(None)

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until the queue of now is written. False if that takes too long."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(timeout_s)

    def end(self) -> None:
        """Let the thread write the queue and end. Nothing is written afterwards."""
        self._is_ending = True
        self.wake()

    def _run(self) -> None:
        while not (self._is_ending and self._queue.empty()):
            try:
                self._turn()
            except Exception:  # the line is lost, the thread goes on
                self._failed += 1

    def _turn(self) -> None:
        try:
            item = self._queue.get(timeout=LOOK_S if self._is_counting() else None)
        except Empty:
            item = None
        if isinstance(item, threading.Event):
            self._say()
            item.set()
        elif item is not None:
            self._write(item)
            self._taken_bytes += len(item)
        if self._queue.empty():
            self._say()
        if time.monotonic() - self._looked_at >= LOOK_S:
            self._looked_at = time.monotonic()
            for line in self._collect():
                self._write(line)

    def _say(self) -> None:
        """Say how many lines were dropped since the last time."""
        count = self.dropped - self._said
        if count and self._write(self._say_dropped(count)):
            self._said += count

    def _write(self, line: bytes) -> bool:
        """Write a line, behind the end of one that could be written in part only: a disk was full."""
        if self._is_cut:
            line = b"\n" + line
        view = memoryview(line)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:  # another program made the open file non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll(1000)
            except OSError:
                self._failed += 1
                if len(view) < len(line):
                    self._is_cut = line[-len(view) - 1 : -len(view)] != b"\n"
                return False
        self._is_cut = False
        return True
