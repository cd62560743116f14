"""The process-wide series: about the exporter itself, kept by prometheus-client in a registry of our own.

Nothing happens at import. What can be read off when a page is built is a gauge with a function; see semantics §7.
"""

from __future__ import annotations

import platform
import resource
from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter import fastparse

#: samples whose names and labels are kept as text
HEADS_MAX = 1000
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Labelled(Collector):
    """A gauge whose values by label are read when it is rendered."""

    def __init__(self, name: str, help: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        self._family = (name, help, [label])
        self._read = read

    def collect(self) -> list[Metric]:
        name, help, labels = self._family
        family = GaugeMetricFamily(name, help, labels=labels)
        for value, number in self._read().items():
            family.add_metric([value], number)
        return [family]


class _MoreOfTheProcess(Collector):
    """What the Go exporter tells of its process and prometheus-client does not. On Linux; elsewhere nothing.

    https://www.kernel.org/doc/html/latest/filesystems/proc.html
    """

    def collect(self) -> list[Metric]:
        found: list[Metric] = []
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        help = "Address space that this process may have, in bytes."
        found.append(GaugeMetricFamily("process_virtual_memory_max_bytes", help, -1 if limit == resource.RLIM_INFINITY else limit))
        try:
            lines = Path("/proc/self/net/netstat").read_text().splitlines()
        except OSError:
            return found
        names, values = ([line.split() for line in lines if line.startswith("IpExt:")] + [[], []])[:2]
        octets = dict(zip(names, values, strict=False))
        for name, key, what in (("receive", "InOctets", "received"), ("transmit", "OutOctets", "sent")):
            if key in octets:
                found.append(
                    CounterMetricFamily(f"process_network_{name}_bytes", f"Bytes {what} in this process's network.", int(octets[key]))
                )
        return found


class _Durations(Collector):
    """A histogram in seconds that is observed at every poll: without the library's locks, as one thread alone does that."""

    def __init__(self, name: str, help: str) -> None:
        self._name = name
        self._help = help
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum_s += seconds

    def collect(self) -> list[Metric]:
        buckets = list(zip((*map(str, _SECONDS), "+Inf"), accumulate(self._counts), strict=True))
        return [HistogramMetricFamily(self._name, self._help, buckets, self._sum_s)]


class SelfMetrics:
    """`only_redis` leaves out build information and the process's own figures, as `--redis-only-metrics` asks; `runtime` adds
    those of Python."""

    def __init__(self, namespace: str, version: str, engine: str, *, only_redis: bool = False, runtime: bool = False) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._headers: dict[str, bytes] = {}  # by family
        self._heads: dict[tuple[str, ...], bytes] = {}  # by a sample's name and label values
        prefix = f"{namespace}_" if namespace else ""
        self._prefix = prefix
        if not only_redis:
            ProcessCollector(registry=self.registry)
            self.registry.register(_MoreOfTheProcess())
            if runtime:
                PlatformCollector(registry=self.registry)
                GCCollector(registry=self.registry)
            info = Gauge(
                f"{prefix}exporter_build_info",
                "What runs here.",
                ["version", "commit_sha", "build_date", "python_version", "engine"],
                registry=self.registry,
            )
            info.labels(version, "", "", platform.python_version(), engine).set(1)
        self.scrapes = Counter(f"{prefix}exporter_scrapes", "Scrapes that were answered.", registry=self.registry)
        self.request_errors = Counter(
            f"{prefix}target_scrape_request_errors", "Requests for one target that were refused.", registry=self.registry
        )
        self.poll_seconds = _Durations(f"{prefix}exporter_scrape_duration_seconds", "How long it took to get the values from a target.")
        self.registry.register(self.poll_seconds)
        self.request_seconds = Histogram(
            f"{prefix}exporter_http_request_duration_seconds",
            "How long an answer took, by endpoint.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.build_seconds = self._histogram("page_build_duration_seconds", "How long it took to assemble and compress a page.")
        self.lag_seconds = self._gauge("loop_lag_seconds", "How late the event loop was at its newest beat.")
        self.page_bytes = Gauge(
            f"{prefix}exporter_page_bytes", "Size of the newest page of everything.", ["encoding"], registry=self.registry
        )

    def read(self, name: str, help: str, function: Callable[[], float]) -> None:
        """A gauge `exporter_` + name, read off when it is rendered."""
        self._gauge(name, help).set_function(function)

    def read_labelled(self, name: str, help: str, label: str, function: Callable[[], Mapping[str, float]]) -> None:
        """The same with one label: `function` gives a number for each of its values."""
        self.registry.register(_Labelled(f"{self._prefix}exporter_{name}", help, label, function))

    def render(self) -> bytes:
        """The text format, as prometheus-client has it but for `_created` series. Texts that stay the same are kept: of a page
        that is built every few seconds its own way would be the largest part."""
        texts: list[bytes] = []
        if len(self._heads) > HEADS_MAX:  # scrapers come and go
            self._heads.clear()
        for family in self.registry.collect():
            texts.append(self._header(family))
            for name, labels, value, *_ in family.samples:
                if not name.endswith("_created"):
                    head = self._heads.get((name, *labels.values())) or self._head(name, labels)
                    number: str = floatToGoString(value)  # type: ignore[no-untyped-call]
                    texts.append(b"%s %s\n" % (head, number.encode()))
        return b"".join(texts)

    def _header(self, family: Metric) -> bytes:
        header = self._headers.get(family.name)
        if header is None:
            name = family.name + ("_total" if family.type == "counter" else "")
            header = self._headers[family.name] = f"# HELP {name} {family.documentation}\n# TYPE {name} {family.type}\n".encode()
        return header

    def _head(self, name: str, labels: Mapping[str, str]) -> bytes:
        own = b",".join(b'%s="%s"' % (label.encode(), fastparse.escape(value.encode())) for label, value in sorted(labels.items()))
        head = self._heads[name, *labels.values()] = name.encode() + (b"{%s}" % own if own else b"")
        return head

    def _histogram(self, name: str, help: str) -> Histogram:
        return Histogram(f"{self._prefix}exporter_{name}", help, buckets=_SECONDS, registry=self.registry)

    def _gauge(self, name: str, help: str) -> Gauge:
        return Gauge(f"{self._prefix}exporter_{name}", help, registry=self.registry)
