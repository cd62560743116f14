"""`python -m tests.hostile PORT SECONDS CLIENTS` attacks an exporter on loopback with clients of mixed kinds,
and prints what they did.

Each client is one task that opens connections of its kind until the time is over. A kind is a function: it
gets the port and does one attack. Every wait is bounded, and so is what a client sends.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

HOST = "127.0.0.1"
PATIENCE_S = 5.0
#: pause of a client between two attacks: 200 of them make some thousand requests a second
PAUSE_S = 0.05

MetricType = Callable[[int], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(port: int) -> Streams:
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.open_connection(HOST, port)


async def send(port: int, data: bytes, *, read: int = 1 << 16, half_close: bool = False) -> None:
    """One connection: send, read a little, close."""
    reader, writer = await connect(port)
    try:
        writer.write(data)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            await writer.drain()
            while read > 0 and (data := await reader.read(read)):
                read -= len(data)
    finally:
        writer.close()


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "Connection: close", "", ""]).encode(
        "latin-1"
    )


async def poll_now(port: int) -> None:
    await send(port, get("/metrics?max_age=0", "Accept-Encoding: gzip"))


async def poll_one_now(port: int) -> None:
    await send(port, get("/scrape?target=a&max_age=0", "X-Prometheus-Scrape-Timeout-Seconds: 1e308"))


async def leave_a_request_half_sent(port: int) -> None:
    reader, writer = await connect(port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await reader.read()
    writer.close()


async def send_a_byte_at_a_time(port: int) -> None:
    _, writer = await connect(port)
    try:
        for byte in b"GET /metrics HTTP/1.1\r\nX: ":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)
    finally:
        writer.close()


async def ask_and_do_not_read(port: int) -> None:
    _, writer = await connect(port)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
    await asyncio.sleep(1.0)
    writer.transport.abort()


async def pretend_to_be_a_new_scraper(port: int) -> None:
    await send(
        port, get("/metrics", f"User-Agent: Prometheus/{os.urandom(4).hex()}", "Accept-Encoding: gzip")
    )


async def come_in_a_rhythm_of_its_own(port: int) -> None:
    for _ in range(4):
        await send(port, get("/metrics", "User-Agent: \xff\xfe\x80evil", "Accept-Encoding: gzip"))
        await asyncio.sleep(0.7)


async def send_what_is_no_request(port: int) -> None:
    await send(port, b"GET / HTTP/9.9\r\nHost: x\r\n\r\n")
    await send(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64))
    await send(port, b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic U0VDUkVU\0\r\n\r\n")
    await send(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


async def smuggle(port: int) -> None:
    head = b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    await send(port, head + b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n")


async def send_large_heads(port: int) -> None:
    await send(port, get("/metrics", *(f"X-{number}: {'x' * 1000}" for number in range(100))))
    await send(port, get("/metrics?" + "a" * 60_000))


async def ask_for_odd_parts(port: int) -> None:
    number = int.from_bytes(os.urandom(2), "big") % 9000 + 1
    made_up = os.urandom(6).hex()
    for query in (
        f"part={number - 1}/{number}",
        f"group={made_up}",
        f"name[]={made_up}",
        "part=0/100000000",
        "max_age=nan",
    ):
        await send(port, get(f"/metrics?{query}", "Accept-Encoding: gzip"))


async def ask_for_many_names(port: int) -> None:
    await send(port, get("/metrics?" + "&".join(f"name[]=n{number}" for number in range(900))))


async def ask_for_strangers(port: int) -> None:
    await send(port, get("/scrape?target=redis://127.0.0.1:1"))
    await send(port, get("/scrape?target=%ff%00:::::"))
    await send(port, get("/scrape?target=unix:///etc/passwd"))


async def reload(port: int) -> None:
    await send(
        port,
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n"
        + b"x" * 1000,
    )


async def guess_the_password(port: int) -> None:
    await send(
        port,
        get("/metrics", "Authorization: Basic " + base64.b64encode(b"prometheus:" + os.urandom(8)).decode()),
    )


async def open_and_close(port: int) -> None:
    for _ in range(10):
        _, writer = await connect(port)
        writer.transport.abort()


async def stay_idle(port: int) -> None:
    reader, writer = await connect(port)
    writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await reader.read(1 << 16)
            await reader.read(1)
    writer.close()


async def send_many_at_once(port: int) -> None:
    await send(port, b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
    await send(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20, read=1 << 20)


async def half_close(port: int) -> None:
    await send(port, get("/-/ready"), half_close=True)
    await send(port, b"GET /metrics HT", half_close=True)


async def walk_the_paths(port: int) -> None:
    for path in (
        "/",
        "//metrics",
        "/..%2f..%2fetc/passwd",
        "/metrics/",
        "/health?strict=1",
        "/discover-cluster-nodes",
        "/-/reload",
        "*",
    ):
        await send(port, get(path))
    await send(port, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await send(port, b"TRACE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


KINDS: tuple[MetricType, ...] = (
    poll_now,
    poll_one_now,
    leave_a_request_half_sent,
    send_a_byte_at_a_time,
    ask_and_do_not_read,
    pretend_to_be_a_new_scraper,
    come_in_a_rhythm_of_its_own,
    send_what_is_no_request,
    smuggle,
    send_large_heads,
    ask_for_odd_parts,
    ask_for_many_names,
    ask_for_strangers,
    reload,
    guess_the_password,
    open_and_close,
    stay_idle,
    send_many_at_once,
    half_close,
    walk_the_paths,
)


async def attack(kind: MetricType, port: int, until: float, done: Counter[str]) -> None:
    while time.monotonic() < until:
        try:
            await kind(port)
            done[kind.__name__] += 1
        except (OSError, TimeoutError, EOFError):
            done[f"{kind.__name__}: refused"] += 1
        await asyncio.sleep(PAUSE_S)


async def main(port: int, seconds: float, clients: int) -> None:
    done: Counter[str] = Counter()
    until = time.monotonic() + seconds
    await asyncio.gather(
        *(attack(KINDS[number % len(KINDS)], port, until, done) for number in range(clients))
    )
    print(json.dumps(done))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
