"""The process-wide series: their names, and what is left out."""

from __future__ import annotations

import platform
import re

import prometheus_client
import pytest

from exporter.build_facts import build_facts
from exporter.errors import InternalError
from exporter.telemetry.own_family import Value
from exporter.telemetry.own_series import FAMILIES, OwnSeries, Reader
from tests.store_fixture import samples_of


def names(metrics: OwnSeries) -> set[str]:
    return {name for name, _ in samples_of(metrics.render().decode())}


def test_all_of_the_contract_s_names_are_there() -> None:
    readers: dict[str, Reader] = {
        "exporter_page_age_seconds": lambda: 0.5,
        "exporter_targets": lambda: {"up": 2.0, "down": 1.0},
    }
    metrics = OwnSeries("redis", "1.2.3", "compiled", readers)
    metrics.request_seconds("metrics").observe(0.001)
    metrics.page_bytes["gzip"] = 1
    assert names(metrics) >= {
        "redis_exporter_build_info",
        "redis_exporter_scrapes_total",
        "redis_exporter_http_request_duration_seconds_bucket",
        "redis_exporter_scrape_duration_seconds_count",
        "redis_exporter_page_build_duration_seconds_sum",
        "redis_exporter_page_age_seconds",
        "redis_exporter_page_bytes",
        "redis_exporter_loop_lag_seconds",
        "redis_exporter_targets",
        "redis_target_scrape_request_errors_total",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    }


@pytest.mark.parametrize(("namespace", "prefix"), [("redis", "redis_"), ("cache", "cache_"), ("", "")])
def test_the_namespace_stands_before_all_but_the_process_s_own(namespace: str, prefix: str) -> None:
    found = names(OwnSeries(namespace, "1", "compiled"))
    own = {name for name in found if not name.startswith("process_")}
    assert f"{prefix}exporter_scrapes_total" in own
    assert all(name.startswith((f"{prefix}exporter_", f"{prefix}target_")) for name in own)


def test_build_information_tells_the_version_and_the_engine() -> None:
    samples = samples_of(OwnSeries("redis", "1.2.3", "compiled").render().decode())
    [labels] = [dict(labels) for name, labels in samples if name == "redis_exporter_build_info"]
    assert labels.keys() == {"version", "commit_sha", "build_date", "python_version", "engine"}
    assert labels["version"] == "1.2.3"
    assert labels["python_version"] == platform.python_version()
    assert labels["engine"] == "compiled"
    assert (labels["commit_sha"], labels["build_date"]) == (build_facts().commit, build_facts().date)


def test_redis_only_leaves_out_the_process_and_its_endpoint() -> None:
    readers: dict[str, Reader] = {family.name: lambda: 1.0 for family in FAMILIES if family.read is None}
    own = OwnSeries("redis", "1", "compiled", readers, only_redis=True)
    own.request_seconds("metrics").observe(0.001)
    own.page_bytes["gzip"] = 1
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in names(own)} == {
        "redis_exporter_scrapes_total",
        "redis_target_scrape_request_errors_total",
        "redis_exporter_scrape_duration_seconds",
        "redis_exporter_polls_in_flight",
        "redis_exporter_page_age_seconds",
        "redis_exporter_targets",
        "redis_exporter_adopted_targets",
        "redis_exporter_adoptions_refused_total",
        "redis_exporter_targets_in_step",
        "redis_exporter_scraper_interval_seconds",
        "redis_exporter_scraper_expected_age_seconds",
        "redis_exporter_lane_interval_seconds",
        "redis_exporter_sd_failures_total",
        "redis_exporter_sd_last_success_timestamp_seconds",
        "redis_exporter_shard_index",
        "redis_exporter_shard_total",
        "redis_exporter_shard_targets",
        "redis_exporter_shard_targets_owned",
        "redis_exporter_certificate_expiry_timestamp_seconds",
        "redis_exporter_fleet_versions",
        "redis_exporter_fleet_configurations",
        "redis_exporter_fleet_masters_without_replicas",
        "redis_exporter_fleet_uncovered_slots",
    }


def test_counts_of_what_went_wrong_are_there_once_something_did() -> None:
    counts = {"full": 0, "slow": 0}
    own = OwnSeries("redis", "1", "compiled", {"exporter_http_incidents_total": lambda: counts})
    assert b"redis_exporter_http_incidents_total{" not in own.render()
    counts["slow"] = 2
    assert re.findall(rb"(?m)^redis_exporter_http_incidents_total.*", own.render()) == [
        b'redis_exporter_http_incidents_total{reason="slow"} 2.0'
    ]


def test_there_are_no_created_series_here_and_nobody_else_loses_theirs() -> None:
    metrics = OwnSeries("redis", "1", "compiled")
    metrics.scrapes += 1
    assert b"_created" not in metrics.render()
    other = prometheus_client.CollectorRegistry()
    prometheus_client.Counter("other", "Somebody else's.", registry=other).inc()
    assert b"other_created" in prometheus_client.generate_latest(other)


def test_gauges_are_read_when_they_are_rendered() -> None:
    states: dict[str, Value] = {"up": 1}
    metrics = OwnSeries("redis", "1", "compiled", {"exporter_targets": lambda: states})
    metrics.render()
    states["up"] = 5
    assert b'redis_exporter_targets{state="up"} 5.0' in metrics.render()


def test_totals_are_read_when_they_are_rendered() -> None:
    counts = [1]
    metrics = OwnSeries("redis", "1", "compiled", {"exporter_log_lines_dropped_total": lambda: sum(counts)})
    metrics.render()
    counts.append(4)
    assert (
        b"# TYPE redis_exporter_log_lines_dropped_total counter\nredis_exporter_log_lines_dropped_total 5.0\n"
        in metrics.render()
    )


def test_a_reader_that_no_row_wants_is_a_mistake() -> None:
    for name in ("exporter_odd", "exporter_scrapes_total"):  # unknown, and read from the counts
        with pytest.raises(InternalError, match=name):
            OwnSeries("redis", "1", "compiled", {name: lambda: 1.0})


def test_the_page_has_the_rows_in_the_order_of_the_table() -> None:
    readers: dict[str, Reader] = {family.name: lambda: None for family in FAMILIES if family.read is None}
    text = OwnSeries("cache", "1", "compiled", readers).render().decode()
    headers = [line.split(" ")[2:] for line in text.splitlines() if line.startswith("# TYPE cache")]
    assert headers == [[f"cache_{family.name}", family.type.value] for family in FAMILIES]


def test_two_can_stand_side_by_side() -> None:
    one, other = OwnSeries("redis", "1", "compiled"), OwnSeries("redis", "1", "compiled")
    one.scrapes += 1
    assert b"redis_exporter_scrapes_total 0.0" in other.render()
    assert b"redis_exporter_scrapes_total 1.0" in one.render()


def test_every_family_has_a_type_and_a_full_sentence_for_help() -> None:
    for line in OwnSeries("redis", "1", "compiled").render().decode().splitlines():
        if line.startswith("# HELP redis"):
            assert line.endswith(".")


def test_the_runtime_s_own_on_request() -> None:
    assert "python_info" not in names(OwnSeries("redis", "1.2.3", "compiled"))
    assert {"python_info", "python_gc_collections_total"} <= names(
        OwnSeries("redis", "1.2.3", "compiled", runtime=True)
    )
    assert "python_info" not in names(OwnSeries("redis", "1.2.3", "compiled", only_redis=True, runtime=True))


def test_what_stays_the_same_is_kept_as_text() -> None:
    metrics = OwnSeries("redis", "1.2.3", "compiled")
    metrics.page_bytes["plain"] = 123456789
    metrics.build_seconds.observe(0.1)
    first = metrics.render()
    metrics.scrapes += 1
    own, again = (
        [line for line in text.decode().splitlines() if "process_" not in line]
        for text in (first, metrics.render())
    )
    assert [(one, other) for one, other in zip(own, again, strict=True) if one != other] == [
        ("redis_exporter_scrapes_total 0.0", "redis_exporter_scrapes_total 1.0")
    ]


class TestGoingOn:
    """After a restart the counters go on from what the process before has counted."""

    def of_before(self) -> OwnSeries:
        own = OwnSeries("redis", "1", "compiled", {"exporter_http_incidents_total": lambda: {"slow": 2}})
        own.scrapes = 5
        own.poll_seconds.observe(0.05)
        own.request_seconds("metrics").observe(2.0)
        return own

    def test_counters_and_histograms_are_added(self) -> None:
        incidents = {"slow": 1.0, "odd": 1.0}
        own = OwnSeries("redis", "1", "compiled", {"exporter_http_incidents_total": lambda: incidents})
        own.go_on_from(self.of_before().counts())
        own.scrapes = 1
        own.poll_seconds.observe(0.0001)
        found = {
            (name, *dict(labels).values()): value
            for (name, labels), value in samples_of(own.render().decode()).items()
        }
        assert found["redis_exporter_scrapes_total",] == 6
        assert found["redis_exporter_http_incidents_total", "slow"] == 3
        assert found["redis_exporter_http_incidents_total", "odd"] == 1
        assert found["redis_exporter_scrape_duration_seconds_count",] == 2
        assert found["redis_exporter_scrape_duration_seconds_sum",] == pytest.approx(0.0501)
        assert found["redis_exporter_scrape_duration_seconds_bucket", "0.001"] == 1
        assert found["redis_exporter_http_request_duration_seconds_count", "metrics"] == 1

    def test_gauges_are_not(self) -> None:
        before = self.of_before()
        before.note_lag(3.0)
        assert "exporter_loop_lag_seconds" not in before.counts()

    def test_what_was_counted_twice_before_goes_on_too(self) -> None:
        second = OwnSeries("redis", "1", "compiled")
        second.go_on_from(self.of_before().counts())
        second.scrapes = 1
        third = OwnSeries("redis", "1", "compiled")
        third.go_on_from(second.counts())
        assert "redis_exporter_scrapes_total 6.0" in third.render().decode()

    def test_a_counter_that_is_gone_is_left_out(self) -> None:
        own = OwnSeries("redis", "1", "compiled")
        own.go_on_from({"exporter_of_before_total": {(): 1.0}})
        assert "of_before" not in own.render().decode()
