"""What a row says of its target."""

from __future__ import annotations

import time

import pytest

from exporter.errors import RefusedError, ReplyError
from exporter.metrics.lane import Lane
from exporter.protocol.facts import Facts
from exporter.status.rows import LaneAge, name_of, next_poll_s, percentiles_s, row_of, version_of
from exporter.targets.address import parse_address
from tests.status.members import FACTS, Members, end
from tests.store_fixture import PATIENCE_S
from tests.watch_harness import INTERVAL_S


@pytest.fixture
def members() -> Members:
    return Members()


def test_before_the_first_poll_nothing_is_known(members: Members) -> None:
    before = time.time()
    watched = members.harness.watched(6379, "new")
    row = row_of(watched, time.monotonic(), time.time())
    assert (row.key, row.name, row.alias, row.address) == (
        "redis://new:6379",
        "new:6379",
        "",
        "redis://new:6379",
    )
    assert (row.state, row.reason, row.error_text, row.role, row.version) == ("unknown", "", "", "", "")
    assert row.since is not None
    assert before <= row.since <= time.time()
    assert [(lane.lane, lane.age_s, lane.is_stale) for lane in row.lanes] == [
        ("fast", None, False),
        ("standard", None, False),
    ]
    assert (row.poll_p50_s, row.poll_p99_s, row.next_poll_s, row.cost_ratio) == (None, None, None, None)
    assert (row.series, row.refused, row.reconnects) == (0, 0, 0)


def test_of_a_target_that_is_up(members: Members) -> None:
    watched = members.add("up", "up", since_s=90.0, alias="cache", labels=(("env", "live"),))
    watched.ticked_at = now = time.monotonic()
    state = watched.state
    state.series.series, watched.connection.reconnects = 1234, 2
    state.memory.refusals.add("CONFIG", ReplyError("NOPERM no"), now)
    state.cost.poll_s = {Lane.FAST: 0.001, Lane.STANDARD: 0.006}
    row = row_of(watched, now, time.time())
    assert (row.name, row.alias, row.address) == ("cache", "cache", "redis://up:6379")
    assert (row.state, row.role, row.version, dict(row.labels)) == ("up", "master", "7.2.4", {"env": "live"})
    assert row.since == pytest.approx(time.time() - 90.0, abs=PATIENCE_S)
    assert (row.series, row.refused, row.reconnects) == (1234, 1, 2)
    assert row.next_poll_s == pytest.approx(INTERVAL_S)
    assert row.cost_ratio == pytest.approx((0.001 + 0.006 / 3) / INTERVAL_S)
    fast, standard = row.lanes
    limit_s = watched.timing.expiry_s(Lane.STANDARD)
    assert standard == LaneAge("standard", standard.age_s, limit_s, False)
    assert standard.age_s is not None
    assert 0.99 <= standard.age_s < PATIENCE_S
    assert fast.limit_s < limit_s


def test_of_a_target_that_is_down(members: Members) -> None:
    watched = members.add("gone", "down", since_s=5.0)
    row = row_of(watched, time.monotonic(), time.time())
    assert (row.state, row.reason, row.error_text) == ("down", "refused", "gone:6379: nobody listens")


def test_an_error_stays_on_its_line_and_is_cut(members: Members) -> None:
    watched = members.add("gone")
    end(watched, RefusedError("first\nsecond \x1b[31m" + "x" * 1000))
    text = row_of(watched, 0.0, 0.0).error_text
    assert text.startswith("first\\nsecond \\x1b[31mxxx")
    assert len(text) < 520


def test_of_a_paused_target_only_that_is_known(members: Members) -> None:
    row = row_of(members.add("still", "paused"), time.monotonic(), time.time())
    assert (row.state, row.lanes) == ("paused", ())
    assert row.paused_until == pytest.approx(time.time() + 60, abs=PATIENCE_S)
    assert row.next_poll_s == pytest.approx(60, abs=PATIENCE_S)


def test_of_targets_that_others_name_or_have(members: Members) -> None:
    adopted = row_of(members.add("asked", source="adopted", variant="x"), 0.0, 0.0)
    assert (adopted.source, adopted.key) == ("adopted", "redis://asked:6379 x")
    assert row_of(members.add("theirs", elsewhere=True), 0.0, 0.0).is_elsewhere


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("redis://h:6379/2", "h:6379/2"),
        ("rediss://h:6379", "rediss://h:6379"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis://[::1]:6379", "[::1]:6379"),
    ],
)
def test_a_name_without_scheme_is_read_as_the_same_address(address: str, name: str) -> None:
    target = parse_address(address)
    assert name_of(target) == name
    assert parse_address(name).addr == target.addr


class TestNextPoll:
    def test_is_the_next_turn(self, members: Members) -> None:
        watched = members.add("h", "up")
        watched.ticked_at = 100.0
        assert next_poll_s(watched, 100.05, 0.0) == pytest.approx(INTERVAL_S - 0.05)

    def test_waits_for_the_back_off(self, members: Members) -> None:
        watched = members.add("h", "down")
        watched.ticked_at, watched.health.retry_at = 100.0, 100.0 + 1.5 * INTERVAL_S
        assert next_poll_s(watched, 100.05, 0.0) == pytest.approx(2 * INTERVAL_S - 0.05)

    def test_of_a_late_turn_is_the_one_after(self, members: Members) -> None:
        watched = members.add("h", "up")
        watched.ticked_at = 100.0
        assert next_poll_s(watched, 100.0 + 1.25 * INTERVAL_S, 0.0) == pytest.approx(0.75 * INTERVAL_S)


@pytest.mark.parametrize(
    ("durations_s", "found"),
    [
        ([], (None, None)),
        ([1.0], (1.0, 1.0)),
        ([3.0, 1.0, 2.0], (2.0, 3.0)),
        (list(range(1, 201)), (100, 198)),
    ],
)
def test_percentiles(durations_s: list[float], found: tuple[float | None, float | None]) -> None:
    assert percentiles_s(durations_s) == found


def test_a_version_names_its_server_unless_it_is_redis() -> None:
    valkey = Facts((7, 2, 4), "valkey", "master", "standalone", "r", False, False, 16, (8, 0, 1))
    assert [version_of(facts) for facts in (None, FACTS, valkey)] == ["", "7.2.4", "valkey 8.0.1"]
