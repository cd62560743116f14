"""Which time slot suits a target that is scraped by itself, with `/scrape`: the last one before its scraper
comes. The scraper that has kept its rhythm for the longest time decides."""

from __future__ import annotations

import time

from exporter.fleet.poll_group import SLOTS, slot_of
from exporter.pages.rhythm import ArrivalHistory, intervals_in

#: how long before a scrape a slot ends: a time and some polls, but no larger part of the interval
LEAD_S, LEAD_POLLS, LEAD_PART = 0.03, 2, 0.25
#: a slot that begins earlier by no more slots than this is kept
KEPT_SLOTS = 1.5


class ScrapeSlots:
    """Learns from requests. A target that nobody scrapes by itself has the slot of its address."""

    def __init__(self) -> None:
        self._histories: dict[str, ArrivalHistory] = {}
        self._slots: dict[str, int] = {}

    def slot(self, key: str) -> int:
        return self._slots.get(key, slot_of(key))

    def note(self, key: str, now: float, interval_s: float, poll_s: float) -> bool:
        """Note a scrape at `now` (monotonic) of a target whose polls take `poll_s`. Returns whether it has
        another slot from now on."""
        history = self._histories.setdefault(key, ArrivalHistory())
        history.arrive(now)
        in_step = [rhythm for rhythm in history.rhythms if intervals_in(rhythm, interval_s)]
        if not in_step:
            return False
        lead_s = min(LEAD_S + LEAD_POLLS * poll_s, LEAD_PART * interval_s)
        polled_by = (in_step[0].at - lead_s + time.time() - time.monotonic()) % interval_s
        slot_s = interval_s / SLOTS
        apart_s = interval_s / max(1, round(interval_s / in_step[0].period_s))  # of scrapes in one interval
        if (polled_by - self.slot(key) * slot_s) % apart_s <= KEPT_SLOTS * slot_s:
            return False
        self._slots[key] = int(polled_by / slot_s) % SLOTS
        return True

    def forget(self, key: str) -> None:
        """The target is removed."""
        self._histories.pop(key, None)
        self._slots.pop(key, None)
