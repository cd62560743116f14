"""Scrapes at a steady pace as Prometheus makes them: one kept connection, compressed."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import threading
import time
from collections.abc import Iterator, Sequence

TIMEOUT_S = 10.0


class Scraper(threading.Thread):
    """Fetches all paths one after the other at every beat, from the start on. `pages` has the newest of each path, plain."""

    def __init__(self, port: int, paths: Sequence[str], interval_s: float) -> None:
        super().__init__(daemon=True)
        self.pages: dict[str, bytes] = {}
        self.scrapes = 0
        self.failed = 0
        self._port = port
        self._paths = paths
        self._interval_s = interval_s
        self._ended = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            beat = time.monotonic()
            while not self._ended.wait(max(0.0, beat - time.monotonic())):
                for path in self._paths:
                    self._fetch(connection, path)
                beat += self._interval_s

    def end(self) -> None:
        self._ended.set()
        self.join(2 * TIMEOUT_S)

    def _fetch(self, connection: http.client.HTTPConnection, path: str) -> None:
        self.scrapes += 1
        try:
            connection.request("GET", path, headers={"Accept-Encoding": "gzip", "User-Agent": "Prometheus/2.42.0"})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request dials anew
            self.failed += 1
            return
        if response.status == 200:
            self.pages[path] = gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body
        else:
            self.failed += 1


@contextlib.contextmanager
def scraping(port: int, paths: Sequence[str], interval_s: float) -> Iterator[Scraper]:
    """Scrapes until the block ends."""
    scraper = Scraper(port, paths, interval_s)
    scraper.start()
    try:
        yield scraper
    finally:
        scraper.end()


def series(page: bytes) -> int:
    return sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))
