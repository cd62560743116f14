"""Names of metrics that are taken: a script or an unknown field of INFO may not give them a second time."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.metrics.family import Family, MetricType

#: of Prometheus itself, which it writes for each target
_OF_PROMETHEUS = ("up", "ALERTS", "ALERTS_FOR_STATE")
#: of Prometheus, of this process, and of the runtimes whose names dashboards know
_PREFIXES = ("scrape_", "process_", "python_", "go_")
_SUFFIXES = {
    MetricType.COUNTER: ("_created",),
    MetricType.SUMMARY: ("_sum", "_count", "_created"),
    MetricType.HISTOGRAM: ("_bucket", "_sum", "_count", "_created"),
}


class TakenNames:
    """Every name that this program writes or may write, whatever the options show or hide: `families` and all
    their series, and the process's own."""

    def __init__(self, families: Iterable[Family], namespace: str) -> None:
        prefix = f"{namespace}_" if namespace else ""
        self._prefixes = (*_PREFIXES, f"{prefix}exporter_", f"{prefix}target_scrape_request_errors")
        self._names = {
            f"{prefix}{family.name}{suffix}"
            for family in families
            for suffix in ("", *_SUFFIXES.get(family.type, ()))
        }
        self._names.update(_OF_PROMETHEUS)

    def __contains__(self, name: object) -> bool:
        return name in self._names or str(name).startswith(self._prefixes)
