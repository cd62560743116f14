"""Somebody who scrapes the page of all targets again and again, and minds those that are well."""

from __future__ import annotations

import gzip
import http.client
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from bench.measure import percentile
from tests.faults.look import Look

#: between two scrapes
EVERY_S = 0.25
TIMEOUT_S = 10.0
HEADERS = {"Accept-Encoding": "gzip", "User-Agent": "Prometheus/2.42.0"}
#: what is wrong is listed up to this number
WRONG_MAX = 5


@dataclass
class Figures:
    """What many looks found: ages of the targets that are well and times of scrapes, and what was wrong."""

    ages_s: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def age_p99_s(self) -> float:
        return percentile(self.ages_s, 0.99)

    @property
    def took_p99_s(self) -> float:
        return percentile(self.took_s, 0.99)


class Watcher(threading.Thread):
    """Looks until `end`. The targets `well` are those that nothing befalls."""

    def __init__(self, port: int, well: Collection[str]) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._well = well
        self._came = threading.Condition()
        self._newest: Look | None = None
        self._figures = Figures()
        self._ended = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        beat = time.monotonic()
        while not self._ended.wait(max(0.0, beat - time.monotonic())):
            beat = max(beat + EVERY_S, time.monotonic())
            try:
                look = self._look(connection)
            except (OSError, http.client.HTTPException) as error:
                connection.close()  # the next request dials again
                with self._came:
                    self._note_wrong(f"a scrape failed: {error!r}")
            else:
                self._note(look)
        connection.close()

    def end(self) -> None:
        self._ended.set()
        self.join(2 * TIMEOUT_S)

    def take_figures(self) -> Figures:
        """Those since the call before."""
        with self._came:
            taken, self._figures = self._figures, Figures()
            return taken

    def looks(self, within_s: float) -> Iterator[Look]:
        """The looks that begin from now on, as far as the caller takes them in time."""
        since = time.monotonic()
        until = since + within_s
        while True:
            with self._came:
                left_s = until - time.monotonic()
                if left_s <= 0 or not self._came.wait(left_s):
                    return
                look = self._newest
            if look is not None and look.at >= since:
                yield look

    def _look(self, connection: http.client.HTTPConnection) -> Look:
        began_at = time.monotonic()
        connection.request("GET", "/metrics", headers=HEADERS)
        answer = connection.getresponse()
        body = answer.read()
        took_s = time.monotonic() - began_at
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        page = gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body
        return Look.of(page, began_at, took_s)

    def _note(self, look: Look) -> None:
        with self._came:
            self._figures.took_s.append(look.took_s)
            self._figures.ages_s += [look.ages_s[addr] for addr in self._well if addr in look.ages_s]
            for text in self.wrong_of_well(look):
                self._note_wrong(text)
            self._newest = look
            self._came.notify_all()

    def wrong_of_well(self, look: Look) -> Iterator[str]:
        """What the page says of the targets that are well and should not."""
        for addr in self._well:
            if not look.up.get(addr, False):
                yield f"{addr}, which is well, is down: {look.reasons.get(addr)}"
            elif addr in look.stale or not look.ages_s.get(addr, -1.0) >= 0:
                yield f"{addr}, which is well, has an age of {look.ages_s.get(addr)}"

    def _note_wrong(self, text: str) -> None:
        if len(self._figures.wrong) < WRONG_MAX:
            self._figures.wrong.append(text)
