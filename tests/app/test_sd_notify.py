"""What systemd is told, on a real socket of its kind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter.app import sd_notify
from exporter.app.sd_notify import Notifier
from tests.store_fixture import PATIENCE_S


class Manager:
    """The socket that systemd listens on, and what came there."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(PATIENCE_S)
        self.environ = {"NOTIFY_SOCKET": address}

    def next(self) -> str:
        return self.socket.recv(4096).decode()

    def next_but(self, *others: str) -> str:
        """The next message that begins with none of these."""
        while (message := self.next()).startswith(others):
            pass
        return message

    def waiting(self) -> list[str]:
        """What has come and was not taken yet."""
        messages = []
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(self.next())
        self.socket.settimeout(PATIENCE_S)
        return messages


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = f"@redpoll-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    manager = Manager(name)
    yield manager
    manager.socket.close()


def test_systemd_hears_of_start_reload_and_stop(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.ready()
    before_usec = time.monotonic_ns() // 1000
    with contextlib.suppress(ValueError), notifier.reloading():
        raise ValueError
    notifier.stopping()
    notifier.close()
    assert manager.next() == "READY=1"
    state, _, moment = manager.next().partition("\n")
    assert state == "RELOADING=1"
    assert before_usec <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert [manager.next(), manager.next()] == ["READY=1", "STOPPING=1"]


@pytest.mark.parametrize("address", ["", "vsock:2:1", "/nowhere/notify"])
async def test_without_somebody_who_listens_nothing_happens(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready()
    with notifier.reloading():
        pass
    notifier.close()
    notifier.stopping()
    await asyncio.wait_for(notifier.beat(lambda: "closed"), PATIENCE_S)


def test_what_systemd_cannot_take_now_is_told_later_and_in_order(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    filled = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, contextlib.suppress(BlockingIOError):
        other.setblocking(False)
        while True:
            other.sendto(b"x", manager.socket.getsockname())
            filled += 1
    notifier.ready()
    notifier.stopping()
    assert manager.waiting() == ["x"] * filled
    notifier.close()
    assert manager.waiting() == ["READY=1", "STOPPING=1"]


class TestBeat:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sd_notify, "BEAT_S", 0.02)

    async def test_tells_the_status_when_it_changes_and_not_too_often(
        self, manager: Manager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        notifier = Notifier(manager.environ)
        looks: list[float] = []

        def status() -> str:
            looks.append(time.monotonic())
            return "one" if len(looks) < 3 else "two"

        monkeypatch.setattr(sd_notify, "STATUS_S", 0.3)
        beating = asyncio.create_task(notifier.beat(status))
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, manager.next) == "STATUS=one"
        assert await loop.run_in_executor(None, manager.next) == "STATUS=two"
        assert looks[2] - looks[0] >= 0.5
        beating.cancel()
        notifier.close()
        assert manager.waiting() == []

    async def test_feeds_the_watchdog_at_half_of_its_time(self, manager: Manager) -> None:
        notifier = Notifier({**manager.environ, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())})
        beating = asyncio.create_task(notifier.beat(lambda: ""))
        for _ in range(3):
            message = await asyncio.get_running_loop().run_in_executor(None, manager.next)
            assert message == "WATCHDOG=1"
        beating.cancel()
        notifier.close()

    @pytest.mark.parametrize("wrong", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}])
    async def test_does_not_feed_the_watchdog_of_others(
        self, wrong: dict[str, str], manager: Manager
    ) -> None:
        notifier = Notifier({**manager.environ, "WATCHDOG_USEC": "20000", **wrong})
        beating = asyncio.create_task(notifier.beat(lambda: "beats"))
        message = await asyncio.get_running_loop().run_in_executor(None, manager.next)
        assert message == "STATUS=beats"
        await asyncio.sleep(0.1)
        assert manager.waiting() == []
        beating.cancel()
        notifier.close()


HANGS = """
import signal, sys, time
from exporter import cli
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))
sys.exit(cli.main())
"""


def test_the_command_tells_systemd_until_its_event_loop_hangs(manager: Manager) -> None:
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HANGS,
            f"--web.listen-address=127.0.0.1:{port}",
            "--redis.addr=redis://127.0.0.1:1",
            "--log-level=error",
        ],
        env={**os.environ, **manager.environ, "WATCHDOG_USEC": "400000"},
        stderr=subprocess.PIPE,
    )
    try:
        assert manager.next() == "READY=1"
        with socket.create_connection(("127.0.0.1", port)):  # it listens
            pass
        status = manager.next_but("WATCHDOG")
        assert status.startswith("STATUS=1 targets: 0 up, ")
        assert status.endswith(f"on 127.0.0.1:{port}")
        process.send_signal(signal.SIGHUP)
        assert manager.next_but("WATCHDOG", "STATUS").startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert manager.next_but("WATCHDOG", "STATUS") == "READY=1"
        assert manager.next_but("STATUS") == "WATCHDOG=1"
        process.send_signal(signal.SIGUSR1)
        give_up = time.monotonic() + PATIENCE_S
        manager.socket.settimeout(1.5)
        with contextlib.suppress(TimeoutError):
            while True:
                manager.next()
                assert time.monotonic() < give_up, "the watchdog is fed while the loop hangs"
    finally:
        process.kill()
        process.communicate()


def test_the_command_tells_systemd_when_it_stops(manager: Manager) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "exporter",
            "--web.listen-address=127.0.0.1:0",
            "--redis.addr=redis://127.0.0.1:1",
            "--log-level=error",
        ],
        env={**os.environ, **manager.environ},
    )
    try:
        assert manager.next() == "READY=1"
        process.terminate()
        assert manager.next_but("STATUS") == "STOPPING=1"
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
