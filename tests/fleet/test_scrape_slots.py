"""Which time slot a target has that is scraped by itself."""

from __future__ import annotations

import time

import pytest

from exporter.fleet.poll_group import SLOTS, slot_of
from exporter.fleet.scrape_slots import LEAD_S, ScrapeSlots

KEY, INTERVAL_S, SLOT_S = "redis://h:1", 10.0, 10.0 / SLOTS
BEGIN_S = 1000.0


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock and the monotonic one show the same."""
    monkeypatch.setattr(time, "time", lambda: BEGIN_S)
    monkeypatch.setattr(time, "monotonic", lambda: BEGIN_S)


def scraped(
    slots: ScrapeSlots, first_s: float, period_s: float, times: int, poll_s: float = 0.0
) -> list[bool]:
    """Some scrapes, the first one so long after the begin of an interval. Whether each moved the target."""
    return [
        slots.note(KEY, BEGIN_S + first_s + number * period_s, INTERVAL_S, poll_s) for number in range(times)
    ]


def age_s(slots: ScrapeSlots, scrape_s: float) -> float:
    """How long before a scrape the target's slot begins."""
    return (scrape_s - slots.slot(KEY) * SLOT_S) % INTERVAL_S


def test_is_that_of_its_address_at_first() -> None:
    slots = ScrapeSlots()
    assert slots.slot(KEY) == slot_of(KEY)
    assert scraped(slots, 3.5, INTERVAL_S, 2) == [False, False]
    assert slots.slot(KEY) == slot_of(KEY)


@pytest.mark.parametrize("scrape_s", [number / 4 for number in range(40)])
@pytest.mark.parametrize("periods", [1, 0.5, 3])
def test_a_rhythm_moves_it_once_to_the_slot_before_the_scrape(scrape_s: float, periods: float) -> None:
    slots = ScrapeSlots()
    moves = scraped(slots, scrape_s, periods * INTERVAL_S, 30)
    assert sum(moves) <= 1
    period_s = min(INTERVAL_S, periods * INTERVAL_S)
    assert LEAD_S <= age_s(slots, scrape_s) % period_s <= LEAD_S + 1.5 * SLOT_S + 0.001


def test_a_poll_that_takes_long_begins_earlier() -> None:
    slots = ScrapeSlots()
    scraped(slots, 5.0, INTERVAL_S, 3, poll_s=1.0)
    assert age_s(slots, 5.0) >= 2.0
    scraped(slots, 5.0 + 3 * INTERVAL_S, INTERVAL_S, 3, poll_s=1000.0)  # no longer than a quarter
    assert age_s(slots, 5.0) <= INTERVAL_S / 4 + 2 * SLOT_S


def test_a_period_that_is_no_multiple_moves_nothing() -> None:
    slots = ScrapeSlots()
    assert not any(scraped(slots, 3.0, 0.7 * INTERVAL_S, 20))


def test_another_scraper_moves_nothing_while_the_first_one_comes() -> None:
    slots = ScrapeSlots()
    scraped(slots, 3.0, INTERVAL_S, 3)
    slot = slots.slot(KEY)
    for number in range(3, 20):
        for scrape_s in (3.0, 8.0):
            slots.note(KEY, BEGIN_S + scrape_s + number * INTERVAL_S, INTERVAL_S, 0.0)
    assert slots.slot(KEY) == slot


def test_jitter_moves_nothing() -> None:
    slots = ScrapeSlots()
    scraped(slots, 3.02, INTERVAL_S, 3)
    slot = slots.slot(KEY)
    for number in range(3, 40):
        jitter_s = 0.1 * (number % 3 - 1)
        slots.note(KEY, BEGIN_S + 3.02 + jitter_s + number * INTERVAL_S, INTERVAL_S, 0.0)
    assert slots.slot(KEY) == slot


def test_a_target_that_is_removed_begins_again() -> None:
    slots = ScrapeSlots()
    scraped(slots, (slot_of(KEY) * SLOT_S + 5) % INTERVAL_S, INTERVAL_S, 3)
    assert slots.slot(KEY) != slot_of(KEY)
    slots.forget(KEY)
    assert slots.slot(KEY) == slot_of(KEY)
    slots.forget("redis://unknown:1")
