"""Which targets are polled in step with which scrapers: in bursts that end just before a page is fetched.

Targets that follow the same page form a group. A target follows the page that shows it and has been scraped
in a rhythm for the longest time. The burst of a group begins so that all its polls have ended, and the page
is built, when the oldest of the page's steady scrapers comes.

Anybody can scrape, in any rhythm, and must not make the values of others older. So only one more scraper
counts: a twin of the first one (the same program and the same period), as in a pair of Prometheus servers. A
twin at another address counts at once, a twin at the same address when it has kept its rhythm for a while.
The burst is then for the one of the two after which the other comes sooner: so neither finds values older
than half the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.pages.rhythm import LIKENESS, Rhythm, ages_s, best_moment, intervals_in
from exporter.pages.scrapers import address_of
from exporter.pages.selection import WHOLE, Selection
from exporter.safe_text import plain

#: how long each target of a burst takes, and its last polls
TARGET_S, LAST_POLLS_S = 0.0002, 0.03
#: a burst takes no larger part of the interval; larger groups are polled over the whole interval
WINDOW_PART = 0.25

#: rhythms are read again after this time, though nobody has come: scrapers that have gone are forgotten
LOOK_S = 10.0
#: how long a twin at the first scraper's own address has to come before it counts
SETTLED_S = 600.0
#: length of a scraper's name as a label's value, and scrapers that have one
NAME_MAX, NAMED_MAX = 120, 64

#: the page that a target follows; () if it follows none
ScraperGroup = tuple[Selection, ...]
Rhythms = Mapping[Selection, Mapping[Hashable, Sequence[Rhythm]]]


@dataclass(frozen=True, slots=True)
class Burst:
    """The moment (monotonic) at which the polls of a group begin, the number of intervals until the next
    ones, and the moment of the scrape that they are for."""

    begins_at: float
    every: int
    met_at: float


class Alignment:
    """`rhythms` returns those of all pages at a moment, `shows` whether a target is on a page, `lead_s` how
    long before its scrape the build of a page begins. With `follow`, a group whose scrapers are slower than
    its interval is polled as often as they come. `scrapes` counts them: rhythms change with them."""

    def __init__(
        self,
        rhythms: Callable[[float], Rhythms],
        shows: Callable[[Selection, str], bool],
        lead_s: Callable[[], float],
        *,
        follow: bool = False,
        scrapes: Callable[[], int] | None = None,
    ) -> None:
        self._read = rhythms
        self._scrapes = scrapes
        self._seen = (-1, 0.0)  # the scrapes at the newest look, and until when it counts
        self._shows = shows
        self._lead_s = lead_s
        self._follow = follow
        self._rhythms: Rhythms = {}
        self._named: list[tuple[Selection, str, Sequence[Rhythm]]] = []
        self._now = 0.0

    def update(self, now: float) -> ScraperGroup:
        """Learn which scrapers have a rhythm now. Returns the pages that they ask for, the one that was asked
        for first at the front: if these change, so do the groups."""
        scrapes = self._scrapes() if self._scrapes is not None else None
        self._now = now
        if scrapes == self._seen[0] and now < self._seen[1]:
            return tuple(self._rhythms)
        if scrapes is not None:
            self._seen = (scrapes, now + LOOK_S)
        found = self._read(now)
        self._rhythms = {
            selection: found[selection]
            for selection in sorted(found, key=lambda selection: _first_at(found[selection]))
        }
        self._named = self._first_ones()
        return tuple(self._rhythms)

    def group_of(self, addr: str) -> ScraperGroup:
        for selection in self._rhythms:
            if self._shows(selection, addr):
                return (selection,)
        return ()

    def burst(
        self, group: ScraperGroup, interval_s: float, targets: int, before: Burst | None = None
    ) -> Burst | None:
        """When a group of this many targets is polled. None: no scraper is in step with it, or it is too
        large. The burst is for the same scrape as the one `before`, unless another choice is much better."""
        window_s = TARGET_S * targets + LAST_POLLS_S
        rhythms = [rhythm for _, rhythm in self._of(group)]
        met_at = best_moment(
            self._deciding(group, interval_s), interval_s, before.met_at if before is not None else None
        )
        if met_at is None or window_s > WINDOW_PART * interval_s:
            return None
        every = (
            min(intervals_in(rhythm, interval_s) for rhythm in rhythms if intervals_in(rhythm, interval_s))
            if self._follow
            else 1
        )
        return Burst(met_at - self._lead_s() - window_s, every, met_at)

    def periods_s(self) -> dict[str, float]:
        """The period of each scraper that has a rhythm; of several that look alike, the shortest."""
        return {who: min(rhythm.period_s for rhythm in rhythms) for _, who, rhythms in self._named}

    def ages_s(self, bursts: Iterable[tuple[ScraperGroup, float, Burst]]) -> dict[str, float]:
        """The age of the oldest values that each scraper will find, from the bursts of groups with intervals
        in seconds."""
        ages: dict[str, float] = {}
        for group, interval_s, burst in bursts:
            for selection, who, rhythms in self._named:
                if selection in group or selection == WHOLE:
                    moments = [rhythm.at for rhythm in rhythms]
                    ages[who] = max(
                        ages.get(who, 0.0), *ages_s(moments, burst.begins_at, interval_s * burst.every)
                    )
        return ages

    def _first_ones(self) -> list[tuple[Selection, str, Sequence[Rhythm]]]:
        """The scrapers that have names: those that have come for the longest time."""
        all_of_them = [
            (selection, scraper, rhythms)
            for selection, scrapers in self._rhythms.items()
            for scraper, rhythms in scrapers.items()
        ]
        all_of_them.sort(key=lambda each: min(rhythm.first_at for rhythm in each[2]))
        return [
            (selection, scraper_name(scraper, selection), rhythms)
            for selection, scraper, rhythms in all_of_them[:NAMED_MAX]
        ]

    def _of(self, group: Iterable[Selection]) -> list[tuple[Hashable, Rhythm]]:
        return [
            (scraper, rhythm)
            for selection in group
            for scraper, rhythms in self._rhythms.get(selection, {}).items()
            for rhythm in rhythms
        ]

    def _deciding(self, group: ScraperGroup, interval_s: float) -> list[Rhythm]:
        """The rhythms that decide when a group is polled: see the module."""
        in_step = [each for each in self._of(group) if intervals_in(each[1], interval_s)]
        in_step.sort(key=lambda each: each[1].first_at)
        for scraper, rhythm in in_step[1:]:
            if self._is_twin(in_step[0], scraper, rhythm):
                return [in_step[0][1], rhythm]
        return [rhythm for _, rhythm in in_step[:1]]

    def _is_twin(self, first: tuple[Hashable, Rhythm], scraper: Hashable, rhythm: Rhythm) -> bool:
        alike = (
            _program(scraper) == _program(first[0])
            and abs(rhythm.period_s - first[1].period_s) <= LIKENESS * first[1].period_s
        )
        return alike and (
            address_of(scraper) != address_of(first[0]) or self._now - rhythm.first_at >= SETTLED_S
        )


def _first_at(scrapers: Mapping[Hashable, Sequence[Rhythm]]) -> float:
    return min(rhythm.first_at for rhythms in scrapers.values() for rhythm in rhythms)


def _program(scraper: Hashable) -> Hashable:
    return scraper[1] if isinstance(scraper, tuple) else None


def scraper_name(scraper: Hashable, selection: Selection) -> str:
    """A scraper as a label's value: its address and program, and the page it asks for."""
    words = [str(word) for word in (scraper if isinstance(scraper, tuple) else (scraper,)) if word]
    page = {
        "part": selection.part,
        "group": selection.group,
        "name[]": selection.names and "…",
    }
    words += [f"{name}={text}" for name, text in page.items() if text]
    return plain(" ".join(words), NAME_MAX)
