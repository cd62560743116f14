"""What this process uses, under the names that all exporters have for it. On Linux; elsewhere, families that
cannot be read are left out.

prometheus-client has most of these too, but lists the folder of open files to count them: 10 ms with 10,000
connections, for each page. https://www.kernel.org/doc/html/latest/filesystems/proc.html
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass

from exporter.metrics.family import MetricType
from exporter.telemetry.family_text import FamilyText
from exporter.telemetry.own_family import OwnFamily

PROC = "/proc"
#: the kernel's own number for it, which Go's client library shows too: any use is a small part of it
NO_LIMIT = 2**64 - 1
READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """What the kernel says at one moment. `pages` are those of address space and of RAM, `octets` those of
    the network by their names; both may be empty."""

    started_at: float | None
    open_files: int | None
    pages: tuple[int, ...]
    octets: dict[bytes, int]

    def page_bytes(self, number: int) -> int | None:
        return self.pages[number] * resource.getpagesize() if number < len(self.pages) else None


FAMILIES: tuple[OwnFamily[ProcessReading], ...] = (
    OwnFamily(
        "process_cpu_seconds_total",
        "Seconds of CPU that the process has used, in user and kernel mode.",
        MetricType.COUNTER,
        read=lambda now: time.process_time(),
    ),
    OwnFamily(
        "process_max_fds",
        "Files that the process may have open.",
        MetricType.GAUGE,
        read=lambda now: _limit(resource.RLIMIT_NOFILE),
    ),
    OwnFamily(
        "process_virtual_memory_max_bytes",
        "Address space that the process may have.",
        MetricType.GAUGE,
        read=lambda now: _limit(resource.RLIMIT_AS),
    ),
    OwnFamily(
        "process_virtual_memory_bytes",
        "Address space of the process.",
        MetricType.GAUGE,
        read=lambda now: now.page_bytes(0),
    ),
    OwnFamily(
        "process_resident_memory_bytes",
        "Memory of the process that is in RAM.",
        MetricType.GAUGE,
        read=lambda now: now.page_bytes(1),
    ),
    OwnFamily(
        "process_start_time_seconds",
        "When the process was started, Unix time.",
        MetricType.GAUGE,
        read=lambda now: now.started_at,
    ),
    OwnFamily(
        "process_open_fds",
        "Files and connections that the process has open.",
        MetricType.GAUGE,
        read=lambda now: now.open_files,
    ),
    OwnFamily(
        "process_network_receive_bytes_total",
        "Bytes received in the process's network namespace.",
        MetricType.COUNTER,
        read=lambda now: now.octets.get(b"InOctets"),
    ),
    OwnFamily(
        "process_network_transmit_bytes_total",
        "Bytes sent in the process's network namespace.",
        MetricType.COUNTER,
        read=lambda now: now.octets.get(b"OutOctets"),
    ),
)


class ProcessSeries:
    """CPU, memory, files and network of the process, read when a page is built."""

    def __init__(self, proc: str = PROC) -> None:
        self._proc = proc
        self._started_at = self._start_time()
        self._texts = [FamilyText(family) for family in FAMILIES]

    def render(self) -> list[bytes]:
        """The text of each family that can be read."""
        now = self.read()
        shown = [(text, text.family.read(now)) for text in self._texts if text.family.read is not None]
        return [text.of(value) for text, value in shown if value is not None]

    def read(self) -> ProcessReading:
        pages = tuple(map(int, self._read("self/statm").split()))
        return ProcessReading(self._started_at, self._open_files(), pages, self._octets())

    def _read(self, path: str) -> bytes:
        """b"" if it cannot be read. A file object would take three times as many system calls."""
        try:
            descriptor = os.open(os.path.join(self._proc, path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            pieces = iter(lambda: os.read(descriptor, READ_BYTES), b"")
            return b"".join(pieces)
        except OSError:
            return b""
        finally:
            os.close(descriptor)

    def _start_time(self) -> float | None:
        after_name = self._read("self/stat").rpartition(b")")[2].split()
        booted = [line.split()[1] for line in self._read("stat").splitlines() if line.startswith(b"btime ")]
        if len(after_name) < 20 or not booted:
            return None
        return int(booted[0]) + int(after_name[19]) / os.sysconf("SC_CLK_TCK")

    def _open_files(self) -> int | None:
        """The folder's size is their number, from Linux 6.2 on; before it is 0."""
        folder = os.path.join(self._proc, "self/fd")
        try:
            return os.stat(folder).st_size or len(os.listdir(folder))
        except OSError:
            return None

    def _octets(self) -> dict[bytes, int]:
        """From the line of names that begins with IpExt, and the line of numbers after it."""
        text = self._read("self/net/netstat")
        lines = [line.split()[1:] for line in text[text.find(b"\nIpExt:") + 1 :].splitlines()[:2]]
        if len(lines) < 2:
            return {}
        return {name: int(number) for name, number in zip(*lines, strict=False)}


def _limit(which: int) -> float:
    limit = resource.getrlimit(which)[0]
    return NO_LIMIT if limit == resource.RLIM_INFINITY else limit
