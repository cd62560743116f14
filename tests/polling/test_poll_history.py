"""The newest polls of a target: what they keep, and how much memory that takes."""

from __future__ import annotations

import math
import sys

import pytest

from exporter.connection.dial_times import DialStep, DialTimes
from exporter.errors import REASONS, RefusedError, TargetError
from exporter.metrics.lane import Lane
from exporter.polling.outcome import PollOutcome
from exporter.polling.poll_history import POLLS_MAX, TEXT_BYTES, TEXTS_MAX, PollHistory
from exporter.polling.results import PollResults
from exporter.targets.redaction import NOTHING

ALL = (Lane.FAST, Lane.STANDARD, Lane.SLOW)


def outcome_at(began_at: float, error: TargetError | None = None, received: float = 0) -> PollOutcome:
    results = PollResults(NOTHING, received=received) if error is None else None
    return PollOutcome(results, error, 0.0, began_at, 0.5)


def test_a_poll_comes_back_as_it_was() -> None:
    history = PollHistory()
    outcome = outcome_at(1_700_000_000.125, received=5000)
    outcome.dial = DialTimes()
    outcome.dial.by_step.update({DialStep.DNS: 0.125, DialStep.TLS: 0.0625, DialStep.AUTH: 0.25})
    history.note(outcome, ALL)
    [poll] = history.newest()
    assert (poll.began_at, poll.duration_s, poll.reason) == (1_700_000_000.125, 0.5, "")
    assert (poll.lanes, poll.received, poll.error_text) == (ALL, 5000, "")
    assert (poll.dns_s, poll.connect_s, poll.tls_s, poll.auth_s) == (0.125, 0.0, 0.0625, 0.25)
    assert poll.commands_s == 0.0625


def test_bytes_of_several_nodes_are_not_known() -> None:
    history = PollHistory()
    history.note(outcome_at(1.0, received=math.inf), (Lane.FAST,))
    assert next(history.newest()).received == math.inf


def test_the_newest_come_first_and_the_oldest_go() -> None:
    history = PollHistory()
    for number in range(3 * POLLS_MAX + 5):
        history.note(outcome_at(float(number)), (Lane.FAST,))
    assert [poll.began_at for poll in history.newest()] == list(
        range(3 * POLLS_MAX + 4, 2 * POLLS_MAX + 4, -1)
    )


def test_durations_are_those_of_the_newest_polls() -> None:
    history = PollHistory()
    for number in range(POLLS_MAX + 2):
        history.note(PollOutcome(None, None, 0.0, 0.0, float(number)), (Lane.FAST,))
    assert sorted(history.durations_s()) == [float(number) for number in range(2, POLLS_MAX + 2)]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_known(reason: str) -> None:
    error = TargetError("x")
    error.reason = reason
    history = PollHistory()
    history.note(outcome_at(1.0, error), (Lane.FAST,))
    [poll] = history.newest()
    assert (poll.reason, poll.error_text) == (reason, "x")


def test_scans_are_in_the_history_but_not_among_the_durations() -> None:
    history = PollHistory()
    history.note(outcome_at(1.0), (Lane.SCAN,))
    assert list(history.durations_s()) == []
    history.note(outcome_at(2.0), (Lane.FAST,))
    history.note(outcome_at(3.0), ALL)
    assert history.durations_s() == [0.5, 0.5]
    assert [poll.lanes for poll in history.newest()] == [ALL, (Lane.FAST,), (Lane.SCAN,)]


def test_a_text_stays_with_its_polls_until_others_take_its_place() -> None:
    history = PollHistory()
    history.note(outcome_at(0.0, RefusedError("text 0")), ALL)
    for number in range(TEXTS_MAX + 1):
        history.note(outcome_at(1.0 + number, RefusedError(f"text {number}")), ALL)
    texts = [poll.error_text for poll in history.newest()]
    assert texts == [*(f"text {number}" for number in range(TEXTS_MAX, 0, -1)), "", ""]
    assert {poll.reason for poll in history.newest()} == {"refused"}


def test_a_text_is_cut_between_its_characters() -> None:
    history = PollHistory()
    history.note(outcome_at(1.0, RefusedError("…" * TEXT_BYTES)), ALL)
    assert next(history.newest()).error_text == "…" * (TEXT_BYTES // 3)


def test_a_target_takes_less_than_5_kb() -> None:
    history = PollHistory()
    assert size_of(history) < 2600
    for number in range(10 * POLLS_MAX):
        history.note(outcome_at(1.0, RefusedError(f"{number} {'é' * 1000}")), ALL)
    assert size_of(history) < 5000


def size_of(history: PollHistory) -> int:
    """Bytes of the object and of all that only it has."""
    own = [history, history._records, history._durations_s, history._texts, *history._texts]
    return sum(map(sys.getsizeof, own))
