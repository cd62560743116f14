"""When a target is up, down, and left alone."""

from __future__ import annotations

import math

import pytest

from exporter.errors import AuthError, DnsError, RefusedError, TargetError
from exporter.metrics.lane import Lane
from exporter.polling.health import Health, HealthStatus
from exporter.polling.outcome import PollOutcome
from exporter.polling.timing import PollTiming

TIMING = PollTiming(
    10.0,
    dict.fromkeys(Lane, 1),
    1.0,
    scan_deadline_s=1.0,
    max_backoff_s=12.0,
    connection_max_age_s=60.0,
    max_age_s=0.0,
)
REFUSED = RefusedError("redis://h:6379: nobody listens")


def note(health: Health, error: TargetError | None = None, began_at: float = 100.0) -> PollOutcome:
    outcome = PollOutcome(None, error, began_at, 1_700_000_000.0 + began_at, 0.5)
    health.note(outcome, TIMING, 1)
    return outcome


def test_before_the_first_poll_nothing_is_known() -> None:
    assert Health().status() == HealthStatus(None, "", "", 0, ())
    assert Health().down_at == math.inf


def test_a_poll_that_goes_well() -> None:
    health = Health()
    outcome = note(health)
    assert (health.up, health.reason, health.error_text) == (True, "", "")
    assert (health.began_at, health.down_at, health.retry_at) == (100.0, 120.0, 0.0)
    assert outcome.up_changed
    assert not note(health).up_changed


def test_a_poll_that_fails() -> None:
    health = Health()
    outcome = note(health, REFUSED)
    assert (health.up, health.reason, health.error_text) == (False, "refused", str(REFUSED))
    assert health.down_at == math.inf
    assert outcome.up_changed
    assert not note(health, REFUSED).up_changed
    assert note(health).up_changed


def test_the_newest_error_is_the_reason() -> None:
    health = Health()
    for error in (DnsError("no such name"), AuthError("no")):
        note(health, error)
    assert (health.reason, health.error_text) == ("auth", "no")


@pytest.mark.parametrize(("failures", "pause_s"), [(1, None), (2, 12.0), (3, 12.0), (9, 12.0)])
def test_from_the_second_failure_on_it_is_left_alone(failures: int, pause_s: float | None) -> None:
    health = Health()
    for _ in range(failures):
        note(health, REFUSED)
    assert health.failures == failures
    assert health.retry_at == (0.0 if pause_s is None else 100.0 + pause_s)
    note(health)
    assert (health.failures, health.retry_at) == (0, 0.0)


def test_with_turns_further_apart_it_is_down_later() -> None:
    health = Health()
    health.note(PollOutcome(None, None, 100.0, 0.0, 0.5), TIMING, 3)
    assert health.down_at == 160.0


def test_expired_it_is_down_until_a_poll_goes_well() -> None:
    health = Health()
    note(health)
    health.expire("redis://h:6379", 1_700_000_200.0)
    assert (health.up, health.reason, health.down_at) == (False, "timeout", math.inf)
    assert health.error_text == "redis://h:6379: no poll that ended began within two intervals"
    assert health.failures == 0
    assert health.since == 1_700_000_200.0
    assert note(health).up_changed


def test_a_state_begins_at_the_end_of_the_poll_that_changes_it() -> None:
    health = Health(1_700_000_000.0)
    assert health.since == 1_700_000_000.0
    for began_at, error, since in ((100.0, None, 100.5), (110.0, None, 100.5), (120.0, REFUSED, 120.5)):
        note(health, error, began_at)
        assert health.since == 1_700_000_000.0 + since
    health.forget(1_700_000_300.0)
    assert (health.up, health.since) == (None, 1_700_000_300.0)


def test_its_history_has_the_newest_polls_first() -> None:
    health = Health()
    note(health, began_at=1.0)
    note(health, REFUSED, began_at=2.0)
    polls = health.status().polls
    assert [(poll.began_at, poll.duration_s, poll.reason) for poll in polls] == [
        (1_700_000_002.0, 0.5, "refused"),
        (1_700_000_001.0, 0.5, ""),
    ]
    assert polls == tuple(health.history.newest())


def test_a_state_from_before_a_restart_goes_on_if_the_first_poll_finds_it() -> None:
    for error, since in ((None, 1_600_000_000.0), (REFUSED, 1_700_000_100.5)):
        health = Health(1_700_000_000.0)
        health.resumed = (True, 1_600_000_000.0)
        note(health, error)
        assert health.since == since
        note(health, None if error else REFUSED, 110.0)
        assert health.since == 1_700_000_110.5
