"""Requests at a steady rate, whatever the server does: an answer that is late counts from when it was due.

    python -m bench.requests PORT PATH --rate 1000 --for-s 60 --connections 20

It prints one line of JSON. It is a process of its own, so that nobody waits for the one who asks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Answers:
    """How many were asked for and did not come, and how long the others took from when they were due."""

    asked: int
    failed: int
    p50_s: float
    p99_s: float
    longest_s: float


async def _ask(port: int, path: str, due_s: list[float], took_s: list[float]) -> int:
    """Ask over one connection when it is due; after a failure, over a new one. Returns how many failed."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    failed = 0
    reader = writer = None
    for due in due_s:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head)
                answer = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_length(answer))
            if b" 200 " not in answer.partition(b"\r\n")[0]:
                failed += 1
            else:
                took_s.append(time.monotonic() - due)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            failed += 1
            if writer is not None:
                writer.close()
            reader = writer = None
    if writer is not None:
        writer.close()
    return failed


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError("no length")


async def ask(port: int, path: str, rate: float, for_s: float, connections: int) -> Answers:
    begin, count = time.monotonic() + 0.1, round(rate * for_s)
    due_s = [begin + number / rate for number in range(count)]
    took_s: list[float] = []
    asking = [_ask(port, path, due_s[number::connections], took_s) for number in range(connections)]
    failed = sum(await asyncio.gather(*asking))
    took_s.sort()
    if not took_s:
        return Answers(count, failed, TIMEOUT_S, TIMEOUT_S, TIMEOUT_S)
    return Answers(count, failed, took_s[len(took_s) // 2], took_s[int(len(took_s) * 0.99)], took_s[-1])


class Asking:
    """The same in a process of its own, from now on."""

    def __init__(self, port: int, path: str, rate: float, for_s: float, connections: int) -> None:
        flags = [f"--rate={rate:g}", f"--for-s={for_s:g}", f"--connections={connections}"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.requests", str(port), path, *flags], stdout=subprocess.PIPE
        )

    def result(self) -> Answers:
        """Wait for its end. SystemExit if it has failed."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise SystemExit(f"bench: who asks ended with code {self._process.returncode}")
        return Answers(**json.loads(out))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.requests")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--for-s", type=float, required=True)
    parser.add_argument("--connections", type=int, default=10)
    of = parser.parse_args()
    print(json.dumps(asdict(uvloop.run(ask(of.port, of.path, of.rate, of.for_s, of.connections)))))


if __name__ == "__main__":
    main()
