"""Free ports on loopback, for servers that listen a moment later.

The kernel takes the ports of outgoing connections from a range of its own. A port of that range may be gone
before its server listens, and who waits for the server may even connect to itself. So these ports are below
that range. A process has blocks of them for itself as long as it lives: no other one gets the same port.
"""

from __future__ import annotations

import pathlib
import random
import socket
import threading
from collections.abc import Iterator

HOST = "127.0.0.1"
FIRST = 10_000
BLOCK = 500
#: browsers open no page there: https://fetch.spec.whatwg.org/#port-blocking
BROWSERS_REFUSE = 10_080
MOST = 4  # blocks of one process: there are fewer than 50
_RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
#: a process has a block while it has this address: the kernel takes that back however the process ends
_ADDRESS = "\0free ports from {}"


class PortBlocks:
    """Hands out ports of its blocks in turn. It takes a further block when it has handed out all of them, and
    begins again when it has `MOST` or other processes have the rest."""

    def __init__(self, first: int = FIRST, end: int | None = None) -> None:
        end = int(_RANGE.read_text().split()[0]) if end is None else end
        self._others = [range(begin, begin + BLOCK) for begin in range(first, end - BLOCK + 1, BLOCK)]
        random.shuffle(self._others)
        self._own: list[range] = []
        self._holding: list[socket.socket] = []
        self._lock = threading.Lock()
        self._ports = self._in_turn()

    def take(self) -> int:
        """A port that nobody listens on."""
        with self._lock:
            return next(port for port in self._ports if port != BROWSERS_REFUSE and _is_free(port))

    def close(self) -> None:
        """Let others have the blocks."""
        for held in self._holding:
            held.close()

    def _in_turn(self) -> Iterator[int]:
        while True:
            block = self._further()
            if block is not None:
                self._own.append(block)
                yield from block
            elif self._own:
                for block in self._own:
                    yield from block
            else:
                raise SystemExit("other programs have all blocks of free ports")

    def _further(self) -> range | None:
        while self._others and len(self._own) < MOST:
            block = self._others.pop()
            held = socket.socket(socket.AF_UNIX)
            try:
                held.bind(_ADDRESS.format(block.start))
            except OSError:
                held.close()
            else:
                self._holding.append(held)
                return block
        return None


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


_blocks: PortBlocks | None = None


def free_port() -> int:
    global _blocks
    if _blocks is None:
        _blocks = PortBlocks()
    return _blocks.take()


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]
