"""Running until a signal comes, and the targets that the options name."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter import signals
from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.run import read_targets, reload_when, serve, turned_at
from exporter.errors import ConfigError
from exporter.options.commandline import parse
from exporter.web.reload import Reloaded
from tests.store_fixture import PATIENCE_S, until
from tests.watch_harness import others


def test_targets_come_from_the_options() -> None:
    options = parse(["--redis.addr=redis://one,two:7000"], {})
    assert [target.addr for target in read_targets(options, {})] == ["redis://one:6379", "redis://two:7000"]


def test_several_targets_need_labels() -> None:
    options = parse(["--redis.addr=one,two", "--target-labels=never"], {})
    with pytest.raises(ConfigError, match="all would have the same series"):
        read_targets(options, {})
    assert len(read_targets(parse(["--redis.addr=one", "--target-labels=never"], {}), {})) == 1


def test_too_few_open_files_end_the_start_with_what_to_do() -> None:
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -n 12; exec "$0" -m exporter --redis.addr=', sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "redis_exporter: this process may open 12 files: raise the limit to 32 at least (ulimit -n, or "
        "LimitNOFILE= of systemd), and by one for each target\n"
    )


@pytest.fixture
def handlers() -> Iterator[None]:
    """Puts the handlers of signals back as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    signals.listen(None)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(number: signal.Signals, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    options = parse([f"--web.listen-address=127.0.0.1:{free_port()}"], {})
    serving = asyncio.ensure_future(serve(options, ()))
    await until(lambda: "polling 0 targets" in caplog.text)
    os.kill(os.getpid(), number)
    await asyncio.wait_for(serving, PATIENCE_S)
    assert "stopping" in caplog.text
    assert others() == set()


@pytest.mark.usefixtures("handlers")
async def test_a_hangup_reloads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    passwords = tmp_path / "passwords.json"
    passwords.write_text("{}")
    listen = f"--web.listen-address=127.0.0.1:{free_port()}"
    options = parse([listen, f"--redis.password-file={passwords}"], {})
    serving = asyncio.ensure_future(serve(options, ()))
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGHUP)  # while it starts
    await until(lambda: "reloaded: 0 added, 0 removed, 0 changed, 0 unchanged" in caplog.messages)
    caplog.clear()
    passwords.write_text("{")
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: caplog.records)
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "the reload failed, and nothing has changed")
    assert str(passwords) in vars(record)["err"]
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGHUP)  # while it stops
    await asyncio.wait_for(serving, PATIENCE_S)
    assert others() == set()


async def test_reloads_that_are_asked_for_together_are_one() -> None:
    reloads = 0

    class Counting(App):
        async def reload(self) -> Reloaded:
            nonlocal reloads
            reloads += 1
            await asyncio.sleep(0)
            return Reloaded(True, "")

    asked = asyncio.Event()
    task = asyncio.ensure_future(reload_when(asked, Counting()))
    for _ in range(5):
        asked.set()
    await until(lambda: reloads == 1)
    for _ in range(3):
        asked.set()  # while one runs
    await until(lambda: reloads == 2)
    await asyncio.sleep(0.05)
    assert reloads == 2
    task.cancel()


async def test_a_reload_that_breaks_is_not_the_last_one(caplog: pytest.LogCaptureFixture) -> None:
    class Breaking(App):
        async def reload(self) -> Reloaded:
            raise KeyError

    asked = asyncio.Event()
    task = asyncio.ensure_future(reload_when(asked, Breaking()))
    asked.set()
    await until(lambda: len(caplog.messages) == 1)
    asked.set()
    await until(lambda: len(caplog.messages) == 2)
    assert set(caplog.messages) == {"internal error in a reload (please report)"}
    task.cancel()


def test_a_thread_that_hangs_does_not_hold_the_end_up() -> None:
    code = (
        "import threading, time\n"
        "from exporter.app.run import leave_threads\n"
        "threading.Thread(target=time.sleep, args=(1000,), name='look-up').start()\n"
        "leave_threads()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


async def test_when_the_loop_turned_is_known_while_it_polls() -> None:
    app = App(listen=False)
    assert turned_at(app) == -math.inf
    await app.apply(configure(parse([], {}), ()))
    assert time.monotonic() - 60 < turned_at(app) <= time.monotonic()
    await app.stop()
    assert turned_at(app) == -math.inf
