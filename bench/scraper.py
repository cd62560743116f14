"""Scrapes at a steady pace as Prometheus makes them: one kept connection, compressed."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Body:
    raw: bytes
    compressed: bool

    @property
    def page(self) -> bytes:
        return gzip.decompress(self.raw) if self.compressed else self.raw


#: by path
Newest = dict[str, Body]


class Scraper(threading.Thread):
    """Fetches all paths one after the other at every beat, from the start on; or `spread` evenly until the
    next one, as Prometheus spreads its targets."""

    def __init__(self, port: int, paths: Sequence[str], interval_s: float, spread: bool = False) -> None:
        super().__init__(daemon=True)
        self.scrapes = 0
        self.failed = 0
        self._port = port
        self._paths = paths
        self._interval_s = interval_s
        self._apart_s = interval_s / len(paths) if spread else 0.0
        self._newest: Newest = {}
        self._ended = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            beat = time.monotonic()
            while True:
                for number, path in enumerate(self._paths):
                    if self._ended.wait(max(0.0, beat + number * self._apart_s - time.monotonic())):
                        return
                    self._fetch(connection, path)
                beat += self._interval_s

    def newest(self) -> Newest:
        """The newest answer to each path, as it came."""
        return self._newest.copy()

    @property
    def pages(self) -> dict[str, bytes]:
        """The newest of each path, plain."""
        return {path: body.page for path, body in self.newest().items()}

    def wait_answered(self) -> None:
        """Return once each path has an answer, or a scrape has failed. It fails at the latest when its time
        is over."""
        while not self.failed and len(self._newest) < len(self._paths):
            time.sleep(0.01)

    def end(self) -> None:
        self._ended.set()
        self.join(2 * TIMEOUT_S)

    def _fetch(self, connection: http.client.HTTPConnection, path: str) -> None:
        self.scrapes += 1
        try:
            connection.request(
                "GET", path, headers={"Accept-Encoding": "gzip", "User-Agent": "Prometheus/2.42.0"}
            )
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            self.failed += 1
            return
        if response.status == 200:
            self._newest[path] = Body(body, response.headers.get("Content-Encoding") == "gzip")
        else:
            self.failed += 1


@contextlib.contextmanager
def scraping(port: int, paths: Sequence[str], interval_s: float, spread: bool = False) -> Iterator[Scraper]:
    """Scrapes until the block ends."""
    scraper = Scraper(port, paths, interval_s, spread)
    scraper.start()
    try:
        yield scraper
    finally:
        scraper.end()


def series(page: bytes) -> int:
    return sum(1 for line in page.split(b"\n") if line and not line.startswith(b"#"))
