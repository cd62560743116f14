"""Polls that requests ask for: `?max_age=SECONDS`, and `&lanes=` for other lanes than fast.

Requests share them. All requests for one page at about the same time wait for one sweep over its targets, and
each target is polled at most as often as `--max-age.floor` allows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from exporter.metrics.lane import Lane
from exporter.pages.selection import WHOLE, Selection

#: targets that a sweep handles in one turn of the loop: it may start a poll of each
HANDFUL = 50
#: sweeps that may run, of pages other than the whole
SWEEPS_MAX = 64


class Pollable(Protocol):
    """What a sweep needs of a target."""

    def refresh(self, max_age_s: float, lanes: Iterable[Lane]) -> asyncio.Future[None] | None:
        """Poll those of these lanes whose values are older, if it may be polled now. The result ends with
        that poll; None: there is nothing to wait for."""
        ...


class Sweep:
    """One pass over all targets of a page, and the wait for the polls that it started or found running."""

    def __init__(
        self, began_at: float, max_age_s: float, lanes: frozenset[Lane], task: asyncio.Task[int]
    ) -> None:
        self.began_at = began_at
        self.max_age_s = max_age_s
        self.lanes = lanes
        self.task = task


class Freshener:
    """Runs sweeps. `targets` gives all by address, `shows` says whether one is on a page, `generation` counts
    the changes of the store. Sweeps of one page are at least `floor_s()` apart."""

    def __init__(
        self,
        targets: Callable[[], Mapping[str, Pollable]],
        shows: Callable[[Selection, str], bool],
        generation: Callable[[], int],
        floor_s: Callable[[], float],
    ) -> None:
        self._targets = targets
        self._shows = shows
        self._generation = generation
        self._floor_s = floor_s
        self._sweeps: dict[Selection, list[Sweep]] = {}

    @property
    def sweeps(self) -> int:
        """How many are running."""
        return sum(map(len, self._sweeps.values()))

    async def freshen(
        self, selection: Selection, max_age_s: float, deadline: float, lanes: Iterable[Lane] = (Lane.FAST,)
    ) -> int:
        """Poll what is older of these lanes, and wait for it until the (monotonic) deadline. Returns the
        generation of the store that a page must show."""
        now = time.monotonic()
        sweep = self._sweep(selection, max_age_s, frozenset(lanes), now)
        if sweep is None:
            return self._generation()
        await asyncio.wait([sweep.task], timeout=max(0.0, deadline - now))
        return sweep.task.result() if sweep.task.done() and not sweep.task.cancelled() else self._generation()

    def _sweep(
        self, selection: Selection, max_age_s: float, lanes: frozenset[Lane], now: float
    ) -> Sweep | None:
        """The sweep to wait for. None: there are too many, so the request gets the values of now."""
        under_way = self._sweeps.get(selection, [])
        floor_s = self._floor_s()
        recent = [sweep for sweep in under_way if now - sweep.began_at < floor_s]
        for sweep in recent:
            if sweep.max_age_s <= max(max_age_s, floor_s) and sweep.lanes >= lanes:
                return sweep
        if selection != WHOLE and self.sweeps >= SWEEPS_MAX:
            return None
        if any(sweep.lanes == lanes for sweep in recent):  # all others of this time join the second one
            max_age_s = 0.0
        task = asyncio.get_running_loop().create_task(self._look(selection, max_age_s, lanes))
        sweep = Sweep(now, max_age_s, lanes, task)
        self._sweeps.setdefault(selection, []).append(sweep)
        task.add_done_callback(lambda task: self._end(selection, sweep))
        return sweep

    def _end(self, selection: Selection, sweep: Sweep) -> None:
        under_way = self._sweeps[selection]
        under_way.remove(sweep)
        if not under_way:
            del self._sweeps[selection]

    async def _look(self, selection: Selection, max_age_s: float, lanes: frozenset[Lane]) -> int:
        polls: set[asyncio.Future[None]] = set()
        for number, (addr, target) in enumerate(list(self._targets().items()), 1):
            if self._shows(selection, addr):
                poll = target.refresh(max_age_s, lanes)
                if poll is not None:
                    polls.add(poll)
            if number % HANDFUL == 0:
                await asyncio.sleep(0)
        if polls:
            await asyncio.wait(polls)
        return self._generation()
