"""A loop that is held is reported once, with the place that holds it and without a value."""

from __future__ import annotations

import asyncio
import ctypes
import json
import math
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import count, repeat
from pathlib import Path

import pytest

from exporter.app.watchdog import FRAMES_MAX, LOOKS, Watchdog, places
from exporter.logs.lines import JsonFormatter, TextFormatter
from tests.servers import wait_until
from tests.store_fixture import until

LIMIT_S = 0.2


def hold_the_loop(reported: Callable[[], object], password: str = "planted-secret") -> None:
    """Blocks as a mistake would, until that is reported and a little longer: `password` is a value that
    must not be shown."""
    wait_until(reported, "the line")
    time.sleep(LIMIT_S)


@pytest.fixture
async def watched() -> AsyncIterator[tuple[Watchdog, list[bytes]]]:
    """One that a test starts: what is done until then could hold the loop for longer than the limit."""
    lines: list[bytes] = []
    watchdog = Watchdog(TextFormatter(), lines.append, LIMIT_S)
    yield watchdog, lines
    watchdog.stop()


async def longest_turn_s(for_s: float) -> float:
    began = turned_at = time.monotonic()
    longest = 0.0
    while turned_at - began < for_s:
        await asyncio.sleep(0.01)
        before, turned_at = turned_at, time.monotonic()
        longest = max(longest, turned_at - before)
    return longest


async def test_a_loop_that_turns_is_not_reported() -> None:
    limit_s = 0.5
    for _ in range(5):
        lines: list[bytes] = []
        watchdog = Watchdog(TextFormatter(), lines.append, limit_s)
        watchdog.start()
        longest_s = await longest_turn_s(1.2 * limit_s)
        watchdog.stop()
        if longest_s < limit_s / 2:  # or the machine itself held the loop
            assert lines == []
            return
    pytest.fail("the machine did not let the loop turn")


async def test_a_loop_that_is_known_to_turn_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(Watchdog, "_ask", lambda watchdog, silent_since: asked.append(silent_since))
    turns = count()
    watchdog = Watchdog(TextFormatter(), lambda line: None, 0.03, turned_at=lambda: next(turns))
    watchdog.start()
    await until(lambda: next(turns) > 20)  # so many looks
    assert asked == []
    turns = repeat(0)  # type: ignore[assignment]
    await until(lambda: asked)
    watchdog.stop()


class Clock:
    """Time that passes only while the watchdog waits, for `until_s`. It takes the place of `time` in the
    watchdog's module, and of the event that ends its thread."""

    def __init__(self, until_s: float) -> None:
        self.now_s = 0.0
        self._until_s = until_s

    def monotonic(self) -> float:
        return self.now_s

    def wait(self, pause_s: float) -> bool:
        self.now_s += pause_s
        return self.now_s > self._until_s


class HeldLoop:
    """Turns at each whole second, and whenever it is asked, until something holds it."""

    def __init__(self, clock: Clock, held_at_s: float) -> None:
        self._clock = clock
        self._held_at_s = held_at_s

    def turned_at(self) -> float:
        return float(int(min(self._clock.now_s, self._held_at_s)))

    def call_soon_threadsafe(self, call: Callable[[], object]) -> None:
        if self._clock.now_s < self._held_at_s:
            call()


@pytest.mark.parametrize("knows_turns", [False, True])
@pytest.mark.parametrize("held_at_s", [20 + tenths / 10 for tenths in range(40)])
def test_whenever_a_loop_is_held_that_is_reported_within_the_limit_and_one_look(
    monkeypatch: pytest.MonkeyPatch, held_at_s: float, knows_turns: bool
) -> None:
    clock = Clock(until_s=60)
    loop = HeldLoop(clock, held_at_s)
    reported_at_s: list[float] = []
    watchdog = Watchdog(
        TextFormatter(),
        lambda line: reported_at_s.append(clock.now_s),
        10.0,
        last_resort=os.open(os.devnull, os.O_WRONLY),
        turned_at=loop.turned_at if knows_turns else lambda: -math.inf,
    )
    monkeypatch.setattr("exporter.app.watchdog.time", clock)
    monkeypatch.setattr(watchdog, "_loop", loop)
    monkeypatch.setattr(watchdog, "_stopping", clock)
    monkeypatch.setattr(watchdog, "_arm", lambda: None)
    watchdog._look(threading.get_ident())
    [at_s] = reported_at_s
    assert at_s - held_at_s + 1e-6 >= 10
    assert at_s - held_at_s <= 10 + 10 / LOOKS + 1e-6
    monkeypatch.undo()
    watchdog.stop()


async def test_a_held_loop_is_reported_once_with_the_function_that_holds_it(
    watched: tuple[Watchdog, list[bytes]],
) -> None:
    watchdog, lines = watched
    watchdog.start()
    hold_the_loop(lambda: lines)
    [line] = lines
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b" level=ERROR " in line
    assert b"tests/app/test_watchdog.py:" in line
    assert b" hold_the_loop < " in line
    assert b"planted-secret" not in line


async def test_each_time_the_loop_is_held_is_reported(watched: tuple[Watchdog, list[bytes]]) -> None:
    watchdog, lines = watched
    watchdog.start()
    wait_until(lambda: len(lines) == 1, "the line")  # which holds the loop
    await asyncio.sleep(LIMIT_S)
    wait_until(lambda: len(lines) == 2, "the next line")


async def test_its_thread_ends_when_it_is_stopped(watched: tuple[Watchdog, list[bytes]]) -> None:
    watched[0].start()
    watched[0].stop()
    await asyncio.to_thread(wait_until, lambda: not is_running("watchdog"), "the thread ends")


async def test_the_line_has_the_form_of_the_log() -> None:
    lines: list[bytes] = []
    watchdog = Watchdog(JsonFormatter(), lines.append, LIMIT_S)
    watchdog.start()
    hold_the_loop(lambda: lines)
    watchdog.stop()
    [line] = lines
    assert "hold_the_loop" in json.loads(line)["msg"]


async def test_without_a_writer_it_writes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    watchdog = Watchdog(TextFormatter(), limit_s=LIMIT_S)
    watchdog.start()
    written: list[str] = []

    def is_written() -> bool:
        written.append(capfd.readouterr().err)
        return any(written)

    hold_the_loop(is_written)
    watchdog.stop()
    assert "hold_the_loop" in "".join(written)


async def test_a_pipe_that_nobody_reads_holds_its_own_thread_only() -> None:
    reader, writer = os.pipe()
    fill(writer)

    writing = threading.Event()

    def write(line: bytes) -> None:
        writing.set()
        with suppress(BrokenPipeError):
            os.write(writer, line)

    watchdog = Watchdog(TextFormatter(), write, LIMIT_S)
    watchdog.start()
    hold_the_loop(writing.is_set)
    watchdog.stop()
    await asyncio.sleep(0)
    assert is_running("watchdog")  # it waits for the pipe
    os.close(reader)
    await asyncio.to_thread(wait_until, lambda: not is_running("watchdog"), "the thread ends")
    os.close(writer)


def fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x")
    os.set_blocking(pipe, True)


def is_running(name: str) -> bool:
    return name in {thread.name for thread in threading.enumerate()}


def hold_the_interpreter(seconds: float) -> None:
    """Blocks as compiled code would that lets no other thread run."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


async def test_code_that_holds_the_interpreter_is_reported_by_faulthandler(tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    lines: list[bytes] = []
    watchdog = Watchdog(
        TextFormatter(), lines.append, LIMIT_S, last_resort=os.open(log, os.O_WRONLY | os.O_CREAT)
    )
    watchdog.start()

    def is_reported() -> bool:
        hold_the_interpreter(4 * LIMIT_S)
        return "in hold_the_interpreter" in log.read_text()

    wait_until(is_reported, "faulthandler has written")
    watchdog.stop()


async def test_faulthandler_is_silent_while_the_loop_or_the_thread_gets_on(tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    lines: list[bytes] = []
    watchdog = Watchdog(
        # a limit that lets the thread wait for the processor, on a machine that is busy
        TextFormatter(),
        lines.append,
        5 * LIMIT_S,
        last_resort=os.open(log, os.O_WRONLY | os.O_CREAT),
    )
    watchdog.start()
    hold_the_loop(lambda: lines)
    hold_the_loop(lambda: True)
    watchdog.stop()
    assert log.read_text() == ""


def test_a_deep_stack_is_cut() -> None:
    def descend(depth: int) -> list[str]:
        return descend(depth - 1) if depth else list(places(sys._getframe()))

    assert len(descend(2 * FRAMES_MAX)) == FRAMES_MAX
