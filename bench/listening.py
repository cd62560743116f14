"""Waiting for a process until it listens."""

from __future__ import annotations

import socket
import subprocess
import time


def wait_listening(port: int, process: subprocess.Popen[bytes], what: str, within_s: float = 20.0) -> None:
    """Return once the port on loopback takes connections; a process that ends or takes too long ends the
    bench."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise SystemExit(f"bench: {what} ended with code {process.returncode} at its start") from None
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"bench: {what} did not listen on port {port} within {within_s:g} s"
                ) from None
            time.sleep(0.01)
