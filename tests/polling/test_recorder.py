"""What polls bring, on its way into the store."""

from __future__ import annotations

from collections.abc import Set

import pytest

from exporter import engine
from exporter.errors import HANG_UP, ReplyError, TargetError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.metrics.store import Snapshot, Store
from exporter.options.commandline import parse
from exporter.polling.outcome import PollOutcome
from exporter.polling.recorder import REFUSALS_SHOWN, SnapshotRecorder
from exporter.polling.results import PollResults
from exporter.polling.timing import PollTiming
from exporter.targets.address import parse_address
from exporter.targets.redaction import NOTHING
from exporter.telemetry.target_series import OUTCOMES, TargetSeries, target_family_set
from tests.poll_fixture import idle

ADDR = "redis://h:6379"
ITEM = gauge("item", "An item.", labels=("name",))
TIMING = PollTiming(
    10.0,
    {Lane.FAST: 1, Lane.STANDARD: 6, Lane.SLOW: 60, Lane.SCAN: 60},
    1.0,
    scan_deadline_s=2.0,
    max_backoff_s=12.0,
    connection_max_age_s=60.0,
    max_age_s=0.0,
)


INFO, STATS = idle("info", Lane.FAST, ITEM), idle("stats", Lane.STANDARD, ITEM)


class Setup:
    """A recorder and what it writes to."""

    def __init__(self, *argv: str) -> None:
        self.store = Store(["info", "stats"])
        self.series = TargetSeries()
        self.series.keep_only((Lane.FAST, Lane.STANDARD), ())
        self.recorder = SnapshotRecorder(
            parse_address(ADDR), self.store, self.series, parse(argv, {}).metrics
        )

    def keep(
        self,
        blocks: dict[str, str],
        *,
        failures: dict[str, TargetError] | None = None,
        unsupported: Set[str] = frozenset(),
        faults: dict[str, dict[str, str]] | None = None,
        cuts: dict[str, int] | None = None,
        began_at: float = 100.0,
        invalid: int = 0,
    ) -> None:
        """Keep a poll that wrote an item for each letter and had `invalid` values in each block."""
        results = PollResults(NOTHING)
        for name, letters in blocks.items():
            writer = engine.Writer(INFO.family_set.rows, engine.Labels(b""))
            for letter in letters:
                writer.add(0, 1.0, (letter,))
            block = writer.block()
            results.blocks[name] = engine.Block(block.samples, block.offsets, block.series, invalid, ())
        results.failures.update(failures or {})
        results.unsupported |= unsupported
        results.faults.update(faults or {})
        results.cuts.update(cuts or {})
        outcome = PollOutcome(results, None, began_at, 1_700_000_000.0, 0.5)
        self.recorder.keep(outcome, (INFO, STATS), TIMING, 1)

    def snapshot(self, name: str = "info") -> Snapshot:
        found = self.store.get(ADDR, name)
        assert found is not None
        return found

    def letters(self, name: str = "info") -> str:
        return "".join(line.split('"')[1] for line in self.snapshot(name).samples.decode().splitlines())


class TestBadValues:
    def test_are_counted_once_however_often_they_come(self) -> None:
        setup = Setup()
        for invalid, counted in ((0, 0), (2, 2), (2, 2), (0, 2), (1, 2), (2, 2), (3, 3), (3, 3)):
            setup.keep({"info": "a"}, invalid=invalid)
            assert setup.series.dropped == counted

    def test_of_each_collector_count(self) -> None:
        setup = Setup()
        for _ in range(2):
            setup.keep({"info": "a", "stats": "b"}, invalid=2)
        assert setup.series.dropped == 4

    def test_count_again_after_a_restart_of_the_server(self) -> None:
        setup = Setup()
        for run_id, counted in (("r", 2), ("r", 2), ("s", 4), ("s", 4)):
            setup.recorder.note_run_id(run_id)
            setup.keep({"info": "a"}, invalid=2)
            assert setup.series.dropped == counted


class TestKeep:
    def test_a_poll_that_goes_well_ends_what_the_poll_before_cut(self) -> None:
        setup = Setup()
        setup.keep({"info": "a", "stats": "b"}, cuts={"info": 3})
        assert setup.series.cuts == {"info": 3}
        setup.keep({"info": "a", "stats": "b"})
        assert setup.series.cuts == {}

    def test_a_fault_is_told_again_after_a_poll_that_went_well(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        setup, bad = Setup(), {"info": {"subject": "its text"}}
        for faults, told, success in ((bad, 1, False), (bad, 1, False), ({}, 1, True), (bad, 2, False)):
            setup.keep({"info": "a"}, faults=faults)
            assert len(caplog.records) == told
            assert setup.series.collectors["info"] == (success, True)

    def test_verdicts_are_the_same_few_objects_for_all_targets(self) -> None:
        setup = Setup()
        for _ in range(2):
            setup.keep({"info": "a"}, failures={"stats": TargetError("x")})
        assert setup.series.collectors["info"] is OUTCOMES[True, True]
        assert setup.series.collectors["stats"] is OUTCOMES[False, True]

    def test_each_family_set_is_a_snapshot_that_lasts_as_its_lane_says(self) -> None:
        setup = Setup()
        setup.keep({"info": "ab", "stats": "c"})
        assert (setup.letters(), setup.letters("stats")) == ("ab", "c")
        assert setup.snapshot().expires_at == 100.0 + 3 * 10.0 + 1.0
        assert setup.snapshot("stats").expires_at == 100.0 + 3 * 60.0 + 1.0
        assert (setup.series.series, setup.series.refused) == (3, 0)
        assert [count.succeeded_at for count in setup.series.lanes.values()] == [1_700_000_000.0] * 2

    def test_what_wrote_nothing_leaves_what_was_there(self) -> None:
        setup = Setup()
        setup.keep({"info": "ab", "stats": "c"})
        setup.keep({"info": "x"}, began_at=110.0)
        assert (setup.letters(), setup.letters("stats")) == ("x", "c")

    def test_a_snapshot_is_stale_no_more(self) -> None:
        setup = Setup()
        setup.series.lanes[Lane.FAST].stale = setup.series.lanes[Lane.STANDARD].stale = True
        setup.keep({"info": "a"})
        assert [count.stale for count in setup.series.lanes.values()] == [False, True]

    def test_timestamps_where_they_are_asked_for(self) -> None:
        setup = Setup("--export-timestamps")
        setup.keep({"info": "a"})
        assert setup.snapshot().samples == b'redis_item{name="a"} 1 1700000000000\n'

    def test_what_is_said_about_the_target_has_none(self) -> None:
        setup, about_target = Setup("--export-timestamps"), target_family_set("redis")
        setup.store.open(about_target.name)
        setup.series.up = True
        setup.recorder.put_target_series(about_target, engine.Labels(b""), 1.0)
        lines = setup.snapshot(about_target.name).samples.splitlines()
        assert b"redis_up 1" in lines
        assert {line.count(b" ") for line in lines} == {1}


class TestCollectors:
    def test_a_failure_is_logged_once_until_the_collector_has_gone_well(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        setup = Setup()
        for number in range(2):
            setup.keep({"info": "a"}, failures={"stats": TargetError(f"no {number}")})
        assert setup.series.collectors == {"info": (True, True), "stats": (False, True)}
        setup.keep({"stats": "a"})
        setup.keep({}, failures={"stats": TargetError("no 2")})
        assert caplog.messages == ["the collector stats failed"] * 2
        assert [vars(record)["err"] for record in caplog.records] == ["no 0", "no 2"]
        assert {vars(record)["addr"] for record in caplog.records} == {ADDR}

    def test_what_the_server_refuses_is_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        setup = Setup()
        setup.keep({}, failures={"stats": TargetError("unknown command")}, unsupported={"stats"})
        assert setup.series.collectors == {"stats": (False, False)}
        assert caplog.records == []

    def test_one_that_could_not_run_has_failed(self, caplog: pytest.LogCaptureFixture) -> None:
        setup = Setup()
        for _ in range(2):
            setup.recorder.note_failure("stats", TargetError("no connection"))
        assert setup.series.collectors == {"stats": (False, True)}
        assert [vars(record)["err"] for record in caplog.records] == ["no connection"]


class TestLimits:
    def test_series_beyond_the_limit_are_refused_and_those_that_were_there_stay(self) -> None:
        setup = Setup("--max-series-per-target=3")
        setup.keep({"info": "bd"})
        setup.keep({"info": "abcd"}, began_at=110.0)
        assert setup.letters() == "abd"
        assert (setup.series.series, setup.series.refused) == (3, 1)

    def test_after_a_restart_those_that_come_first_are_in(self) -> None:
        setup = Setup("--max-series-per-target=2")
        setup.recorder.note_run_id("a")
        for began_at, letters in enumerate(("bd", "abd", "acd")):
            setup.keep({"info": letters}, began_at=began_at)
        assert setup.letters() == "d"
        setup.recorder.note_run_id("a")
        setup.keep({"info": "acd"}, began_at=10.0)
        assert setup.letters() == "d"
        setup.recorder.note_run_id("b")
        setup.keep({"info": "xyd"}, began_at=20.0)
        assert setup.letters() == "xd"

    def test_a_family_set_that_is_gone_counts_no_more(self) -> None:
        setup = Setup("--max-series-per-target=3")
        setup.keep({"info": "ab", "stats": "xyz"})
        assert (setup.letters("stats"), setup.series.refused) == ("x", 2)
        setup.recorder.change(parse(["--max-series-per-target=3"], {}).metrics, ["stats"])
        setup.keep({"info": "abc"}, began_at=110.0)
        assert setup.letters() == "abc"
        assert (setup.series.series, setup.series.refused) == (3, 0)


class TestExpiries:
    SLOWER = PollTiming(
        100.0,
        TIMING.every,
        1.0,
        scan_deadline_s=2.0,
        max_backoff_s=12.0,
        connection_max_age_s=60.0,
        max_age_s=0.0,
    )

    def test_a_slower_timing_keeps_the_newest_snapshots_longer(self) -> None:
        setup = Setup()
        setup.keep({"info": "a"})
        setup.recorder.change_expiries((INFO, STATS), self.SLOWER, 1)
        assert setup.snapshot().expires_at == 100.0 + 3 * 100.0 + 1.0
        assert setup.store.expire(200.0) == []

    def test_what_has_expired_stays_so(self) -> None:
        setup = Setup()
        setup.keep({"info": "a"})
        setup.store.expire(200.0)
        setup.recorder.change_expiries((INFO, STATS), self.SLOWER, 1)
        assert setup.store.expired(ADDR, "info")


def test_refused_commands_are_named_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    refusals = {"CLIENT LIST": ReplyError("ERR no\nsuch thing"), "SLOWLOG LEN": ReplyError("NOPERM no")}
    setup = Setup()
    setup.recorder.log_refusals(refusals)
    setup.recorder.log_refusals({f"A{number}": ReplyError("ERR no") for number in range(REFUSALS_SHOWN + 5)})
    first, second = caplog.records
    assert first.getMessage() == (
        "the server refuses CLIENT LIST, SLOWLOG LEN: these metrics are left out, and the exporter asks "
        "again after 10 minutes, then each hour"
    )
    assert vars(first)["err"] == r"ERR no\nsuch thing"
    assert "A29 and 5 more" in second.getMessage()


def test_what_is_not_sent_again_to_a_run_is_not_promised(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    Setup().recorder.log_refusals({"CONFIG GET": ReplyError(f"{HANG_UP} the server closes the connection")})
    (line,) = caplog.records
    assert line.getMessage().endswith("the exporter asks again after a reload or a restart of the server")
