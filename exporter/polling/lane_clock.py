"""Which lanes of a target are due. Pure: time is counted in intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from exporter.metrics.lane import Lane

#: fields of C: to look a lane up in its enumeration takes 900 instructions
_FAST: Final = Lane.FAST
_SCAN: Final = Lane.SCAN


class LaneClock:
    """Counts the turns of one target. The fast lane is due at each turn, the others at their multiples.

    `place` and `scan_place` are numbers of the target's own: they spread the slow lanes and the scans of a
    fleet, but for the first ones. `intervals` is how far apart the newest turn and the next one are.
    """

    __slots__ = (
        "_due_at",
        "_every",
        "_fast",
        "_lanes",
        "_next_due_at",
        "_ticks",
        "_whole",
        "intervals",
        "place",
        "scan_place",
    )

    def __init__(self, lanes: Iterable[Lane], every: Mapping[Lane, int], place: int, scan_place: int) -> None:
        self.place = place
        self.scan_place = scan_place
        self.intervals = 1
        self._ticks = 0
        self._due_at: dict[Lane, int] = {}  # a lane without an entry is due; fast never has one
        self._whole = frozenset((_FAST,))  # those whose next turn leaves no collector out
        self._every = every
        self._set_lanes(lanes)

    def tick(self, intervals: int = 1) -> None:
        """A turn has come; the next one is `intervals` intervals away."""
        self._ticks += intervals
        self.intervals = intervals

    def due(self) -> tuple[Lane, ...]:
        """The lanes that are due, without scan."""
        ticks, due_at = self._ticks, self._due_at
        if ticks < self._next_due_at:
            return self._fast
        return tuple([lane for lane in self._lanes if ticks >= due_at.get(lane, 0)])

    def leaves_out(self, lane: Lane, turns: int) -> bool:
        """Whether a collector that leaves out turns of its lane waits in the present one. None
        waits after turns that were missed."""
        if lane in self._whole:
            return False
        every = self._every[lane]
        if lane is _FAST:
            number = self._ticks + self.place
            return number // turns == (number - self.intervals) // turns
        due_at = self._due_at.get(lane)
        if due_at is None or self._ticks - due_at >= every:
            return False
        return (due_at // every + self.place // every) % turns != 0

    def note_missed(self, lanes: Iterable[Lane]) -> None:
        """Note that a turn of these lanes brings nothing: the next one leaves no collector out."""
        self._whole = self._whole.union(lanes)

    def make_all_due(self) -> None:
        """Make all lanes but scan due now, with all their collectors. They get new phases."""
        self._whole = frozenset(self._lanes)
        for lane in self._lanes:
            self._due_at.pop(lane, None)
        self._find_next()

    def bring_scan_forward(self) -> None:
        """Make a scan due at the next turn."""
        if _SCAN in self._due_at:
            self._due_at[_SCAN] = min(self._due_at[_SCAN], self._ticks + 1)

    def bring_forward(self, lanes: Iterable[Lane] | None = None) -> None:
        """Make these lanes due, or all but scan. They keep their phases."""
        for lane in self._lanes if lanes is None else lanes:
            if self._due_at.get(lane, 0) > self._ticks:
                self._due_at[lane] -= self._every[lane]
            self._whole = self._whole.union((lane,))
        self._find_next()

    def note_polled(self, lanes: tuple[Lane, ...]) -> None:
        """Note a poll of these lanes that went well. The first one covers all lanes; after it each lane has
        its own phase."""
        if self._whole:
            self._whole = self._whole.difference(lanes)
        if lanes is self._fast:
            return
        for lane in lanes:
            if lane is not _FAST:
                self._due_at[lane] = self._next_tick(lane)
        self._find_next()

    def postpone(self, lanes: Iterable[Lane]) -> None:
        """Let lanes that are due wait for their next turn, which leaves no collector out. One that has not
        been polled yet has no phase: it stays due."""
        lanes = tuple(lanes)
        self._whole = self._whole.union(lanes)
        for lane in lanes:
            if lane in self._due_at:
                self._due_at[lane] = self._next_tick(lane)
        self._find_next()

    @property
    def first_scan_due(self) -> bool:
        """Whether no scan has started yet."""
        return _SCAN not in self._due_at

    def scan_due(self) -> bool:
        return self._ticks >= self._due_at.get(_SCAN, 0)

    def note_scan(self) -> None:
        """Note that a scan starts. After the first one each target has a phase of its own."""
        every = self._every[_SCAN]
        self._due_at[_SCAN] = self._ticks + (1 + self.scan_place % every if self.first_scan_due else every)

    def skip_scan(self) -> None:
        self._due_at[_SCAN] += self._every[_SCAN]

    def change(self, lanes: Iterable[Lane], every: Mapping[Lane, int]) -> None:
        """Go on with other lanes or multiples. A lane keeps its phase unless its multiple changes."""
        lanes = tuple(lanes)
        for lane in list(self._due_at):
            if lane not in lanes:
                del self._due_at[lane]
            elif every[lane] != self._every[lane]:
                self._due_at[lane] = min(self._due_at[lane], self._ticks + 1 + self.place % every[lane])
        self._every = every
        self._set_lanes(lanes)

    def phases(self) -> Mapping[Lane, int]:
        """In how many turns the lanes with a phase are due, scans apart."""
        return {lane: at - self._ticks for lane, at in list(self._due_at.items()) if lane is not _SCAN}

    def resume(self, phases: Mapping[Lane, int], passed: int) -> None:
        """Take the phases of a clock that stopped `passed` turns ago. At the first turn all lanes are due,
        with all their collectors."""
        self._whole = frozenset(self._lanes)
        for lane, turns in phases.items():
            if lane in self._lanes and lane is not _FAST:
                every = self._every[lane]
                self._due_at[lane] = (turns - passed) % every - every
        self._find_next()

    def _set_lanes(self, lanes: Iterable[Lane]) -> None:
        self._lanes = tuple(lane for lane in lanes if lane is not _SCAN)
        self._fast = tuple(lane for lane in self._lanes if lane is _FAST)
        self._find_next()

    def _next_tick(self, lane: Lane) -> int:
        every = self._every[lane]
        due_at = self._due_at.get(lane)
        if due_at is None:
            return self._ticks + 1 + self.place % every
        return due_at + every * ((self._ticks - due_at) // every + 1)

    def _find_next(self) -> None:
        """Before `_next_due_at` only fast is due."""
        slower = [self._due_at.get(lane, 0) for lane in self._lanes if lane is not _FAST]
        self._next_due_at: float = min(slower, default=float("inf"))
