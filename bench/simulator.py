"""Servers that are none: recorded replies with counters that move, on many ports, in a process of its own
whose CPU is nobody's.

    python -m bench.simulator PORT … [--latency-ms 2] [--stall-s 1 --every-s 2] [--error-share 0.01]
[--all-move] [--tls-cert FILE --tls-key FILE]

It answers what exporters ask; anything else is an unknown command. A database is taken whatever its number,
so that one port can stand for many targets where listening on one for each would take too many files.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import hiredis
import uvloop

from bench.listening import wait_listening
from bench.ports import free_ports
from bench.simulated_replies import Replies

START_S = 60.0


@dataclass(frozen=True)
class ServerFaults:
    """What is wrong with the servers. In the first `stall_s` of every `every_s` nothing is answered."""

    latency_s: float = 0.0
    stall_s: float = 0.0
    every_s: float = 0.0
    error_share: float = 0.0

    def delay_s(self, now: float) -> float:
        """How long a reply to what comes now is held back."""
        stalled_s = now % self.every_s if self.every_s else self.stall_s
        return self.latency_s + max(0.0, self.stall_s - stalled_s)


class _Conversation(asyncio.Protocol):
    def __init__(self, replies: Replies, faults: ServerFaults) -> None:
        self._replies = replies
        self._faults = faults
        self._steady = faults == ServerFaults()
        self._reader = hiredis.Reader()
        self._due_at = 0.0  # of the newest reply that was held back: later ones do not overtake it
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        whole = self._steady and not self._reader.has_data()
        if whole and (kept := self._replies.kept_batch(data)):
            self._transport.write(kept)
            return
        self._reader.feed(data)
        now = time.monotonic()
        found = []
        while (words := self._reader.gets()) is not False:
            failed = self._faults.error_share and random.random() < self._faults.error_share
            found.append(b"-ERR simulated\r\n" if failed else self._replies.to(words))
        replies = b"".join(found)
        if whole and not self._reader.has_data():
            self._replies.keep_batch(data, replies)
        self._due_at = max(self._due_at, now + self._faults.delay_s(now))
        if self._due_at > now:
            asyncio.get_running_loop().call_later(self._due_at - now, self._write, replies)
        else:
            self._transport.write(replies)

    def _write(self, replies: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(replies)


async def _serve(
    ports: Sequence[int], replies: Replies, faults: ServerFaults, tls: ssl.SSLContext | None
) -> None:
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(
            lambda: _Conversation(replies, faults), "127.0.0.1", port, backlog=1024, ssl=tls
        )
        for port in ports
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


@dataclass(frozen=True)
class Simulator:
    addresses: list[str]
    pid: int


@contextlib.contextmanager
def simulator(
    targets: int,
    *flags: str,
    databases: int = 1,
    scheme: str = "redis",
    environ: Mapping[str, str] | None = None,
    ports: Sequence[int] = (),
) -> Iterator[Simulator]:
    """`targets` targets in a process, until the block ends; `databases` of them share a port. `flags` are the
    simulator's. Without `ports` it gets free ones."""
    ports = ports or free_ports(-(-targets // databases))
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.simulator", *map(str, ports), *flags],
        env={**os.environ, **(environ or {})},
    )
    try:
        wait_listening(ports[-1], process, "the simulator", START_S)
        addresses = [f"{scheme}://127.0.0.1:{port}/{db}" for port in ports for db in range(databases)]
        yield Simulator(addresses[:targets], process.pid)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def simulated(targets: int, *flags: str, databases: int = 1, scheme: str = "redis") -> Iterator[list[str]]:
    """The same; the addresses of the targets."""
    with simulator(targets, *flags, databases=databases, scheme=scheme) as servers:
        yield servers.addresses


def raise_open_files() -> None:
    """As many connections as the system lets a process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.simulator")
    parser.add_argument("ports", nargs="+", type=int, metavar="PORT")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--stall-s", type=float, default=0.0, help="answer nothing for so long")
    parser.add_argument(
        "--every-s", type=float, default=0.0, help="time from the beginning of one stall to that of the next"
    )
    parser.add_argument(
        "--error-share",
        type=float,
        default=0.0,
        help="part of the commands, 0 to 1, that is answered by an error",
    )
    parser.add_argument(
        "--all-move", action="store_true", help="every number of a statistic changes, not only the usual ones"
    )
    parser.add_argument("--tls-cert", default="")
    parser.add_argument("--tls-key", default="")
    return parser


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.stall_s and not arguments.every_s > arguments.stall_s:
        parser.error("--stall-s needs an --every-s that is longer")
    tls = None
    if arguments.tls_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.tls_cert, arguments.tls_key or None)
    raise_open_files()
    faults = ServerFaults(
        arguments.latency_ms / 1e3, arguments.stall_s, arguments.every_s, arguments.error_share
    )
    uvloop.run(_serve(arguments.ports, Replies(arguments.all_move), faults, tls))


if __name__ == "__main__":
    main()
