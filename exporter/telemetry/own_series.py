"""The process-wide series: about the exporter itself, kept by prometheus-client in a registry of our own.

Nothing happens at import. What can be read off when a page is built is a gauge with a function; see semantics
§7.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter import engine
from exporter.telemetry.process import ProcessCollector

#: samples that are kept as text
LINES_MAX = 1000
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS = (*map(str, _SECONDS), "+Inf")


class _Labelled(Collector):
    """A gauge or counter whose values by label are read when it is rendered."""

    def __init__(
        self,
        kind: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        help: str,
        label: str,
        read: Callable[[], Mapping[str, float]],
    ) -> None:
        self._kind = kind
        self._family = (name, help, [label])
        self._read = read

    def collect(self) -> list[Metric]:
        name, help, labels = self._family
        family = self._kind(name, help, labels=labels)
        for value, number in self._read().items():
            family.add_metric([value], number)
        return [family]


class _Total(Collector):
    """A counter that is read when it is rendered."""

    def __init__(self, name: str, help: str, read: Callable[[], float]) -> None:
        self._family = (name, help)
        self._read = read

    def collect(self) -> list[Metric]:
        name, help = self._family
        return [CounterMetricFamily(name, help, value=self._read())]


class Durations:
    """How long something took, counted by upper bounds. Of the loop's thread alone: so it needs none of
    the library's locks."""

    def __init__(self) -> None:
        self.sum_s = 0.0
        self._counts = [0] * (len(_SECONDS) + 1)

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many took at most that)"""
        return list(zip(_BOUNDS, accumulate(self._counts), strict=True))


class _Histogram(Collector):
    """Durations in seconds, one or several by a label's values. Their buckets are made when they are
    rendered."""

    def __init__(self, name: str, help: str, label: str = "") -> None:
        self._family = (name, help)
        self._label = [label] if label else []
        self._durations: dict[tuple[str, ...], Durations] = {}

    def of(self, *value: str) -> Durations:
        """Those of a label's value; without one if there is no label."""
        return self._durations.setdefault(value, Durations())

    def collect(self) -> list[Metric]:
        name, help = self._family
        family = HistogramMetricFamily(name, help, labels=self._label)
        for value, durations in self._durations.items():
            family.add_metric(value, durations.buckets(), durations.sum_s)
        return [family]


class OwnSeries:
    """`only_redis` leaves out build information and the process's own figures, as `--redis-only-metrics`
    asks; `runtime` adds those of Python."""

    def __init__(
        self, namespace: str, version: str, engine: str, *, only_redis: bool = False, runtime: bool = False
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._headers: dict[str, bytes] = {}  # by family
        #: the newest of each sample, by its name and label values: its value, what stands before that, and
        #: all of it
        self._lines: dict[tuple[str, ...], tuple[float, bytes, bytes]] = {}
        self._lines_before: dict[tuple[str, ...], tuple[float, bytes, bytes]] = {}
        prefix = f"{namespace}_" if namespace else ""
        self._prefix = prefix
        if not only_redis:
            self.registry.register(ProcessCollector())
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
        self.scrapes = Counter(
            f"{prefix}exporter_scrapes", "Scrapes that were answered.", registry=self.registry
        )
        self.request_errors = Counter(
            f"{prefix}target_scrape_request_errors",
            "Requests for one target that were refused.",
            registry=self.registry,
        )
        self.poll_seconds = self._histogram(
            "scrape_duration_seconds", "How long it took to get the values from a target."
        ).of()
        self._request_seconds = self._histogram(
            "http_request_duration_seconds", "How long an answer took, by endpoint.", "endpoint"
        )
        self.build_seconds = self._histogram(
            "page_build_duration_seconds", "How long it took to assemble and compress a page."
        ).of()
        self.lag_seconds = self._gauge("loop_lag_seconds", "How late the event loop was at its newest beat.")
        self.page_bytes = Gauge(
            f"{prefix}exporter_page_bytes",
            "Size of the newest page of everything.",
            ["encoding"],
            registry=self.registry,
        )

    def request_seconds(self, endpoint: str) -> Durations:
        """Of the answers of one endpoint."""
        return self._request_seconds.of(endpoint)

    def read(self, name: str, help: str, function: Callable[[], float]) -> None:
        """A gauge `exporter_` + name, read off when it is rendered."""
        self._gauge(name, help).set_function(function)

    def read_total(self, name: str, help: str, function: Callable[[], float]) -> None:
        """A counter `exporter_` + name + `_total`, read off in the same way."""
        self.registry.register(_Total(f"{self._prefix}exporter_{name}", help, function))

    def read_labelled(
        self, name: str, help: str, label: str, function: Callable[[], Mapping[str, float]]
    ) -> None:
        """A gauge with one label: `function` gives a number for each of its values."""
        self.registry.register(
            _Labelled(GaugeMetricFamily, f"{self._prefix}exporter_{name}", help, label, function)
        )

    def read_labelled_total(
        self, name: str, help: str, label: str, function: Callable[[], Mapping[str, float]]
    ) -> None:
        """A counter with one label."""
        self.registry.register(
            _Labelled(CounterMetricFamily, f"{self._prefix}exporter_{name}", help, label, function)
        )

    def render(self) -> bytes:
        """The text format, as prometheus-client has it but for `_created` series. Texts that stay the same
        are kept: of a page that is built every few seconds its own way would be the largest part."""
        texts: list[bytes] = []
        if len(self._lines) > LINES_MAX:  # scrapers come and go; what is still shown is taken over
            self._lines_before, self._lines = self._lines, {}
        for family in self.registry.collect():
            texts.append(self._header(family))
            for name, labels, value, *_ in family.samples:
                if not name.endswith("_created"):
                    key = (name, *labels.values())
                    line = self._lines.get(key) or self._take_over(key)
                    if line is None or line[0] != value:
                        head = line[1] if line is not None else _head(name, labels)
                        number: str = floatToGoString(value)  # type: ignore[no-untyped-call]
                        line = self._lines[key] = (value, head, b"%s %s\n" % (head, number.encode()))
                    texts.append(line[2])
        return b"".join(texts)

    def _take_over(self, key: tuple[str, ...]) -> tuple[float, bytes, bytes] | None:
        line = self._lines_before.pop(key, None)
        if line is not None:
            self._lines[key] = line
        return line

    def _header(self, family: Metric) -> bytes:
        header = self._headers.get(family.name)
        if header is None:
            name = family.name + ("_total" if family.type == "counter" else "")
            header = self._headers[family.name] = (
                f"# HELP {name} {family.documentation}\n# TYPE {name} {family.type}\n".encode()
            )
        return header

    def _histogram(self, name: str, help: str, label: str = "") -> _Histogram:
        histogram = _Histogram(f"{self._prefix}exporter_{name}", help, label)
        self.registry.register(histogram)
        return histogram

    def _gauge(self, name: str, help: str) -> Gauge:
        return Gauge(f"{self._prefix}exporter_{name}", help, registry=self.registry)


def _head(name: str, labels: Mapping[str, str]) -> bytes:
    own = b",".join(
        b'%s="%s"' % (label.encode(), engine.escape(value.encode("utf-8", "replace")))
        for label, value in sorted(labels.items())
    )
    return name.encode() + (b"{%s}" % own if own else b"")
