"""Who may start a traced poll."""

from __future__ import annotations

import pytest

from exporter.status.trace_door import PAUSE_S, TOKEN_S, TraceTokens, TraceTurns

NAMES = ("cache-1", "redis://h:6379", 'a/b "<script>"', "\udc80", "", "é" * 1000)


@pytest.mark.parametrize("name", NAMES)
def test_a_token_is_for_one_target_and_one_process(name: str) -> None:
    tokens = TraceTokens()
    token = tokens.issue(name, 1_000_000.4)
    assert tokens.fits(token, name, 1_000_000.0)
    assert not tokens.fits(token, f"{name}.", 1_000_000.0)
    assert not TraceTokens().fits(token, name, 1_000_000.0)


@pytest.mark.parametrize(
    ("passed_s", "fits"), [(0.0, True), (TOKEN_S - 1, True), (TOKEN_S + 2, False), (-120.0, False)]
)
def test_a_token_holds_for_an_hour(passed_s: float, fits: bool) -> None:
    tokens = TraceTokens()
    assert tokens.fits(tokens.issue("a", 1_000_000.0), "a", 1_000_000.0 + passed_s) is fits


@pytest.mark.parametrize(
    "text", ["", ".", "1000000", "1000000.", "1e6.aa", "²³.aa", "9" * 400 + ".a", "-1.a", "é"]
)
def test_what_is_no_token_does_not_fit(text: str) -> None:
    assert not TraceTokens().fits(text, "a", 1_000_000.0)


def test_another_time_in_the_token_does_not_fit() -> None:
    tokens = TraceTokens()
    moment, _, code = tokens.issue("a", 1_000_000.0).partition(".")
    assert not tokens.fits(f"{int(moment) + 3000}.{code}", "a", 1_003_000.0)


def test_one_runs_at_a_time_and_one_begins_a_second() -> None:
    turns = TraceTurns()
    assert turns.enter(100.0) == 0.0
    assert turns.enter(100.5) == PAUSE_S
    assert turns.enter(109.0) == PAUSE_S  # the first one runs still
    turns.leave()
    assert turns.enter(109.0) == 0.0
    turns.leave()
    assert turns.enter(109.25) == pytest.approx(PAUSE_S - 0.25)
    assert turns.enter(109.0 + PAUSE_S) == 0.0
