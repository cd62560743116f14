"""Servers that are none: recorded replies with counters that move, on many ports, in a process of its own whose CPU is nobody's.

    python -m bench.simulator PORT …

It answers what exporters ask; anything else is an unknown command. A database is taken whatever its number, so that one port
can stand for many targets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, cast

import hiredis
import uvloop

from bench.fleet import recorded
from bench.listening import wait_listening
from bench.servers import free_ports

VERSION = "redis-7.0.15"
#: targets that share a port
DATABASES = 16
#: fields of INFO that move: how fast, in a second
MOVING = {b"total_commands_processed": 1000, b"total_net_input_bytes": 50_000, b"keyspace_hits": 700, b"uptime_in_seconds": 1}
#: commands whose statistics an application has
COMMANDS = 25


class Replies:
    """What the servers answer. Texts of INFO are split at the numbers that move."""

    def __init__(self) -> None:
        everything = recorded(VERSION, "info_all.txt").splitlines()
        default = recorded(VERSION, "info_default.txt")
        self._began_at = time.monotonic()
        self._default = _split(default)
        self._statistics = _sections(everything, (b"Commandstats", b"Errorstats", b"Latencystats"))
        self._all = _split(default + b"\r\n".join(self._statistics.values()))
        self._config = [item.encode() for item in json.loads(recorded(VERSION, "config_get.json"))]
        histograms = json.loads(recorded(VERSION, "latency_histogram.json"))
        self._histogram = encode(histograms[: 2 * COMMANDS])

    def to(self, words: list[bytes]) -> bytes:
        """The reply to a command."""
        name, *arguments = words
        match name.upper(), [argument.lower() for argument in arguments]:
            case b"INFO", []:
                return self._info(self._default)
            case b"INFO", [b"all" | b"everything"]:
                return self._info(self._all)
            case b"INFO", sections:
                return encode(b"\r\n".join(self._statistics[section] for section in sections if section in self._statistics))
            case b"CONFIG", [b"get", *patterns]:
                return encode(self._configuration([pattern.decode() for pattern in patterns]))
            case b"LATENCY", [b"histogram", *_]:
                return self._histogram
            case b"SLOWLOG", [b"len"]:
                return b":0\r\n"
            case (b"SLOWLOG", [b"get", *_]) | (b"LATENCY", [b"latest"]):
                return b"*0\r\n"
            case b"PING", []:
                return b"+PONG\r\n"
            case (b"SELECT", _) | (b"CLIENT", [b"setname", *_]):
                return b"+OK\r\n"
        return b"-ERR unknown command\r\n"

    def _info(self, pieces: list[tuple[bytes, int, int]]) -> bytes:
        elapsed_s = time.monotonic() - self._began_at
        return encode(b"".join([text + (b"%d" % (first + int(pace * elapsed_s)) if pace else b"") for text, first, pace in pieces]))

    def _configuration(self, patterns: list[str]) -> list[bytes]:
        pairs = zip(self._config[::2], self._config[1::2], strict=True)
        return [word for key, value in pairs if any(fnmatchcase(key.decode(), pattern) for pattern in patterns) for word in (key, value)]


def _split(text: bytes) -> list[tuple[bytes, int, int]]:
    """(text before a moving number, that number, its pace), the rest at last with a pace of 0."""
    pieces = []
    before: list[bytes] = []
    for line in text.splitlines(keepends=True):
        key, colon, value = line.partition(b":")
        if key in MOVING:
            pieces.append((b"".join(before) + key + colon, int(value), MOVING[key]))
            before = [b"\r\n"]
        else:
            before.append(line)
    return [*pieces, (b"".join(before), 0, 0)]


def _sections(lines: list[bytes], names: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """Sections by their names in lower case, of statistics only those of a few commands."""
    found: dict[bytes, list[bytes]] = {}
    current: list[bytes] = []
    for line in lines:
        if line.startswith(b"# "):
            current = found.setdefault(line[2:].lower(), [line]) if line[2:] in names else []
        elif len(current) <= COMMANDS:
            current.append(line)
    return {name: b"\r\n".join(section) + b"\r\n" for name, section in found.items()}


def encode(value: Any) -> bytes:
    """As RESP."""
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(encode(item) for item in value)
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, str):
        value = value.encode()
    return b"$%d\r\n%b\r\n" % (len(value), value)


class _Conversation(asyncio.Protocol):
    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        found = []
        while (words := self._reader.gets()) is not False:
            found.append(self._replies.to(words))
        self._transport.write(b"".join(found))


async def _serve(ports: list[int]) -> None:
    replies = Replies()
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: _Conversation(replies), "127.0.0.1", port, backlog=1024) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


@contextlib.contextmanager
def simulated(targets: int) -> Iterator[list[str]]:
    """The addresses of so many targets, until the block ends."""
    ports = free_ports(-(-targets // DATABASES))
    process = subprocess.Popen([sys.executable, "-m", "bench.simulator", *map(str, ports)])
    try:
        wait_listening(ports[-1], process, "the simulator")
        yield [f"redis://127.0.0.1:{port}/{db}" for port in ports for db in range(DATABASES)][:targets]
    finally:
        process.kill()
        process.wait()


def raise_open_files() -> None:
    """As many connections as the system lets a process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    raise_open_files()
    uvloop.run(_serve([int(port) for port in sys.argv[1:]]))
