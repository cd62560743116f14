"""Which scrapers ask for a page, how often, and which of them are remembered.

Anybody can ask, under any name, so the memory is bounded: in all, and for each address. A scraper with a
rhythm never makes room; of the others, the one that was not seen for the longest time does.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.pages.rhythm import ArrivalHistory, Rhythm

#: scrapers of one page that are remembered, and those of them at one address
SCRAPERS_MAX, ADDRESS_MAX = 16, 8
GAP_MIN_S, GAP_MAX_S, GAP_DEFAULT_S = 1.0, 300.0, 60.0
#: Who comes so soon before a steady scraper gets the page that is there. Polls for the steady one may run,
#: and a build would take the processor from them.
SOON_S = 0.5
#: a page is built ahead for this number of its scrapers' intervals
ASKED_GAPS = 3


class Scraper(NamedTuple):
    """Where requests come from, and which program sends them: safe texts of bounded length."""

    address: str
    program: str


def address_of(scraper: Hashable) -> Hashable:
    return scraper[0] if isinstance(scraper, tuple) and scraper else scraper


@dataclass(slots=True, eq=False)
class Habit:
    """How often one scraper asks: in a rhythm, or else with its last two gaps, which are expected
    alternately. So a scraper that comes in pairs is expected as it comes, and not always after the shorter
    gap."""

    asked_at: float
    gap_s: float = GAP_DEFAULT_S
    gap_before_s: float = GAP_DEFAULT_S
    history: ArrivalHistory = field(default_factory=ArrivalHistory)

    def __post_init__(self) -> None:
        self.history.arrive(self.asked_at)

    def ask(self, now: float) -> None:
        self.history.arrive(now)
        self.gap_before_s = self.gap_s
        self.gap_s = min(max(now - self.asked_at, GAP_MIN_S), GAP_MAX_S)
        self.asked_at = now

    def has_gone(self, now: float) -> bool:
        return now - self.asked_at > ASKED_GAPS * max(self.gap_s, self.gap_before_s)

    def expected_after(self, moment: float) -> float:
        """When it comes next, after `moment`."""
        if self.history.rhythms:
            return min(rhythm.next_after(moment) for rhythm in self.history.rhythms)
        both_s = self.gap_before_s + self.gap_s
        begun = self.asked_at + int((moment - self.asked_at) / both_s) * both_s
        first = begun + self.gap_before_s
        return first if first > moment else begun + both_s


class Scrapers:
    """The scrapers of one page."""

    __slots__ = ("habits",)

    def __init__(self) -> None:
        #: least recently seen first
        self.habits: OrderedDict[Hashable, Habit] = OrderedDict()

    def note(self, scraper: Hashable, now: float) -> None:
        """Note that a scraper asks now."""
        known = self.habits.get(scraper)
        if known is not None:
            known.ask(now)
            self.habits.move_to_end(scraper)
        elif self._make_room(address_of(scraper), now):
            self.habits[scraper] = Habit(now)

    def _make_room(self, address: Hashable, now: float) -> bool:
        """Whether there is room for one more scraper of an address."""
        own = [scraper for scraper in self.habits if address_of(scraper) == address]
        if len(own) >= ADDRESS_MAX:
            candidates = own
        elif len(self.habits) >= SCRAPERS_MAX:
            candidates = list(self.habits)
        else:
            return True
        for scraper in candidates:
            history = self.habits[scraper].history
            history.forget(now)
            if not history.rhythms:
                del self.habits[scraper]
                return True
        return False

    def forget_gone(self, now: float) -> None:
        """Forget scrapers that come no more."""
        for scraper in [scraper for scraper, habit in self.habits.items() if habit.has_gone(now)]:
            del self.habits[scraper]

    def expected_after(self, moment: float) -> float:
        """When a page is needed next, after `moment`: mostly when the next scraper comes. Infinity if nobody
        is expected."""
        steady_at = self.steady_after(moment)
        first_at = min([habit.expected_after(moment) for habit in self.habits.values()], default=math.inf)
        return steady_at if steady_at - first_at < SOON_S else first_at

    def steady_after(self, moment: float) -> float:
        """When the next scraper that has a rhythm comes, after `moment`; infinity: there is none."""
        return min(
            (rhythm.next_after(moment) for habit in self.habits.values() for rhythm in habit.history.rhythms),
            default=math.inf,
        )

    def rhythms(self, now: float) -> dict[Hashable, Sequence[Rhythm]]:
        """Those with a rhythm."""
        found: dict[Hashable, Sequence[Rhythm]] = {}
        for scraper, habit in self.habits.items():
            habit.history.forget(now)
            if habit.history.rhythms:
                found[scraper] = habit.history.rhythms
        return found

    def steady_since(self, now: float) -> float:
        """When the first scraper that has a rhythm now began to come; infinity if none has one."""
        return min(
            (rhythm.first_at for rhythms in self.rhythms(now).values() for rhythm in rhythms),
            default=math.inf,
        )
