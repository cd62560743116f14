"""What is told about a target besides its own values."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import engine
from exporter.errors import REASONS
from exporter.metrics.labels import label_forms
from exporter.metrics.lane import Lane
from exporter.telemetry.target_series import (
    CONNECT,
    FAMILIES,
    PAUSED,
    LaneCount,
    TargetSeries,
    target_family_set,
)

PART = target_family_set("redis")
PAIRS = ((b"addr", b"h"), (b"reason", b"configured"))

Samples = dict[tuple[str, tuple[str, ...]], float]


def told(target_series: TargetSeries) -> Samples:
    """Every sample by name (without `redis_`) and the values of its own labels."""
    block = target_series.render(PART, label_forms([PART], ((b"addr", b"h"),))[PART.name])
    return {
        (
            sample.name.removeprefix("redis_"),
            tuple(value for label, value in sample.labels.items() if label != "addr"),
        ): sample.value
        for family in text_string_to_metric_families(block.samples.decode())
        for sample in family.samples
    }


def names(samples: Samples) -> set[str]:
    return {name for name, _ in samples}


@pytest.fixture
def up() -> TargetSeries:
    return TargetSeries(
        up=True,
        duration_s=0.0123456789,
        connect_s=0.5,
        series=174,
        lanes={Lane.FAST: LaneCount(polls=3, succeeded_at=1e9)},
    )


class TestUp:
    def test_before_the_first_attempt_ended_nothing_is_said_of_it(self) -> None:
        target_series = TargetSeries(lanes={Lane.FAST: LaneCount()})
        assert told(target_series) == {
            ("exporter_target_polls_total", ("fast",)): 0,
            ("exporter_target_series", ()): 0,
        }

    def test_up(self, up: TargetSeries) -> None:
        samples = told(up)
        assert samples["up", ()] == 1
        assert samples["exporter_last_scrape_error", ("",)] == 0
        assert "exporter_target_down" not in names(samples)
        assert "exporter_target_poll_failures_total" not in names(samples)

    @pytest.mark.parametrize("reason", REASONS)
    def test_down_with_its_reason(self, up: TargetSeries, reason: str) -> None:
        fail(up, reason)
        samples = told(up)
        assert samples["up", ()] == 0
        assert samples["exporter_target_down", (reason,)] == 1
        assert samples["exporter_last_scrape_error", (reason,)] == 1
        assert samples["exporter_target_poll_failures_total", (reason,)] == 1

    def test_only_the_newest_reason_is_that_of_being_down(self, up: TargetSeries) -> None:
        for reason in ("dns", "refused", "dns"):
            fail(up, reason)
        samples = told(up)
        assert [labels for name, labels in samples if name == "exporter_target_down"] == [("dns",)]
        assert samples["exporter_target_poll_failures_total", ("dns",)] == 2
        assert samples["exporter_target_poll_failures_total", ("refused",)] == 1

    def test_failures_are_counted_on_after_it_is_up_again(self, up: TargetSeries) -> None:
        fail(up, "dns")
        up.up, up.reason = True, ""
        assert told(up)["exporter_target_poll_failures_total", ("dns",)] == 1

    def test_reasons_are_a_closed_set(self, up: TargetSeries) -> None:
        with pytest.raises(ValueError, match="'it broke' is not a reason"):
            up.count_failure("it broke")
        assert up.failures == {}

    def test_how_long_the_poll_and_the_connection_took(self, up: TargetSeries) -> None:
        samples = told(up)
        assert samples["exporter_last_scrape_duration_seconds", ()] == 0.012346
        assert samples["exporter_last_scrape_connect_time_seconds", ()] == 0.5


def fail(target_series: TargetSeries, reason: str) -> None:
    target_series.count_failure(reason)
    target_series.up, target_series.reason = False, reason


class TestLanes:
    def test_each_is_counted(self, up: TargetSeries) -> None:
        up.lanes[Lane.SLOW] = LaneCount(polls=1, succeeded_at=1_700_000_000.1234, stale=True)
        samples = told(up)
        assert samples["exporter_target_polls_total", ("fast",)] == 3
        assert samples["exporter_target_polls_total", ("slow",)] == 1
        assert samples["exporter_snapshot_last_success_timestamp_seconds", ("slow",)] == 1_700_000_000.123
        assert samples["exporter_snapshot_stale", ("fast",)] == 0
        assert samples["exporter_snapshot_stale", ("slow",)] == 1

    def test_without_a_snapshot_there_is_none_to_be_stale(self) -> None:
        samples = told(TargetSeries(lanes={Lane.FAST: LaneCount(polls=2)}))
        assert not {"exporter_snapshot_stale", "exporter_snapshot_last_success_timestamp_seconds"} & names(
            samples
        )

    def test_skipped_polls_are_told_once_there_are_any(self, up: TargetSeries) -> None:
        assert "exporter_target_polls_skipped_total" not in names(told(up))
        up.lanes[Lane.FAST].skipped = 2
        assert told(up)["exporter_target_polls_skipped_total", ("fast",)] == 2


class TestCollectors:
    def test_each_tells_of_success_and_only_what_is_refused_of_support(self, up: TargetSeries) -> None:
        up.collectors = {"info": (True, True), "config": (False, True), "slowlog": (True, False)}
        found = {key: value for key, value in told(up).items() if "exporter_collector" in key[0]}
        assert found == {
            ("exporter_collector_success", ("info",)): 1,
            ("exporter_collector_success", ("config",)): 0,
            ("exporter_collector_success", ("slowlog",)): 1,
            ("exporter_collector_supported", ("slowlog",)): 0,
        }
        up.collectors = {"info": (True, True), "config": (True, True), "slowlog": (True, True)}
        assert "exporter_collector_supported" not in names(told(up))

    def test_series_and_values_that_were_no_numbers(self, up: TargetSeries) -> None:
        assert told(up)["exporter_target_series", ()] == 174
        assert "exporter_target_values_dropped_total" not in names(told(up))
        up.dropped = 5
        assert told(up)["exporter_target_values_dropped_total", ()] == 5

    def test_nothing_is_left_of_lanes_and_collectors_that_are_gone(self, up: TargetSeries) -> None:
        up.collectors = {"info": (True, True), "config": (False, True)}
        up.cuts = {"info": 1, "config": 2}
        up.lanes[Lane.SLOW] = LaneCount(polls=9)
        fast = up.lanes[Lane.FAST]
        up.keep_only([Lane.FAST, Lane.STANDARD], {"info"})
        assert up.lanes == {Lane.FAST: fast, Lane.STANDARD: LaneCount()}
        assert (up.collectors, up.cuts) == ({"info": (True, True)}, {"info": 1})


class TestRender:
    def test_is_the_block_of_its_family_set(self, up: TargetSeries) -> None:
        block = up.render(PART, engine.Labels(b""))
        assert len(block.offsets) == 4 * (len(FAMILIES) + 1)
        assert block.series == block.samples.count(b"\n")

    def test_every_family_can_be_told(self, up: TargetSeries) -> None:
        fail(up, "dns")
        up.lanes[Lane.FAST].skipped = up.dropped = up.refused = 1
        up.ping_s = 0.001
        up.collectors = {"info": (False, True), "slowlog": (True, False)}
        up.note_cut("info", 5)
        up.replica_lag = (7, 0.5, "master")
        up.conflicts = (("same", "redis://other:6379"),)
        up.strain = "slow"
        up.add_cost(Lane.FAST, "commandstats", 0.5)
        up.traffic = SimpleNamespace(connections=1, received=2, sent=3)
        samples = told(up)
        assert names(samples) == {family.name for family in FAMILIES} - {PAUSED.name}

    def test_of_a_target_that_is_paused_only_until_when(self, up: TargetSeries) -> None:
        up.collectors = {"info": (False, True)}
        up.pause(1_700_000_000.5)
        assert told(up) == {(PAUSED.name, ()): 1_700_000_000.5}

    def test_a_lag_and_conflicts_are_shown_with_their_source(self, up: TargetSeries) -> None:
        up.replica_lag = (7, 0.5, "master")
        up.conflicts = (("former", "redis://a:1"), ("same", "redis://b:1"))
        samples = told(up)
        assert samples["replica_lag_bytes", ("master",)] == 7
        assert samples["replica_lag_seconds", ("master",)] == 0.5
        assert samples["replication_conflict", ("former", "redis://a:1")] == 1
        assert samples["replication_conflict", ("same", "redis://b:1")] == 1
        up.replica_lag, up.conflicts = (7, None, "estimate"), ()
        assert {name for name in names(told(up)) if name.startswith("repl")} == {"replica_lag_bytes"}

    def test_rows_that_were_cut_are_told_until_none_are(self, up: TargetSeries) -> None:
        up.note_cut("info", 5)
        up.note_cut("stats", 0)
        assert told(up)["exporter_collector_rows_cut", ("info",)] == 5
        up.note_cut("info", 0)
        assert "exporter_collector_rows_cut" not in names(told(up))

    def test_again_and_again_with_what_has_changed(self, up: TargetSeries) -> None:
        before = told(up)
        up.series = 99
        up.lanes[Lane.FAST].polls += 1
        after = told(up)
        assert {key for key in before if before[key] != after[key]} == {
            ("exporter_target_series", ()),
            ("exporter_target_polls_total", ("fast",)),
        }

    def test_with_other_labels_when_those_have_changed(self, up: TargetSeries) -> None:
        for role in (b"master", b"slave"):
            labels = label_forms([PART], [(b"instance_role", role)], {CONNECT.name: b"instance_role"})[
                PART.name
            ]
            text = up.render(PART, labels).samples
            assert b'redis_up{instance_role="%s"} 1\n' % role in text
            assert b"redis_exporter_last_scrape_connect_time_seconds 0.5\n" in text

    def test_a_configured_label_gives_way_to_the_familys_own(self, up: TargetSeries) -> None:
        fail(up, "dns")
        text = up.render(PART, label_forms([PART], PAIRS)[PART.name]).samples.decode()
        assert 'redis_exporter_target_down{addr="h",reason="dns"} 1\n' in text
        assert 'redis_up{addr="h",reason="configured"} 0\n' in text

    def test_the_namespace_is_the_programs(self, up: TargetSeries) -> None:
        assert up.render(target_family_set("kv"), engine.Labels(b"")).samples.startswith(b"kv_up 1\n")
