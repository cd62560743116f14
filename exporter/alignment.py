"""Which targets are polled in step with whom: the bursts that end just before a page is fetched.

Targets that are on the same pages form a group. Its burst goes out so that all its polls have ended, and the page is built,
when the scraper comes who would find the oldest values otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from exporter.cadence import Rhythm, ages_s, intervals_in, meeting
from exporter.exposition import Selection

#: what the targets of a burst take, and its last polls
TARGET_S, LAST_POLLS_S = 0.0002, 0.03
#: a burst that takes a larger part of the interval is none
WINDOW_PART = 0.25

#: of a scraper's name as a label's value
NAME_MAX = 120

#: the pages that show a target, of those whose readers have a rhythm
Group = tuple[Selection, ...]
Rhythms = Mapping[Selection, Mapping[Hashable, Sequence[Rhythm]]]


@dataclass(frozen=True, slots=True)
class Burst:
    """A moment (monotonic) at which the polls of a group begin, how many intervals later the next ones do, and the scrape
    that they are for."""

    begins_at: float
    every: int
    met_at: float


class Alignment:
    """`rhythms` gives those of all pages at a moment, `shows` whether a target is on a page, `lead_s` how long before its
    scrape a page is begun. With `follow` a group whose scrapers are slower than its interval is polled as often as they come."""

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

    def update(self, now: float) -> frozenset[Selection]:
        """Look who comes in a rhythm now. The pages that they ask for: if these change, so do the groups."""
        self._rhythms = self._read(now)
        return frozenset(self._rhythms)

    def group_of(self, addr: str) -> Group:
        return tuple(selection for selection in self._rhythms if self._shows(selection, addr))

    def burst(self, group: Group, interval_s: float, targets: int, before: Burst | None = None) -> Burst | None:
        """When a group of so many targets is to be polled; None if no scraper is in step with it, or it is too large. For the
        scrape that the one `before` is for, unless another choice is much better."""
        window_s = TARGET_S * targets + LAST_POLLS_S
        rhythms = self._of(group)
        met_at = meeting(rhythms, interval_s, before.met_at if before is not None else None)
        if met_at is None or window_s > WINDOW_PART * interval_s:
            return None
        every = min(intervals_in(rhythm, interval_s) for rhythm in rhythms if intervals_in(rhythm, interval_s)) if self._follow else 1
        return Burst(met_at - self._lead_s() - window_s, every, met_at)

    def periods_s(self) -> dict[str, float]:
        """How often each scraper comes that has a rhythm, the shortest of several that look alike."""
        return {who: min(rhythm.period_s for rhythm in rhythms) for _, who, rhythms in self._scrapers()}

    def ages_s(self, bursts: Iterable[tuple[Group, float, Burst]]) -> dict[str, float]:
        """How old the oldest values will be that each scraper finds, by the bursts of groups at intervals in seconds."""
        ages: dict[str, float] = {}
        for group, interval_s, burst in bursts:
            for selection, who, rhythms in self._scrapers():
                if selection in group:
                    moments = [rhythm.at for rhythm in rhythms]
                    ages[who] = max(ages.get(who, 0.0), *ages_s(moments, burst.begins_at, interval_s * burst.every))
        return ages

    def _scrapers(self) -> Iterator[tuple[Selection, str, Sequence[Rhythm]]]:
        for selection, readers in self._rhythms.items():
            for reader, rhythms in readers.items():
                yield selection, _name(reader, selection), rhythms

    def _of(self, group: Iterable[Selection]) -> list[Rhythm]:
        return list(chain.from_iterable(chain.from_iterable(self._rhythms.get(selection, {}).values()) for selection in group))


def _name(reader: Hashable, selection: Selection) -> str:
    """A scraper as a label's value: its address and program, and the page it asks for."""
    words = [str(word) for word in (reader if isinstance(reader, tuple) else (reader,)) if word]
    page = {"part": selection.shard and "{}/{}".format(*selection.shard), "group": selection.group, "name[]": selection.names and "…"}
    words += [f"{name}={text}" for name, text in page.items() if text]
    return " ".join(words)[:NAME_MAX]
