"""How much of a server's time the polls of it take, by lane.

Where the server counts its commands (INFO commandstats), a poll costs what its commands cost on average since
the count before, those of other clients included. That is exact for a command that nobody else sends. Without
counts a poll costs at most the time in which it was answered. The network's time is in that, so it is an
estimate.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.collectors._enabled import EnabledCollector
from exporter.metrics.lane import Lane
from exporter.polling.memory import TargetMemory
from exporter.polling.outcome import PollOutcome
from exporter.polling.results import PollResults, Verb
from exporter.telemetry.target_series import COMMANDSTATS, ESTIMATED, TargetSeries

#: the count of commands is read this often: it takes as long as rendering a good part of it
READ_S = 60.0

#: bytes that the lines before one become longer or shorter from one text to the next
MOVES_MAX = 1000

_COUNT = re.compile(rb"calls=([0-9]{1,18}),usec=([0-9]{1,18})[,\r\n]")


class _Count(NamedTuple):
    """Calls of a command and the microseconds that they took, with the name of its line and its place."""

    calls: int
    usec: int
    name: bytes
    at: int


class ServerCost:
    """Of one target. `series` shows it."""

    __slots__ = ("_before", "_calls", "_counted", "_due_at", "_scan_calls", "_scans", "poll_s")

    def __init__(self) -> None:
        self._calls: dict[Lane, Counter[Verb]] = {}  # of the newest poll of each lane
        self._scan_calls: Counter[Verb] = Counter()  # of the scans since the newest count
        self._counted: dict[Lane, int] = {}  # polls whose cost is known
        self._before: dict[Verb, _Count] = {}  # the newest ones
        self._due_at = -math.inf
        self._scans = 0  # since the newest count
        #: seconds of the server that a poll takes by lane, as of the newest count
        self.poll_s: dict[Lane, float] = {}

    def note_scan(self, collectors: Iterable[EnabledCollector], results: PollResults) -> None:
        """Take a scan. No two send the same number of commands."""
        self._scans += 1
        for each in collectors:
            self._scan_calls.update(results.calls_of(each.name, ()))

    def note(
        self,
        outcome: PollOutcome,
        collectors: Sequence[EnabledCollector],
        memory: TargetMemory,
        series: TargetSeries,
        usual_s: float,
    ) -> None:
        """Take a poll of more than the fast lane that went well. `usual_s` is how soon the server usually
        answers the fast lane."""
        results, now = outcome.results, outcome.ended_at
        text, memory.command_stats = memory.command_stats, b""
        if now < self._due_at and len(self._calls) >= len(series.lanes) - (Lane.SCAN in series.lanes):
            return
        lanes = {each.lane for each in collectors}
        is_due = now >= self._due_at and (Lane.STANDARD in lanes or Lane.STANDARD not in series.lanes)
        if results is None or not (is_due or lanes - self._calls.keys()):
            return
        calls: dict[Lane, Counter[Verb]] = {lane: Counter() for lane in lanes}
        for each in collectors:
            last = memory.repeats.get(each.name)
            repeated = last.commands if last is not None else ()
            calls[each.lane].update(results.calls_of(each.name, repeated, memory.refusals.known))
        self._calls.update(calls)
        if not is_due:
            return
        self._due_at = now + READ_S
        costs_s = self._read(text)
        if costs_s:
            self._add(series, COMMANDSTATS, {lane: _sum(each, costs_s) for lane, each in self._calls.items()})
            scans_s = _sum(self._scan_calls, costs_s)
            series.add_cost(Lane.SCAN, COMMANDSTATS, scans_s)
            if self._scans:
                self.poll_s[Lane.SCAN] = scans_s / self._scans
        elif results.answered_s:
            slowest = max(calls, key=list(Lane).index)
            more_s = max(0.0, results.answered_s - usual_s)
            self._add(series, ESTIMATED, {Lane.FAST: usual_s, slowest: more_s})
        self._scan_calls.clear()
        self._scans = 0

    def by_command(self) -> list[tuple[Lane, Verb, int, float]]:
        """What the newest poll of each lane called: how often, and the seconds of a call on average over all
        clients, since the server began to count."""
        return [
            (lane, verb, calls, count.usec / count.calls / 1e6)
            for lane, of_lane in self._calls.items()
            for verb, calls in of_lane.items()
            if (count := self._before.get(verb)) is not None and count.calls
        ]

    def _add(self, series: TargetSeries, source: str, costs_s: Mapping[Lane, float]) -> None:
        """Count the polls that came since the last time. A poll of a lane costs what its newest one did."""
        for lane, cost_s in costs_s.items():
            self.poll_s[lane] = cost_s
            polls = series.lanes[lane].polls if lane in series.lanes else 0
            series.add_cost(lane, source, cost_s * max(0, polls - self._counted.get(lane, 0)))
            self._counted[lane] = polls

    def _read(self, text: bytes) -> dict[Verb, float]:
        """Seconds of a call by command, of those that the exporter sends; {} if the server does not count."""
        costs_s: dict[Verb, float] = {}
        for verb in {verb for calls in (*self._calls.values(), self._scan_calls) for verb in calls}:
            before = self._before.get(verb)
            found = _count_of(text, verb, before)
            if found is None:
                continue
            calls, usec = found.calls, found.usec
            if before is not None and calls > before.calls and usec >= before.usec:
                costs_s[verb] = (usec - before.usec) / (calls - before.calls) / 1e6
            elif calls:  # the first count, or the server counts from 0 again
                costs_s[verb] = usec / calls / 1e6
            self._before[verb] = found
        return costs_s


def _sum(calls: Mapping[Verb, int], costs_s: Mapping[Verb, float]) -> float:
    return sum(number * costs_s.get(verb, 0.0) for verb, number in calls.items())


def _count_of(text: bytes, verb: Verb, before: _Count | None) -> _Count | None:
    """The count of a command; that of the whole command where its sub-commands are not counted."""
    if before is not None:  # from one text to the next it moves by little
        found = _count_at(text, before.name, max(0, before.at - MOVES_MAX))
        if found is not None:
            return found
    first, second = verb
    names = (f"{first}|{second}", first) if second else (first,)
    counts = (_count_at(text, b"cmdstat_%s:" % name.lower().encode(), 0) for name in names)
    return next((count for count in counts if count is not None), None)


def _count_at(text: bytes, name: bytes, begin: int) -> _Count | None:
    """The count of the line with this name behind `begin`."""
    at = text.find(name, begin)
    match = _COUNT.search(text, at, at + 200) if at >= 0 else None
    return _Count(int(match[1]), int(match[2]), name, at) if match is not None else None
