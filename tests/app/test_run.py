"""Running until a signal comes, and the targets that the options name."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys

import pytest

from exporter.app.run import read_targets, serve
from exporter.errors import ConfigError
from exporter.options.commandline import parse
from tests.servers import free_port
from tests.store_fixture import until
from tests.watch_harness import others


def test_targets_come_from_the_options() -> None:
    options = parse(["--redis.addr=redis://one,two:7000"], {})
    assert [target.addr for target in read_targets(options, {})] == ["redis://one:6379", "redis://two:7000"]


def test_several_targets_need_labels() -> None:
    options = parse(["--redis.addr=one,two", "--target-labels=never"], {})
    with pytest.raises(ConfigError, match="all would have the same series"):
        read_targets(options, {})
    assert len(read_targets(parse(["--redis.addr=one", "--target-labels=never"], {}), {})) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(number: signal.Signals, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    options = parse([f"--web.listen-address=127.0.0.1:{free_port()}"], {})
    serving = asyncio.ensure_future(serve(options, ()))
    await until(lambda: "polling 0 targets" in caplog.text)
    os.kill(os.getpid(), number)
    await asyncio.wait_for(serving, 10)
    assert "stopping" in caplog.text
    assert others() == set()


def test_a_thread_that_hangs_does_not_hold_the_end_up() -> None:
    code = (
        "import threading, time\n"
        "from exporter.app.run import leave_threads\n"
        "threading.Thread(target=time.sleep, args=(1000,), name='look-up').start()\n"
        "leave_threads()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
