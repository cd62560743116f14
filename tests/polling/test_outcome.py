"""How one poll ended."""

from __future__ import annotations

from exporter.polling.outcome import PollOutcome


def test_it_ended_as_long_after_its_beginning_as_it_took() -> None:
    outcome = PollOutcome(None, None, began_at=100.0, wall_at=1_700_000_000.0, duration_s=0.5)
    assert outcome.ended_at == 100.5
    assert not outcome.up_changed
