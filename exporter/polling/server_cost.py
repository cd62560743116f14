"""How much of a server's time the polls of it take, by lane.

Where the server counts its commands (INFO commandstats), a poll costs what its commands cost on average since
the count before, those of other clients included. That is exact for a command that nobody else sends. Without
counts a poll costs at most the time in which it was answered. The network's time is in that, so it is an
estimate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from exporter.collectors._enabled import EnabledCollector
from exporter.metrics.lane import Lane
from exporter.polling.memory import TargetMemory
from exporter.polling.outcome import PollOutcome
from exporter.polling.results import Calls, PollResults, Verb
from exporter.telemetry.target_series import COMMANDSTATS, ESTIMATED, TargetSeries

#: the count of commands is read this often: it takes as long as rendering a good part of it
READ_S = 60.0

#: bytes that the lines before one become longer or shorter from one text to the next
MOVES_MAX: Final = 1000

_match_count: Final = re.compile(rb"calls=([0-9]{1,18}),usec=([0-9]{1,18})[,\r\n]").match
_ORDER: Final = {lane: number for number, lane in enumerate(Lane)}
_STANDARD: Final = Lane.STANDARD
_SCAN: Final = Lane.SCAN


class _Count:
    """Calls of a command and the microseconds that they took, with the name of its line and its place."""

    __slots__ = ("at", "calls", "name", "usec")

    def __init__(self, calls: int, usec: int, name: bytes, at: int) -> None:
        self.calls = calls
        self.usec = usec
        self.name = name
        self.at = at


class ServerCost:
    """Of one target. `series` shows it."""

    __slots__ = ("_before", "_calls", "_counted", "_due_at", "_rare", "_scan_calls", "_scans", "poll_s")

    def __init__(self) -> None:
        self._calls: dict[Lane, Calls] = {}  # of the newest poll of each lane
        #: of the newest poll of each collector that runs in one of several turns of a lane: which one, of how
        #: many, and its calls
        self._rare: dict[str, tuple[Lane, int, Calls]] = {}
        self._scan_calls: Calls = {}  # of the scans since the newest count
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
            results.add_calls_of(each.name, (), (), self._scan_calls)

    def note(
        self,
        outcome: PollOutcome,
        collectors: Sequence[EnabledCollector],
        memory: TargetMemory,
        series: TargetSeries,
        usual_s: float,
        turns: Mapping[str, tuple[Lane, int]],
    ) -> None:
        """Take a poll of more than the fast lane that went well. `usual_s` is how soon the server usually
        answers the fast lane. `turns` are of collectors that run in one of several turns of a lane."""
        results, now = outcome.results, outcome.ended_at
        text, memory.command_stats = memory.command_stats, b""
        if now < self._due_at and len(self._calls) >= len(series.lanes) - (_SCAN in series.lanes):
            return
        calls: dict[Lane, Calls] = {each.lane: {} for each in collectors}
        is_due = now >= self._due_at and (_STANDARD in calls or _STANDARD not in series.lanes)
        if results is None or not (is_due or calls.keys() - self._calls.keys()):
            return
        for each in collectors:
            name = each.name
            last = memory.repeats.get(name)
            of = calls[each.lane]
            if name in turns:
                lane, of_turns = turns[name]
                of = {}
                self._rare[name] = (lane, of_turns, of)
            results.add_calls_of(name, last.sent if last is not None else (), memory.refusals.known, of)
        self._calls.update(calls)
        if not is_due:
            return
        self._due_at = now + READ_S
        costs_s = self._read(text)
        if costs_s:
            self._rare = {name: self._rare[name] for name in self._rare if name in turns}
            self._add(series, COMMANDSTATS, self._costs_of_lanes(costs_s))
            scans_s = _sum(self._scan_calls, costs_s)
            series.add_cost(_SCAN, COMMANDSTATS, scans_s)
            if self._scans:
                self.poll_s[_SCAN] = scans_s / self._scans
        elif results.answered_s:
            slowest = max(calls, key=_ORDER.__getitem__)
            more_s = max(0.0, results.answered_s - usual_s)
            self._add(series, ESTIMATED, {Lane.FAST: usual_s, slowest: more_s})
        self._scan_calls.clear()
        self._scans = 0

    def by_command(self) -> list[tuple[Lane, Verb, int, float]]:
        """What the newest poll of each lane called: how often, and the seconds of a call on average over all
        clients, since the server began to count."""
        return [
            (lane, verb, calls, count.usec / count.calls / 1e6)
            for lane, of_lane in (
                *self._calls.items(),
                *((lane, calls) for lane, _, calls in self._rare.values()),
            )
            for verb, calls in of_lane.items()
            if (count := self._before.get(verb)) is not None and count.calls
        ]

    def _costs_of_lanes(self, costs_s: Mapping[Verb, float]) -> dict[Lane, float]:
        """Seconds of a poll of each lane on average."""
        found = {lane: _sum(each, costs_s) for lane, each in self._calls.items()}
        for lane, turns, calls in self._rare.values():
            found[lane] = found.get(lane, 0.0) + _sum(calls, costs_s) / turns
        return found

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
        verbs = set(self._scan_calls)
        for of_lane in self._calls.values():
            verbs.update(of_lane)
        for _, _, rare in self._rare.values():
            verbs.update(rare)
        for verb in verbs:
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


def _sum(calls: Calls, costs_s: Mapping[Verb, float]) -> float:
    sum_s = 0.0
    for verb, number in calls.items():
        sum_s += number * costs_s.get(verb, 0.0)
    return sum_s


def _count_of(text: bytes, verb: Verb, before: _Count | None) -> _Count | None:
    """The count of a command; that of the whole command where its sub-commands are not counted."""
    if before is not None:  # from one text to the next it moves by little, mostly not at all
        name, at = before.name, before.at
        if not text.startswith(name, at):
            at = text.find(name, max(0, at - MOVES_MAX))
        found = _count_at(text, name, at)
        if found is not None:
            return found
    for name in _names_of(verb):
        found = _count_at(text, name, text.find(name))
        if found is not None:
            return found
    return None


def _names_of(verb: Verb) -> tuple[bytes, ...]:
    first, second = verb
    whole = f"cmdstat_{first}:".lower().encode()
    return (f"cmdstat_{first}|{second}:".lower().encode(), whole) if second else (whole,)


def _count_at(text: bytes, name: bytes, at: int) -> _Count | None:
    """The count of the line with this name at `at`; -1: there is none."""
    match = _match_count(text, at + len(name)) if at >= 0 else None
    return _Count(int(match[1]), int(match[2]), name, at) if match is not None else None
