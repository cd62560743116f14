"""One kept connection that asks for a path again and again, as plainly as can be: what is timed is the
server."""

from __future__ import annotations

import gzip
import socket
import time
from dataclasses import dataclass

TIMEOUT_S = 10.0
#: how a chunked answer ends
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """How long it took from the first byte sent to the last one received, and what it was, as it came."""

    seconds: float
    raw: bytes

    @property
    def body(self) -> bytes:
        """Without chunks, still compressed."""
        head, _, rest = self.raw.partition(b"\r\n\r\n")
        if b"chunked" not in head.lower():
            return rest
        found: list[bytes] = []
        while True:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if not length:
                return b"".join(found)
            found.append(rest[:length])
            rest = rest[length + 2 :]

    @property
    def page(self) -> str:
        """The text."""
        return gzip.decompress(self.body).decode()


class Client:
    """Asks one server for one path. SystemExit for an answer that is none."""

    def __init__(self, port: int, path: str = "/metrics", timeout_s: float = TIMEOUT_S) -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Prometheus/2.42.0\r\n"
            f"Accept-Encoding: gzip\r\n\r\n"
        ).encode()
        self._sock = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)

    def ask(self) -> Answer:
        began = time.perf_counter()
        self._sock.sendall(self._request)
        got = 0
        wanted = 0  # 0: the head has not come whole
        while True:
            if got == len(self._buffer):
                self._buffer.extend(bytes(len(self._buffer)))
            count = self._sock.recv_into(memoryview(self._buffer)[got:])
            if count == 0:
                raise SystemExit("bench: the server closed the connection in the middle of an answer")
            got += count
            if not wanted:
                wanted = self._length(got)
            if (wanted > 0 and got >= wanted) or (
                wanted < 0 and self._buffer[got - len(LAST_CHUNK) : got] == LAST_CHUNK
            ):
                return Answer(time.perf_counter() - began, bytes(self._buffer[:got]))

    def _length(self, got: int) -> int:
        """Bytes of the whole answer, -1 if it comes in chunks, 0 if the head is not there yet."""
        end = self._buffer.find(b"\r\n\r\n", 0, got)
        if end < 0:
            return 0
        lines = bytes(self._buffer[:end]).lower().split(b"\r\n")
        if b" 200 " not in lines[0]:
            raise SystemExit(f"bench: the answer was {lines[0].decode()}")
        lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
        return end + 4 + lengths[0] if lengths else -1

    def close(self) -> None:
        self._sock.close()
