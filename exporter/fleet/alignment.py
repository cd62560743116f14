"""Which targets are polled in step with whom: the bursts that end just before a page is fetched.

Targets that follow the same page form a group: of the pages that show a target, the one that has been scraped
in a rhythm for the longest time. The group's burst goes out so that all its polls have ended, and the page is
built, when the scraper comes that has come for the longest time.

Anybody can scrape, in any rhythm, and must not make the values of others older by it. So only one more
scraper has a say: one that looks like the first one's twin (the same program and the same period), as the two
Prometheus servers of a pair do. A twin at another address has it at once, one at the same address when it has
kept its rhythm for a while. Then the burst goes to the one of the two after which the other comes sooner:
neither finds values that are older than half the interval by it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.pages.rhythm import LIKENESS, Rhythm, ages_s, best_moment, intervals_in
from exporter.pages.scrapers import address_of
from exporter.pages.selection import WHOLE, Selection
from exporter.texts import plain

#: what the targets of a burst take, and its last polls
TARGET_S, LAST_POLLS_S = 0.0002, 0.03
#: a burst that takes a larger part of the interval is none
WINDOW_PART = 0.25

#: how long a twin at the first scraper's own address has to come before it has a say
SETTLED_S = 600.0
#: of a scraper's name as a label's value, and scrapers that are named
NAME_MAX, NAMED_MAX = 120, 64

#: the page that a target follows; () if it follows nobody
Group = tuple[Selection, ...]
Rhythms = Mapping[Selection, Mapping[Hashable, Sequence[Rhythm]]]


@dataclass(frozen=True, slots=True)
class Burst:
    """A moment (monotonic) at which the polls of a group begin, how many intervals later the next ones do,
    and the scrape that they are for."""

    begins_at: float
    every: int
    met_at: float


class Alignment:
    """`rhythms` gives those of all pages at a moment, `shows` whether a target is on a page, `lead_s` how
    long before its scrape a page is begun. With `follow` a group whose scrapers are slower than its interval
    is polled as often as they come."""

    def __init__(
        self,
        rhythms: Callable[[float], Rhythms],
        shows: Callable[[Selection, str], bool],
        lead_s: Callable[[], float],
        *,
        follow: bool = False,
    ) -> None:
        self._read = rhythms
        self._shows = shows
        self._lead_s = lead_s
        self._follow = follow
        self._rhythms: Rhythms = {}
        self._named: list[tuple[Selection, str, Sequence[Rhythm]]] = []
        self._now = 0.0

    def update(self, now: float) -> Group:
        """Look who comes in a rhythm now. The pages that they ask for, the one that was asked for first
        before the others: if these change, so do the groups."""
        found = self._read(now)
        self._rhythms = {
            selection: found[selection]
            for selection in sorted(found, key=lambda selection: _first_at(found[selection]))
        }
        self._named = self._first_ones()
        self._now = now
        return tuple(self._rhythms)

    def group_of(self, addr: str) -> Group:
        for selection in self._rhythms:
            if self._shows(selection, addr):
                return (selection,)
        return ()

    def burst(
        self, group: Group, interval_s: float, targets: int, before: Burst | None = None
    ) -> Burst | None:
        """When a group of so many targets is to be polled; None if no scraper is in step with it, or it is
        too large. For the scrape that the one `before` is for, unless another choice is much better."""
        window_s = TARGET_S * targets + LAST_POLLS_S
        rhythms = [rhythm for _, rhythm in self._of(group)]
        met_at = best_moment(
            self._heard(group, interval_s), interval_s, before.met_at if before is not None else None
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
        """How often each scraper comes that has a rhythm, the shortest of several that look alike."""
        return {who: min(rhythm.period_s for rhythm in rhythms) for _, who, rhythms in self._named}

    def ages_s(self, bursts: Iterable[tuple[Group, float, Burst]]) -> dict[str, float]:
        """How old the oldest values will be that each scraper finds, by the bursts of groups at intervals
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
        """The scrapers that are named: those that have come for the longest time."""
        all_of_them = [
            (selection, reader, rhythms)
            for selection, readers in self._rhythms.items()
            for reader, rhythms in readers.items()
        ]
        all_of_them.sort(key=lambda each: min(rhythm.first_at for rhythm in each[2]))
        return [
            (selection, _name(reader, selection), rhythms)
            for selection, reader, rhythms in all_of_them[:NAMED_MAX]
        ]

    def _of(self, group: Iterable[Selection]) -> list[tuple[Hashable, Rhythm]]:
        return [
            (reader, rhythm)
            for selection in group
            for reader, rhythms in self._rhythms.get(selection, {}).items()
            for rhythm in rhythms
        ]

    def _heard(self, group: Group, interval_s: float) -> list[Rhythm]:
        """The rhythms that decide when a group is polled: see the module."""
        in_step = [(reader, rhythm) for reader, rhythm in self._of(group) if intervals_in(rhythm, interval_s)]
        in_step.sort(key=lambda each: each[1].first_at)
        for reader, rhythm in in_step[1:]:
            if self._is_twin(in_step[0], reader, rhythm):
                return [in_step[0][1], rhythm]
        return [rhythm for _, rhythm in in_step[:1]]

    def _is_twin(self, first: tuple[Hashable, Rhythm], reader: Hashable, rhythm: Rhythm) -> bool:
        alike = (
            _program(reader) == _program(first[0])
            and abs(rhythm.period_s - first[1].period_s) <= LIKENESS * first[1].period_s
        )
        return alike and (
            address_of(reader) != address_of(first[0]) or self._now - rhythm.first_at >= SETTLED_S
        )


def _first_at(readers: Mapping[Hashable, Sequence[Rhythm]]) -> float:
    return min(rhythm.first_at for rhythms in readers.values() for rhythm in rhythms)


def _program(reader: Hashable) -> Hashable:
    return reader[1] if isinstance(reader, tuple) else None


def _name(reader: Hashable, selection: Selection) -> str:
    """A scraper as a label's value: its address and program, and the page it asks for."""
    words = [str(word) for word in (reader if isinstance(reader, tuple) else (reader,)) if word]
    page = {
        "part": selection.slice and "{}/{}".format(*selection.slice),
        "group": selection.group,
        "name[]": selection.names and "…",
    }
    words += [f"{name}={text}" for name, text in page.items() if text]
    return plain(" ".join(words), NAME_MAX)
