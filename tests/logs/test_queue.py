"""Lines on their way to stderr: whoever puts one never waits."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator

import pytest

from exporter.logs import queue
from exporter.logs.queue import LineWriter

PATIENCE_S = 10.0
LINE = b"x" * 999 + b"\n"
#: more than a pipe holds, so its writer is stuck
STUCK = 200


class Pipe:
    def __init__(self) -> None:
        self.reader, self.end = os.pipe()

    def read(self, count: int) -> bytes:
        """At least so many bytes, or what comes until the writer is silent."""
        data = b""
        while len(data) < count:
            data += os.read(self.reader, 1 << 16)
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reader)  # which ends a write that is stuck


def test_lines_are_written_in_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.end)
    for number in range(100):
        writer.put(b"%d\n" % number)
    assert writer.flush(PATIENCE_S)
    assert pipe.read(1).split() == [b"%d" % number for number in range(100)]
    assert writer.dropped == 0


def test_nobody_waits_for_a_reader_who_does_not_read(pipe: Pipe) -> None:
    writer = LineWriter(pipe.end)
    for _ in range(20_000):
        writer.put(LINE)  # a wait would have no end
    assert writer.dropped > 10_000


def test_a_stop_waits_for_a_bounded_time(pipe: Pipe) -> None:
    writer = LineWriter(pipe.end)
    for _ in range(STUCK):
        writer.put(LINE)
    began = time.monotonic()
    assert not writer.flush(0.2)
    assert 0.2 <= time.monotonic() - began < PATIENCE_S / 2


def test_what_was_dropped_is_said_once_when_writing_works_again(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "BYTES_MAX", 300_000)
    writer = LineWriter(pipe.end)
    for _ in range(1000):
        writer.put(LINE)
    dropped = writer.dropped
    assert dropped > 600
    data = pipe.read((1000 - dropped) * len(LINE))
    assert writer.flush(PATIENCE_S)
    writer.put(b"end\n")
    assert writer.flush(PATIENCE_S)
    while not data.endswith(b"end\n"):
        data += os.read(pipe.reader, 1 << 16)
    assert data.split(b"\n")[-3:-1] == [b"%d log lines were dropped" % dropped, b"end"]


def test_the_thread_ends_with_what_was_queued(pipe: Pipe) -> None:
    writer = LineWriter(pipe.end)
    writer.put(b"last\n")
    writer.end()
    writer._thread.join(PATIENCE_S)
    assert not writer._thread.is_alive()
    assert pipe.read(1) == b"last\n"


def test_a_closed_reader_costs_the_lines_alone() -> None:
    reader, end = os.pipe()
    os.close(reader)
    writer = LineWriter(end)
    writer.put(b"lost\n")
    assert writer.flush(PATIENCE_S)
    assert writer.dropped >= 1
    writer.end()
    writer._thread.join(PATIENCE_S)  # or it writes to the next file that has this number
    os.close(end)


@pytest.mark.parametrize(
    ("free", "written"),
    [
        ([0], b"two\nsix\nten\n"),
        ([2], b"on\ntwo\nsix\nten\n"),
        ([3], b"one\ntwo\nsix\nten\n"),
        ([2, 0], b"on\nsix\nten\n"),
        ([2, 1], b"on\nsix\nten\n"),
        ([2, 2], b"on\nt\nsix\nten\n"),
        ([5], b"one\nt\nsix\nten\n"),
    ],
)
def test_a_line_that_a_full_disk_cuts_is_not_joined_to_the_next_one(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, free: list[int], written: bytes
) -> None:
    """`free` are the bytes that the disk has before each error."""
    may_begin, real = threading.Event(), os.write

    def write(descriptor: int, data: memoryview) -> int:
        may_begin.wait(PATIENCE_S)
        if not free:
            return real(descriptor, data)
        if not free[0]:
            del free[0]
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = real(descriptor, data[: free[0]])
        free[0] -= count
        return count

    monkeypatch.setattr(os, "write", write)
    writer = LineWriter(pipe.end, say_dropped=lambda count: b"dropped\n")
    for line in (b"one\n", b"two\n", b"six\n", b"ten\n"):
        writer.put(line)
    may_begin.set()
    assert writer.flush(PATIENCE_S)
    assert pipe.read(len(written)) == written + b"dropped\n"


def test_an_end_that_another_program_made_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.end, False)
    writer = LineWriter(pipe.end)
    for _ in range(STUCK):
        writer.put(LINE)
    assert not writer.flush(0.2)
    assert pipe.read(STUCK * len(LINE)) == LINE * STUCK
    assert writer.flush(PATIENCE_S)
    assert writer.dropped == 0


def test_a_line_that_cannot_be_made_does_not_end_the_thread(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LOOK_S", 0.0)
    writer = LineWriter(pipe.end, collect=lambda: [b""] * (1 // 0))
    writer.wake()
    writer.put(b"still here\n")
    assert writer.flush(PATIENCE_S)
    assert pipe.read(1).startswith(b"still here\n")


def test_lines_that_repeat_are_asked_for_while_some_were_left_out(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LOOK_S", 0.01)
    counting = [True]

    def collect() -> list[bytes]:
        counting.clear()
        return [b"and 37 more\n"]

    writer = LineWriter(pipe.end, collect=collect, is_counting=lambda: bool(counting))
    writer.wake()
    assert pipe.read(1) == b"and 37 more\n"
