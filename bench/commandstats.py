"""What commands cost a server's thread, by its own account, less what asking for that costs."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

#: commands run once each, so that statistics by command have the rows of a server in use
_HISTORY = (
    "SET a 1", "GET a", "GETSET a 2", "APPEND a x", "STRLEN a", "SETEX b 1000 1", "TTL b", "EXPIRE b 2000",
    "PERSIST b",
    "INCR c",
    "INCRBY c 5", "DECR c", "MSET d 1 e 2", "MGET d e", "EXISTS d", "TYPE d", "DEL e", "UNLINK d",
    "LPUSH l 1 2 3",
    "RPUSH l 4",
    "LPOP l", "LRANGE l 0 -1", "LLEN l", "HSET h f 1 g 2", "HGET h f", "HGETALL h", "HDEL h g",
    "HINCRBY h f 2",
    "SADD s 1 2 3",
    "SMEMBERS s", "SISMEMBER s 2", "SCARD s", "SREM s 3", "ZADD z 1 a 2 b", "ZRANGE z 0 -1", "ZSCORE z a",
    "ZINCRBY z 1 a",
    "ZCARD z",
    "XADD x * f v", "XLEN x", "XRANGE x - +", "PFADD p 1 2", "PFCOUNT p", "SETBIT bits 7 1", "BITCOUNT bits",
    "PUBLISH channel m",
    "DBSIZE", "SCAN 0", "OBJECT ENCODING a", "MEMORY USAGE a", "NOSUCHCOMMAND", "LPUSH a wrong-type",
)  # fmt: skip
_KEYS = 10_000
_LINE = re.compile(rb"cmdstat_([^:\r\n]+):calls=(\d+),usec=(\d+)")


class Client:
    """One connection that asks inline commands."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def run(self, commands: list[str]) -> None:
        """Run them all in one go, whatever they answer."""
        end = f"end-{time.monotonic_ns()}"
        self._socket.sendall("".join(f"{command}\r\n" for command in [*commands, f"ECHO {end}"]).encode())
        while not self._file.readline().startswith(end.encode()):
            pass

    def info(self, section: str, times: int = 1) -> list[bytes]:
        """INFO of a section, `times` times in one packet, so that nobody's command runs in between."""
        self._socket.sendall(f"INFO {section}\r\n".encode() * times)
        return [self._bulk() for _ in range(times)]

    def _bulk(self) -> bytes:
        head = self._file.readline()
        if not head.startswith(b"$"):
            raise SystemExit(f"bench: redis-server answered INFO with {head!r}")
        return self._file.read(int(head[1:]) + 2)


def give_history(client: Client) -> None:
    """Some keys, and a few dozen commands that ran."""
    for first in range(0, _KEYS, 1000):
        client.run([f"SET key:{number} value-{number}" for number in range(first, first + 1000)])
    client.run(list(_HISTORY))


@dataclass
class Spent:
    """Microseconds and calls by command; connections that were opened."""

    us: dict[str, int]
    calls: dict[str, int]
    connections: int

    @property
    def total_us(self) -> int:
        return sum(self.us.values())


class Account:
    """The server's statistics from `begin` on. What others than this connection ran is what `spent` tells."""

    def __init__(self, port: int) -> None:
        self.client = Client(port)

    def begin(self) -> None:
        self._connections = self._opened()
        # the third answer is where the account begins: the third question itself is charged after it was
        # answered, at what the second cost, which found the caches as warm
        _, second, third = (_by_command(text) for text in self.client.info("commandstats", 3))
        self._own_us = third["info"][1] - second["info"][1]
        self._from = third

    def spent(self) -> Spent:
        [text] = self.client.info("commandstats")
        us, calls = {}, {}
        for name, (count, took_us) in _by_command(text).items():
            count_before, took_before_us = self._from.get(name, (0, 0))
            own = name == "info"
            us[name] = max(0, took_us - took_before_us - own * self._own_us)
            calls[name] = count - count_before - own
        called = {name: count for name, count in calls.items() if count}
        return Spent({name: us[name] for name in called}, called, self._opened() - self._connections)

    def _opened(self) -> int:
        [text] = self.client.info("stats")
        found = re.search(rb"total_connections_received:(\d+)", text)
        return int(found.group(1)) if found else 0


@contextlib.contextmanager
def accounts(ports: list[int]) -> Iterator[list[Account]]:
    """One for each server, all with data and history."""
    with contextlib.ExitStack() as stack:
        opened = []
        for port in ports:
            account = Account(port)
            stack.callback(account.client.close)
            give_history(account.client)
            opened.append(account)
        yield opened


def _by_command(text: bytes) -> dict[str, tuple[int, int]]:
    return {name.decode(): (int(calls), int(us)) for name, calls, us in _LINE.findall(text)}
