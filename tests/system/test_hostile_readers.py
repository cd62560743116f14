"""Readers of pages who want too much, in the whole program: the others do not notice."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import count

from bench.measure import percentile
from bench.simulator import simulated
from tests.servers import PATIENCE_S, ScriptedServer, wait_until
from tests.system.conftest import STOP_S, Exporter, ExporterFactory
from tests.system.test_hostile import resident_mb
from tests.watch_harness import RedisFactory

#: how long the hostile ones go on
HOSTILE_S = 1.5
PROMETHEUS = {"User-Agent": "Prometheus/2.42.0", "Accept-Encoding": "gzip"}
NUMBERS = count()


def ask(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@contextmanager
def hostile(clients: int, do: Callable[[], object]) -> Iterator[list[int]]:
    """That many threads do it again and again; how often they did."""
    stop = threading.Event()
    done: list[int] = []

    def work() -> None:
        while not stop.is_set():
            do()
            done.append(1)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)


def until_named(program: Exporter, name: str, ask_once: Callable[[], object], period_s: float = 0.8) -> None:
    """Ask in a rhythm until the page names the scraper: on a busy machine some beats come late."""
    begun, beats = time.monotonic(), count()

    def is_named() -> bool:
        time.sleep(max(0.0, begun + next(beats) * period_s - time.monotonic()))
        ask_once()
        return f'redis_exporter_scraper_interval_seconds{{scraper="127.0.0.1 {name}"}}' in program.get()

    wait_until(is_named, f"{name} is learnt")


def steady(port: int, path: str = "/metrics", beats: int = 4, period_s: float = 0.6) -> list[int]:
    """The answers to a scraper with a rhythm."""
    begun = time.monotonic()
    statuses = []
    for beat in range(beats):
        time.sleep(max(0.0, begun + beat * period_s - time.monotonic()))
        statuses.append(ask(port, path, **PROMETHEUS)[0])
    return statuses


def test_clients_that_want_fresh_values_all_the_time_freeze_nothing_and_poll_at_the_floor(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    servers = [redis_server() for _ in range(3)]
    addresses = [f"redis://127.0.0.1:{server.port}" for server in servers]
    program = exporter(f"--redis.addr={','.join(addresses)}", "--max-age.floor=500ms")
    before = program.values("redis_exporter_target_polls_total", lane="fast")
    began, waited_s = time.monotonic(), []
    paths = (
        "/metrics?max_age=0",
        "/metrics?max_age=0&part=0/1",
        "/metrics?max_age=0.001&name[]=redis_up",
        f"/scrape?target={addresses[0]}&max_age=0",
    )
    with hostile(8, lambda: ask(program.port, paths[next(NUMBERS) % len(paths)])) as done:
        while time.monotonic() - began < HOSTILE_S or len(done) <= 30:
            asked_at = time.monotonic()
            assert program.get("/-/healthy") == "ok\n"
            waited_s.append(time.monotonic() - asked_at)
    after = program.values("redis_exporter_target_polls_total", lane="fast")
    took_s = time.monotonic() - began
    assert percentile(waited_s, 0.9) < 1, waited_s
    for address in addresses:
        assert (
            after[address] - before[address] <= took_s / 0.5 + took_s + 2
        )  # those at the floor, and those of the schedule
    stopped_at = time.monotonic()
    assert program.stop() == 0
    assert time.monotonic() - stopped_at < STOP_S


def test_a_server_that_is_down_is_not_dialled_for_every_request(
    scripted_server: Callable[..., ScriptedServer], exporter: ExporterFactory
) -> None:
    server = scripted_server(lambda talk: None)  # it closes each connection at once
    program = exporter(f"--redis.addr=redis://127.0.0.1:{server.port}", "--max-age.floor=500ms")
    before, began = server.accepted, time.monotonic()
    with hostile(4, lambda: ask(program.port, "/metrics?max_age=0")):
        time.sleep(HOSTILE_S)
    assert server.accepted - before <= (time.monotonic() - began) / 0.5 + 3


def test_many_programs_with_odd_names_and_odd_pages_take_nothing_from_a_scraper(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    program = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}")
    assert steady(program.port) == [200] * 4

    def ask_oddly() -> None:
        number = next(NUMBERS)
        page = (
            f"part={number % 7}/{number % 900 + 8}",
            f"group=g{number}",
            f"name[]=n{number}",
            f"part=0/{number % 900 + 1}",
        )[number % 4]
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE_S) as sock:
            sock.sendall(
                b"GET /metrics?%s HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\x01%d\r\nConnection: close\r\n\r\n"
                % (page.encode(), number)
            )
            while sock.recv(65536):
                pass

    with hostile(6, ask_oddly) as done:
        assert steady(program.port) == [200] * 4
        wait_until(lambda: len(done) > 100, "a hundred odd requests")
    until_named(program, PROMETHEUS["User-Agent"], lambda: ask(program.port, "/metrics", **PROMETHEUS))


def test_a_scraper_whose_name_is_not_utf_8_is_named_with_a_replacement(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    program = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}")

    def ask_as_bytes() -> None:
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE_S) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\r\nConnection: close\r\n\r\n")
            assert sock.makefile("rb").readline().startswith(b"HTTP/1.1 200 ")

    until_named(program, "\ufffd", ask_as_bytes)


#: of a page of 10 MB: what ten slow readers may make the exporter keep, whoever else reads
SLOW_READERS_MB = 30


def test_fifty_scrapers_and_ten_slow_readers_of_a_large_page_take_little_memory(
    exporter: ExporterFactory,
) -> None:
    """Every second scraper wants the page as it is, the others want it compressed."""
    with simulated(160) as addresses, ExitStack() as cleanup:
        program = exporter(f"--redis.addr={','.join(addresses)}")
        wait_until(lambda: len(ask(program.port, "/metrics")[1]) > 10_000_000, "a page of 10 MB")
        steady(program.port, beats=3)
        before_mb = resident_mb(program.process.pid)
        got = [0] * 10
        ended = threading.Event()
        readers = [threading.Thread(target=sip, args=(program.port, got, each, ended)) for each in range(10)]
        for reader in readers:
            reader.start()
            cleanup.callback(reader.join, PATIENCE_S)
        cleanup.callback(ended.set)
        most_mb = 0.0
        with ThreadPoolExecutor(50) as pool:
            for _ in range(4):
                scrapes = [
                    pool.submit(ask, program.port, "/metrics", **(PROMETHEUS if number % 2 else {}))
                    for number in range(50)
                ]
                for scrape in scrapes:
                    status, page = scrape.result()
                    assert (status, len(page) > 100_000) == (200, True)
                    most_mb = max(most_mb, resident_mb(program.process.pid))
        wait_until(lambda: min(got) > 100_000, "each slow reader has read some")
    print(f"{before_mb:.0f} MB, at most {most_mb:.0f} MB; slow readers got {min(got) / 1e6:.1f} MB and more")
    assert most_mb - before_mb < SLOW_READERS_MB


def sip(port: int, got: list[int], number: int, ended: threading.Event) -> None:
    """Read a page as it is, slowly; note how much."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionError):
            while not ended.wait(0.1) and (piece := reader.recv(20_000)):
                got[number] += len(piece)
