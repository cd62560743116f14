"""What strangers may do to the port of a real process, by kind: how it is answered, what it costs, that it is
counted, and that a scraper beside them notices nothing."""

from __future__ import annotations

import os
import re
import resource
import select
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.servers import HOST, PATIENCE_S, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.system.test_hostile import resident_mb

#: how long a scrape may take beside a crowd. On a busy machine some take longer, so it is tried again: the
#: crowd holds it up each time if it is the reason
SCRAPE_S = 1.0
TRIALS = 3
RELOAD = b"POST /-/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CLOSING = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One for all: what a test does to it must leave nothing for the next one."""
    started = Exporter(tmp_path_factory.mktemp("hostile") / "exporter.log", "--redis.addr=")
    yield started
    assert started.stop() == 0
    assert "Traceback" not in started.log.read_text()


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def talk(port: int, data: bytes, *, half_close: bool = True) -> bytes:
    """All that is answered until the other side closes. A connection that is reset counts as closed."""
    with socket.create_connection((HOST, port), PATIENCE_S) as client:
        with suppress(ConnectionError):
            client.sendall(data)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        return rest_of(client)


def rest_of(client: socket.socket) -> bytes:
    pieces = []
    with suppress(ConnectionError):
        while piece := client.recv(1 << 20):
            pieces.append(piece)
    return b"".join(pieces)


def statuses(answers: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", answers)]


def incidents(program: Exporter, reason: str) -> float:
    found = re.findall(rf'redis_exporter_http_incidents_total\{{reason="{reason}"\}} (\S+)', program.get())
    return sum(map(float, found))


def connections(program: Exporter) -> float:
    [found] = re.findall(r"^redis_exporter_http_connections (\S+)", program.get(), re.M)
    return float(found)


def open_files(program: Exporter) -> int:
    return len(os.listdir(f"/proc/{program.process.pid}/fd"))


def scrape_s(program: Exporter) -> float:
    tried_s: list[float] = []
    while not tried_s or (tried_s[-1] >= SCRAPE_S and len(tried_s) < TRIALS):
        began = time.monotonic()
        assert "redis_exporter_build_info" in program.get()
        tried_s.append(time.monotonic() - began)
    return min(tried_s)


def post(*headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /-/healthy HTTP/1.1", b"Host: x", *headers, b"", body])


#: requests whose end two servers may see in different places, with another one hidden in them
SMUGGLED = {
    "a length and chunks": post(
        b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + RELOAD
    ),
    "chunks and a length": post(
        b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"0\r\n\r\n" + RELOAD
    ),
    "two lengths": post(b"Content-Length: 0", b"Content-Length: %d" % len(RELOAD), body=RELOAD),
    "a list of lengths": post(b"Content-Length: 0, %d" % len(RELOAD), body=RELOAD),
    "a length with a sign": post(b"Content-Length: +0", body=RELOAD),
    "a negative length": post(b"Content-Length: -1", body=RELOAD),
    "a hexadecimal length": post(b"Content-Length: 0x0", body=RELOAD),
    "a length of no number": post(b"Content-Length: ", body=RELOAD),
    "a length beyond all numbers": post(b"Content-Length: " + b"9" * 40, body=RELOAD),
    "a blank before the colon": post(b"Content-Length : 0", body=RELOAD),
    "another coding": post(b"Transfer-Encoding: xchunked", body=RELOAD),
    "chunks that are not the last coding": post(b"Transfer-Encoding: chunked, identity", body=RELOAD),
    "a coding behind a tab": post(b"Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n" + RELOAD),
    "a folded header": post(b"X: 1", b" Content-Length: 3", b"Transfer-Encoding", body=RELOAD),
    "a size of a chunk that is none": post(b"Transfer-Encoding: chunked", body=b"zz\r\n\r\n" + RELOAD),
    "a size of a chunk beyond all": post(
        b"Transfer-Encoding: chunked", body=b"f" * 40 + b"\r\n\r\n" + RELOAD
    ),
    "a chunk longer than its size": post(
        b"Transfer-Encoding: chunked", body=b"1\r\naaa\r\n0\r\n\r\n" + RELOAD
    ),
    "lines that end at LF": b"POST /-/healthy HTTP/1.1\nHost: x\n\n" + RELOAD,
    "a line that ends at CR": b"POST /-/healthy HTTP/1.1\rHost: x\r\r\n" + RELOAD,
    "a NUL in a header": post(b"X: a\0b", body=RELOAD),
    "a NUL in the path": b"GET /-/healthy\0 HTTP/1.1\r\nHost: x\r\n\r\n" + RELOAD,
    "no version": b"GET /-/healthy\r\n\r\n" + RELOAD,
    "a version that is none": b"GET /-/healthy HTTP/1.9.1\r\nHost: x\r\n\r\n" + RELOAD,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + RELOAD,
    "a header without a name": post(b": 1", body=RELOAD),
    "a header without a colon": post(b"Content-Length", body=RELOAD),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 64 + RELOAD,
}


@pytest.mark.parametrize("kind", SMUGGLED)
def test_what_is_no_clear_request_is_refused_and_what_is_hidden_in_it_is_not_done(
    program: Exporter, kind: str
) -> None:
    answers = talk(program.port, SMUGGLED[kind])
    assert b"reloaded" not in answers, answers
    assert statuses(answers)[:1] in ([400], [405]), answers
    assert len(statuses(answers)) <= 2, answers
    assert all(status >= 400 for status in statuses(answers)), answers
    assert statuses(talk(program.port, CLOSING)) == [200]


def test_they_are_counted(program: Exporter) -> None:
    before = incidents(program, "malformed")
    for _ in range(20):
        talk(program.port, SMUGGLED["a blank before the colon"])
    wait_until(lambda: incidents(program, "malformed") == before + 20, "the newest page tells of it")


def test_a_body_is_a_body_whatever_is_in_it(program: Exporter) -> None:
    """And what follows it is the next request."""
    body = b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n"
    for framed in (
        post(b"Content-Length: %d" % len(body), body=body),
        post(b"Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
    ):
        answers = talk(program.port, framed + CLOSING)
        assert statuses(answers) == [405, 200], answers
        assert b"reloaded" not in answers


#: requests of a megabyte, and how each is answered
HUGE: dict[str, tuple[int, Sequence[bytes]]] = {
    "a path": (431, (b"GET /" + b"a" * 1_000_000, b" HTTP/1.1\r\nHost: x\r\n\r\n")),
    "a query": (431, (b"GET /metrics?" + b"name[]=x&" * 100_000, b" HTTP/1.1\r\nHost: x\r\n\r\n")),
    "a header": (431, (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", b"x" * 1_000_000, b"\r\n\r\n")),
    "a name of a header": (
        431,
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"x" * 1_000_000, b": 1\r\n\r\n"),
    ),
    "many headers": (400, (b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n" * 200_000, b"\r\n")),
    "a method": (400, (b"G" * 1_000_000, b" /metrics HTTP/1.1\r\nHost: x\r\n\r\n")),
    "a body": (
        405,
        (b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n", b"x" * 1_000_000),
    ),
}
PIECE_BYTES = 2048
#: aiohttp reads lines of 8,190 bytes at most; a few pieces more come before the answer does
EARLY_BYTES = 8190 + 4 * PIECE_BYTES


@pytest.mark.parametrize("kind", HUGE)
def test_what_is_huge_is_refused_early(program: Exporter, kind: str) -> None:
    status, parts = HUGE[kind]
    data = b"".join(parts)
    with socket.create_connection((HOST, program.port), PATIENCE_S) as client:
        taken_bytes = 0
        while not is_answered(client) and taken_bytes < len(data):
            client.sendall(data[taken_bytes : taken_bytes + PIECE_BYTES])
            taken_bytes += PIECE_BYTES
            wait_until(lambda: is_answered(client) or unread_bytes(client) == 0, "the piece to be taken")
        answers = rest_of(client)
    print(f"{taken_bytes} bytes")
    assert statuses(answers) == [status], answers[:200]
    assert taken_bytes <= EARLY_BYTES


def is_answered(client: socket.socket) -> bool:
    return bool(select.select([client], [], [], 0)[0])


def unread_bytes(client: socket.socket) -> int:
    """What the other side of a connection has not taken from the system yet."""
    ours, theirs = client.getsockname()[1], client.getpeername()[1]
    found = re.search(
        rf"^ *\d+: \w+:{theirs:04X} \w+:{ours:04X} \w+ \w+:(\w+)", Path("/proc/net/tcp").read_text(), re.M
    )
    return int(found[1], 16) if found is not None else 0


@pytest.mark.parametrize("kind", HUGE)
def test_what_is_huge_leaves_no_memory_behind(program: Exporter, kind: str) -> None:
    status, parts = HUGE[kind]
    before_mb = 0.0
    for number in range(60):
        answers = talk(program.port, b"".join(parts), half_close=False)
        if answers or kind != "a body":  # a body beyond the limit ends in a reset, which may overtake answers
            assert statuses(answers)[0] == status, answers[:200]
        if number == 10:  # what all of them use again is there
            before_mb = resident_mb(program.process.pid)
    after_mb = resident_mb(program.process.pid)
    print(f"{before_mb:.0f} to {after_mb:.0f} MB")
    assert after_mb - before_mb < 8
    assert statuses(talk(program.port, CLOSING)) == [200]


PATHS = (
    "//metrics", "/metrics/", "/./metrics", "/-/../metrics", "/%2e%2e/metrics", "/..%2f..%2fetc%2fpasswd",
    "/-/assets/../../answers.py", "/-/assets/%2e%2e%2fanswers.py", "/-/assets/..%5canswers.py",
    "/metrics%00", "/metrics;x", "/METRICS", "/-/%72eload", "/%2d/reload/", "/targets/..%2f..%2f-%2freload",
    "/api/v1/targets/%2e%2e/pause", "/\\metrics", "/metrics%20", "/metrics/%2e",
)  # fmt: skip


def test_odd_spellings_of_paths_lead_nowhere_else(program: Exporter) -> None:
    """`/%72eload` is the reload in another spelling: GET says that there is no file."""
    found = {}
    for path in PATHS:
        answer = talk(program.port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        [found[path]] = statuses(answer)
        assert b"root:" not in answer
        assert b"import " not in answer
    assert {path for path, status in found.items() if status == 200} == set()
    assert set(found.values()) <= {400, 404}


@pytest.mark.usefixtures("many_files")
def test_two_thousand_slow_senders_keep_nobody_out_and_go_in_time(program: Exporter) -> None:
    """From eight addresses, so that no limit of one of them helps; each sends a byte now and then."""
    before_mb, before_files = resident_mb(program.process.pid), open_files(program)
    before = ended_early(program)
    slowest_s = 0.0
    with ExitStack() as cleanup:
        clients = []
        for number in range(2000):
            clients.append(cleanup.enter_context(slow_sender(program.port, f"127.0.0.{2 + number % 8}")))
            if number % 250 == 0:
                for client in clients:
                    with suppress(OSError):  # it made room for others
                        client.send(b"x")
                slowest_s = max(slowest_s, scrape_s(program))
        slowest_s = max(slowest_s, scrape_s(program))
        wait_until(lambda: connections(program) > 256, "the newest page tells of them")
        assert connections(program) <= 512
        wait_until(lambda: connections(program) < 10, "the time limit of requests")
    after_mb = resident_mb(program.process.pid)
    print(f"slowest scrape {slowest_s * 1000:.0f} ms; {before_mb:.0f} to {after_mb:.0f} MB")
    assert slowest_s < SCRAPE_S
    assert after_mb - before_mb < 20
    wait_until(lambda: ended_early(program) - before >= 2000, "the newest page tells of all of them")
    wait_until(lambda: open_files(program) <= before_files + 2, "their files to be closed")


def ended_early(program: Exporter) -> float:
    return sum(incidents(program, reason) for reason in ("evicted", "request_timeout", "refused"))


@contextmanager
def slow_sender(port: int, address: str) -> Iterator[socket.socket]:
    with socket.socket() as client:
        client.settimeout(PATIENCE_S)
        client.bind((address, 0))
        client.connect((HOST, port))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
        yield client


@pytest.mark.usefixtures("many_files")
def test_a_thousand_idle_connections_cost_little_and_make_room(program: Exporter) -> None:
    before_mb, before = resident_mb(program.process.pid), incidents(program, "evicted")
    with ExitStack() as cleanup:
        for number in range(1000):
            client = cleanup.enter_context(socket.socket())
            client.settimeout(PATIENCE_S)
            client.bind((f"127.0.0.{2 + number % 8}", 0))
            client.connect((HOST, program.port))
            client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            if number % 100 == 0:
                assert scrape_s(program) < SCRAPE_S
        assert scrape_s(program) < SCRAPE_S
        wait_until(lambda: connections(program) > 256, "the newest page tells of them")
        assert connections(program) <= 512
        each_kb = (resident_mb(program.process.pid) - before_mb) * 1024 / 512
    print(f"{each_kb:.1f} kB for each idle connection")
    assert each_kb < 40
    wait_until(lambda: connections(program) < 10, "the others are gone")
    wait_until(lambda: incidents(program, "evicted") - before >= 480, "the newest page tells of it")


def test_requests_that_come_all_at_once_are_answered_in_order(program: Exporter) -> None:
    kinds = {
        b"/-/healthy": 200,
        b"/nowhere": 404,
        b"/metrics?part=own": 200,
        b"/metrics?part=0/100000000": 400,
    }
    paths = [path for _ in range(500) for path in kinds]
    sent = b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths)
    with ThreadPoolExecutor(1) as pool, socket.create_connection((HOST, program.port), PATIENCE_S) as client:
        sending = pool.submit(send_and_end, client, sent)
        found = b""
        while piece := client.recv(1 << 20):
            found += piece
        sending.result(PATIENCE_S)
    assert statuses(found) == [kinds[path] for path in paths]


def send_and_end(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def test_clients_that_send_no_more_get_their_answer_and_leave_nothing(program: Exporter) -> None:
    before_files = open_files(program)
    for number in range(300):
        path = (b"/-/healthy", b"/metrics", b"/")[number % 3]
        assert statuses(talk(program.port, b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)) == [200]
        assert talk(program.port, b"GET /metrics HT") == b""
    wait_until(lambda: open_files(program) <= before_files + 1, "all files to be closed")


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("GET /metrics?part=0/100000000", [], 400),
        ("GET /metrics?max_age=nan", [], 400),
        ("GET /metrics?max_age=1e400", [], 400),
        ("GET /metrics?max_age=0", ["X-Prometheus-Scrape-Timeout-Seconds: 1e308"], 200),
        ("GET /metrics?max_age=0", ["X-Prometheus-Scrape-Timeout-Seconds: nan"], 200),
        ("GET /metrics", ["Accept-Encoding: " + "gzip;q=0.5," * 500], 200),
        ("GET /metrics", ["Range: bytes=0-1"], 200),
        ("GET /metrics", ["Expect: 100-continue"], 200),
        ("GET /metrics", ["Expect: everything"], 200),
        ("GET /metrics", ["Upgrade: websocket", "Connection: upgrade, close"], 200),
        ("TRACE /metrics", ["Cookie: s3cret"], 405),
        ("OPTIONS *", [], 404),
        ("CONNECT x:1", [], 404),
        ("BREW /metrics", [], 400),
        ("POST /metrics", ["Content-Length: 0"], 405),
        ("PUT /-/reload", ["Content-Length: 0"], 405),
    ],
)
def test_odd_values_are_answered_and_repeat_nothing(
    program: Exporter, request_line: str, headers: list[str], status: int
) -> None:
    closing = [] if any(line.startswith("Connection") for line in headers) else ["Connection: close"]
    sent = "\r\n".join([f"{request_line} HTTP/1.1", "Host: x", *headers, *closing, "", ""]).encode()
    for _ in range(20):  # again and again
        answer = talk(program.port, sent)
        assert [each for each in statuses(answer) if each != 100] == [status], answer[:300]
        assert b"s3cret" not in answer
    assert scrape_s(program) < SCRAPE_S


def test_tables_as_csv_are_limited_in_size_and_number(exporter: ExporterFactory) -> None:
    addresses = ",".join(f"redis://127.0.0.1:1/{number}" for number in range(200))
    program = exporter(f"--redis.addr={addresses}", "--web.max-csv-bytes=10000")

    def ask(query: bytes) -> bytes:
        line = b"GET /api/v1/targets.csv%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        return talk(program.port, line % query)

    large = ask(b"")
    assert statuses(large) == [400]
    assert b"--web.max-csv-bytes" in large
    assert statuses(ask(b"?q=/199")) == [200]
