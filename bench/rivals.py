"""Other exporters as processes of their own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from bench.listening import wait_listening
from bench.servers import free_ports


@contextlib.contextmanager
def go_exporter(path: str) -> Iterator[tuple[int, int]]:
    """The Go exporter without a server of its own, for `/scrape?target=`: its port on loopback and its
    process."""
    [port] = free_ports(1)
    process = subprocess.Popen(
        [path, f"-web.listen-address=127.0.0.1:{port}", "-redis.addr="],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_listening(port, process, "the Go exporter")
        yield port, process.pid
    finally:
        process.kill()
        process.wait()
