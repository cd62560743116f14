"""How often each metric changes, from the exporter's own tables: a rate needs a range that is longer."""

from __future__ import annotations

import re

from exporter.collectors._registry import REGISTRY
from exporter.metrics.lane import Lane

#: The default interval of each lane; none for the fast one, which Prometheus scrapes no oftener.
STEPS = {Lane.FAST: "", Lane.STANDARD: "15s", Lane.SLOW: "1m", Lane.SCAN: "5m"}
_ORDER = list(STEPS)
_NAME = re.compile(r"\bredis_\w+")
_OF_HISTOGRAMS = re.compile("_(bucket|sum|count)$")


def _lanes() -> dict[str, Lane]:
    """Name without `redis_` → its lane; the slowest one where several collectors have the name."""
    found: dict[str, Lane] = {}
    for collector in REGISTRY:
        for family in collector.families:
            found[family.name] = max(found.get(family.name, Lane.FAST), collector.lane, key=_ORDER.index)
    found["exporter_target_server_seconds_total"] = Lane.SLOW  # the exporter counts once a minute
    return found


LANES = _lanes()


def step_of(expression: str) -> str:
    """The smallest step of a query, such as `1m`: the interval of its slowest lane. Grafana makes
    `$__rate_interval` four times as long. Empty if every metric changes with each scrape."""
    return STEPS[max(map(lane_of, _NAME.findall(expression)), key=_ORDER.index, default=Lane.FAST)]


def family_of(metric: str) -> str:
    """The family of a metric such as `redis_x_bucket`, without `redis_`."""
    name = metric.removeprefix("redis_")
    return name if name in LANES else _OF_HISTOGRAMS.sub("", name)


def lane_of(metric: str) -> Lane:
    return LANES.get(family_of(metric), Lane.FAST)
