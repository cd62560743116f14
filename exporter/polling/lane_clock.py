"""Which lanes of a target are due. Pure: time is counted in intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.metrics.lane import Lane


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

    def make_all_due(self) -> None:
        """Make all lanes but scan due now. They get new phases."""
        for lane in self._lanes:
            self._due_at.pop(lane, None)
        self._find_next()

    def bring_scan_forward(self) -> None:
        """Make a scan due at the next turn."""
        if Lane.SCAN in self._due_at:
            self._due_at[Lane.SCAN] = min(self._due_at[Lane.SCAN], self._ticks + 1)

    def bring_forward(self, lanes: Iterable[Lane] | None = None) -> None:
        """Make these lanes due, or all but scan. They keep their phases."""
        for lane in self._lanes if lanes is None else lanes:
            if self._due_at.get(lane, 0) > self._ticks:
                self._due_at[lane] -= self._every[lane]
        self._find_next()

    def note_polled(self, lanes: tuple[Lane, ...]) -> None:
        """Note a poll of these lanes that went well. The first one covers all lanes; after it each lane has
        its own phase."""
        if lanes is self._fast:
            return
        for lane in lanes:
            if lane is not Lane.FAST:
                self._due_at[lane] = self._next_tick(lane)
        self._find_next()

    def postpone(self, lanes: Iterable[Lane]) -> None:
        """Let lanes that are due wait for their next turn."""
        for lane in lanes:
            self._due_at[lane] = self._next_tick(lane)
        self._find_next()

    @property
    def first_scan_due(self) -> bool:
        """Whether no scan has started yet."""
        return Lane.SCAN not in self._due_at

    def scan_due(self) -> bool:
        return self._ticks >= self._due_at.get(Lane.SCAN, 0)

    def note_scan(self) -> None:
        """Note that a scan starts. After the first one each target has a phase of its own."""
        every = self._every[Lane.SCAN]
        self._due_at[Lane.SCAN] = self._ticks + (
            1 + self.scan_place % every if self.first_scan_due else every
        )

    def skip_scan(self) -> None:
        self._due_at[Lane.SCAN] += self._every[Lane.SCAN]

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
        return {lane: at - self._ticks for lane, at in list(self._due_at.items()) if lane is not Lane.SCAN}

    def resume(self, phases: Mapping[Lane, int], passed: int) -> None:
        """Take the phases of a clock that stopped `passed` turns ago. At the first turn all lanes are due."""
        for lane, turns in phases.items():
            if lane in self._lanes and lane is not Lane.FAST:
                every = self._every[lane]
                self._due_at[lane] = (turns - passed) % every - every
        self._find_next()

    def _set_lanes(self, lanes: Iterable[Lane]) -> None:
        self._lanes = tuple(lane for lane in lanes if lane is not Lane.SCAN)
        self._fast = tuple(lane for lane in self._lanes if lane is Lane.FAST)
        self._find_next()

    def _next_tick(self, lane: Lane) -> int:
        every = self._every[lane]
        due_at = self._due_at.get(lane)
        if due_at is None:
            return self._ticks + 1 + self.place % every
        return due_at + every * ((self._ticks - due_at) // every + 1)

    def _find_next(self) -> None:
        """Before `_next_due_at` only fast is due."""
        slower = [self._due_at.get(lane, 0) for lane in self._lanes if lane is not Lane.FAST]
        self._next_due_at: float = min(slower, default=float("inf"))
