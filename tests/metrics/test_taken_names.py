"""Names of metrics that are taken."""

from __future__ import annotations

import pytest

from exporter.collectors._registry import REGISTRY
from exporter.metrics.family import gauge, histogram
from exporter.metrics.taken_names import TakenNames
from exporter.pages.exposition import AGE
from exporter.telemetry.own_series import OwnSeries
from exporter.telemetry.target_series import FAMILIES as TARGET_FAMILIES

ALL = [*TARGET_FAMILIES, AGE, *(family for collector in REGISTRY for family in collector.families)]


@pytest.mark.parametrize("namespace", ["redis", "cache", ""])
def test_every_name_that_this_program_writes_is_taken(namespace: str) -> None:
    taken = TakenNames(ALL, namespace)
    own_series = OwnSeries(namespace, "1", "compiled", runtime=True)
    own_series.request_seconds("metrics").observe(1)
    series = {
        line.split(b"{")[0].split(b" ")[0].decode()
        for line in own_series.render().splitlines()
        if not line.startswith(b"#")
    }
    prefix = f"{namespace}_" if namespace else ""
    assert {name for name in series if name not in taken} == set()
    assert {family.name for family in ALL if prefix + family.name not in taken} == set()


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("up", True),
        ("scrape_samples_scraped", True),
        ("process_cpu_seconds_total", True),
        ("redis_exporter_of_my_own", True),
        ("redis_seconds", True),
        ("redis_seconds_bucket", True),
        ("redis_seconds_sum", True),
        ("redis_seconds_max", False),
        ("redis_gauge_count", False),
        ("redis_process_queue", False),
        ("redis_jobs", False),
    ],
)
def test_names_of_others_and_of_series(name: str, is_taken: bool) -> None:
    taken = TakenNames([histogram("seconds", "Seconds."), gauge("gauge", "Gauge.")], "redis")
    assert (name in taken) == is_taken
