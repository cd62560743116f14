"""Time of a program that moves when it waits, and no sooner."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.virtual_time import VirtualTime, virtual_time

SLEEPER = """
import asyncio, datetime, sys, threading, time, uvloop

def lock():
    began = time.monotonic()
    threading.Event().wait(50)
    print("thread", time.monotonic() - began >= 50, flush=True)

async def main():
    began, wall = time.monotonic(), time.time()
    threading.Thread(target=lock).start()
    await asyncio.sleep(0.0004)  # less than a timer's millisecond
    for seconds in (1, 100, 0.5):
        await asyncio.sleep(seconds)
        print(f"{time.monotonic() - began:.1f} {time.time() - wall:.1f}", flush=True)
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        print("asked", round(time.monotonic() - began), flush=True)

uvloop.run(main())
"""


@contextmanager
def sleeper(tmp_path: pathlib.Path) -> Iterator[tuple[VirtualTime, subprocess.Popen[str]]]:
    with virtual_time(tmp_path) as clock:
        process = subprocess.Popen(
            [sys.executable, "-c", SLEEPER],
            env=clock.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        clock.follow(process.pid)
        try:
            yield clock, process
        finally:
            process.kill()
            process.communicate()


def test_a_program_that_sleeps_for_minutes_takes_a_moment(tmp_path: pathlib.Path) -> None:
    with sleeper(tmp_path) as (clock, process):
        assert process.stdout is not None
        began = time.monotonic()
        clock.advance_to(110)
        said = [process.stdout.readline() for _ in range(4)]
        assert time.monotonic() - began < 60
    assert sorted(said) == ["1.0 1.0\n", "101.0 101.0\n", "101.5 101.5\n", "thread True\n"]


def test_it_does_not_go_on_by_itself(tmp_path: pathlib.Path) -> None:
    with sleeper(tmp_path) as (clock, process):
        assert process.stdin is not None
        assert process.stdout is not None
        clock.advance_to(105)
        said = {process.stdout.readline() for _ in range(4)}
        for _ in range(2):
            process.stdin.write("\n")
            process.stdin.flush()
            said.add(process.stdout.readline())
            clock.advance_to(105)
        assert clock.now_s == pytest.approx(105, abs=0.01)
    assert "asked 105\n" in said


def test_work_of_another_is_waited_for(tmp_path: pathlib.Path) -> None:
    with sleeper(tmp_path) as (clock, process):
        stdout = process.stdout
        assert stdout is not None
        clock.advance_to(0.5)
        assert clock.during(stdout.readline) == "1.0 1.0\n"
        assert clock.now_s == pytest.approx(1, abs=0.6)


def test_a_program_that_has_ended_is_named(tmp_path: pathlib.Path) -> None:
    with sleeper(tmp_path) as (clock, process):
        process.kill()
        process.wait()
        with pytest.raises(SystemExit, match="has ended"):
            clock.advance_to(5)
