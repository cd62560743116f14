"""What the benches hold measurements against is right itself: a server's account of commands, a load's of
what it sent."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.cases.freshness import Plan, _windows
from bench.commandstats import Client, accounts
from bench.load import GETS, steady_load
from bench.scraper import scraping, series
from bench.servers import redis_servers
from tests.servers import wait_until


def test_an_account_has_what_others_ran_and_not_its_own_questions() -> None:
    with redis_servers(1) as ports, accounts(ports) as (account,):
        account.begin()
        idle = account.spent()
        account.begin()
        other = Client(ports[0])
        other.run(["GET a", "GET a", "CONFIG GET maxmemory"])
        other.info("all")
        other.close()
        spent = account.spent()
    assert (idle.total_us, idle.calls, idle.connections) == (0, {}, 0)
    assert spent.calls == {"get": 2, "config|get": 1, "echo": 1, "info": 1}
    assert spent.us["info"] > 0
    assert spent.connections == 1


def test_history_leaves_statistics_of_dozens_of_commands_and_keys() -> None:
    with redis_servers(1) as ports, accounts(ports) as (account,):
        [text] = account.client.info("commandstats")
        [keys] = account.client.info("keyspace")
    assert text.count(b"cmdstat_") > 40
    assert b"keys=10" in keys


def test_a_server_has_the_hits_that_the_load_says_it_sent() -> None:
    with redis_servers(2) as ports, steady_load(ports) as load:
        wait_until(lambda: len(load._times) > 10, "ten beats")
        clients = [Client(port) for port in ports]
        least, asked_at = load._sent[len(load._times) - 1], time.time()
        hits = [_hits(client) for client in clients]
        answered = len(load._times)
        wait_until(lambda: len(load._times) > answered, "the beat after the answers")
        most = load._sent[answered]
        for client in clients:
            client.close()
    assert least >= 50
    assert least <= load.sent_by(asked_at) <= most
    # a packet may be under way
    assert all(least - 4 * GETS <= each <= most for each in hits)


def test_the_load_tells_nothing_of_times_when_it_did_not_run() -> None:
    with redis_servers(1) as ports, steady_load(ports) as load:
        wait_until(lambda: len(load._times) > 1, "some beats")
        with pytest.raises(SystemExit, match="did not run all the time"):
            load.sent_by(time.time() - 60)


def test_no_rate_goes_over_a_scrape_that_failed() -> None:
    plan = Plan(1, 1, 5, 0, {})
    samples = [(0.0, 0.0), (5.0, 10.0), (10.0, 20.0), (20.0, 40.0), (25.0, 50.0)]
    assert list(_windows(samples, plan)) == [(20.0, 0.0, 10.0)]


def test_scrapes_keep_one_connection_and_are_read_compressed() -> None:
    with _page(b'# HELP a b\na 1\na{b="c"} 2\n') as (port, connections):
        with scraping(port, ["/a", "/b"], 0.02) as scraper:
            wait_until(lambda: scraper.scrapes >= 6, "six scrapes")
        assert scraper.failed == 0
    assert [series(page) for page in scraper.pages.values()] == [2, 2]
    assert len(connections) == 1


def test_scrapes_that_fail_are_counted() -> None:
    with _page(b"a 1\n") as (port, _), scraping(port, ["/none"], 0.02) as scraper:
        wait_until(lambda: scraper.scrapes, "a scrape")
    assert scraper.scrapes == scraper.failed
    assert not scraper.pages


def _hits(client: Client) -> int:
    [text] = client.info("stats")
    return int(text.split(b"keyspace_hits:")[1].split()[0])


@contextmanager
def _page(text: bytes) -> Iterator[tuple[int, set[int]]]:
    """A server of that page, compressed, on every path but /none; its port, and the client ports that it
    met."""
    connections: set[int] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connections.add(self.client_address[1])
            body = gzip.compress(text) if self.headers["Accept-Encoding"] == "gzip" else text
            self.send_response(404 if self.path == "/none" else 200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port, connections
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
