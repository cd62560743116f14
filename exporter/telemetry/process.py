"""What this process takes, under the names that all exporters have for it. On Linux; what cannot be read
elsewhere is left out.

prometheus-client has most of it too, but lists the folder of open files to count them: 10 ms with 10,000
connections, for each page. https://www.kernel.org/doc/html/latest/filesystems/proc.html
"""

from __future__ import annotations

import os
import resource
import time

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PROC = "/proc"


class ProcessCollector(Collector):
    """CPU, memory, files and network of the process, read when a page is built."""

    def __init__(self, proc: str = PROC) -> None:
        self._proc = proc
        self._page_bytes = resource.getpagesize()
        self._started_at = self._start_time()

    def collect(self) -> list[Metric]:
        found = [
            _counter(
                "cpu_seconds",
                "Seconds of CPU that the process has used, in user and kernel mode.",
                time.process_time(),
            ),
            _gauge("max_fds", "Files that the process may have open.", _limit(resource.RLIMIT_NOFILE)),
            _gauge(
                "virtual_memory_max_bytes",
                "Address space that the process may have.",
                _limit(resource.RLIMIT_AS),
            ),
        ]
        pages = self._read("self/statm").split()
        if len(pages) > 1:
            found.append(
                _gauge(
                    "virtual_memory_bytes", "Address space of the process.", int(pages[0]) * self._page_bytes
                )
            )
            found.append(
                _gauge(
                    "resident_memory_bytes",
                    "Memory of the process that is in RAM.",
                    int(pages[1]) * self._page_bytes,
                )
            )
        if self._started_at is not None:
            found.append(
                _gauge("start_time_seconds", "When the process was started, Unix time.", self._started_at)
            )
        open_files = self._open_files()
        if open_files is not None:
            found.append(_gauge("open_fds", "Files and connections that the process has open.", open_files))
        octets = self._octets()
        for name, key, what in (("receive", b"InOctets", "received"), ("transmit", b"OutOctets", "sent")):
            if key in octets:
                found.append(
                    _counter(f"network_{name}_bytes", f"Bytes {what} in the process's network.", octets[key])
                )
        return found

    def _read(self, path: str) -> bytes:
        """b"" if it cannot be read."""
        try:
            with open(os.path.join(self._proc, path), "rb") as file:
                return file.read()
        except OSError:
            return b""

    def _start_time(self) -> float | None:
        behind_name = self._read("self/stat").rpartition(b")")[2].split()
        booted = [line.split()[1] for line in self._read("stat").splitlines() if line.startswith(b"btime ")]
        if len(behind_name) < 20 or not booted:
            return None
        return int(booted[0]) + int(behind_name[19]) / os.sysconf("SC_CLK_TCK")

    def _open_files(self) -> int | None:
        """The folder's size tells how many there are, from Linux 6.2 on; before it is 0."""
        folder = os.path.join(self._proc, "self/fd")
        try:
            return os.stat(folder).st_size or len(os.listdir(folder))
        except OSError:
            return None

    def _octets(self) -> dict[bytes, int]:
        """The line of names that begins with IpExt, and the line of numbers after it."""
        text = self._read("self/net/netstat")
        names, numbers = (
            [line.split()[1:] for line in text[text.find(b"\nIpExt:") + 1 :].splitlines()] + [[], []]
        )[:2]
        return {name: int(number) for name, number in zip(names, numbers, strict=False)}


def _limit(which: int) -> float:
    """-1 is none, as other exporters have it."""
    limit = resource.getrlimit(which)[0]
    return -1 if limit == resource.RLIM_INFINITY else limit


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"process_{name}", help, value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(f"process_{name}", help, value)
