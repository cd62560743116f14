"""Polls that requests ask for: `?max_age=SECONDS`.

Requests share them. All that ask for one page at about the same time wait for one sweep over its targets, and
no target is polled more often than its pace allows, whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from exporter.pages.selection import WHOLE, Selection

#: targets that a sweep looks at before the loop goes round: it may start a poll of each
HANDFUL = 50
#: sweeps of other pages than the whole that may be under way
SWEEPS_MAX = 64


class Pollable(Protocol):
    """What a sweep needs of a target."""

    def refresh(self, max_age_s: float) -> asyncio.Future[None] | None:
        """Poll it if its values are older, and if it may be polled now. What ends with the poll under way;
        None: there is nothing to wait for."""
        ...


class Sweep:
    """One look at all targets of a page, and the wait for the polls that it started or found under way."""

    def __init__(self, began_at: float, max_age_s: float, task: asyncio.Task[int]) -> None:
        self.began_at = began_at
        self.max_age_s = max_age_s
        self.task = task


class Freshener:
    """`targets` gives all by address, `shows` tells whether one is on a page, `generation` what the store is
    at. Sweeps of one page lie at least `floor_s` apart."""

    def __init__(
        self,
        targets: Callable[[], Mapping[str, Pollable]],
        shows: Callable[[Selection, str], bool],
        generation: Callable[[], int],
        floor_s: float,
    ) -> None:
        self._targets = targets
        self._shows = shows
        self._generation = generation
        self._floor_s = floor_s
        self._sweeps: dict[Selection, list[Sweep]] = {}

    @property
    def sweeps(self) -> int:
        """How many are under way."""
        return sum(map(len, self._sweeps.values()))

    async def freshen(self, selection: Selection, max_age_s: float, deadline: float) -> int:
        """Poll what is older, and wait for it until the (monotonic) deadline. The generation of the store
        that a page has to show."""
        now = time.monotonic()
        sweep = self._sweep(selection, max_age_s, now)
        if sweep is None:
            return self._generation()
        await asyncio.wait([sweep.task], timeout=max(0.0, deadline - now))
        return sweep.task.result() if sweep.task.done() and not sweep.task.cancelled() else self._generation()

    def _sweep(self, selection: Selection, max_age_s: float, now: float) -> Sweep | None:
        """The one to wait for. None: there are too many, so the request gets what there is."""
        under_way = self._sweeps.get(selection, [])
        recent = [sweep for sweep in under_way if now - sweep.began_at < self._floor_s]
        for sweep in recent:
            if sweep.max_age_s <= max(max_age_s, self._floor_s):
                return sweep
        if selection != WHOLE and self.sweeps >= SWEEPS_MAX:
            return None
        if recent:  # whatever else is asked for in this while joins the second one
            max_age_s = 0.0
        task = asyncio.get_running_loop().create_task(self._look(selection, max_age_s))
        sweep = Sweep(now, max_age_s, task)
        self._sweeps.setdefault(selection, []).append(sweep)
        task.add_done_callback(lambda task: self._end(selection, sweep))
        return sweep

    def _end(self, selection: Selection, sweep: Sweep) -> None:
        under_way = self._sweeps[selection]
        under_way.remove(sweep)
        if not under_way:
            del self._sweeps[selection]

    async def _look(self, selection: Selection, max_age_s: float) -> int:
        polls: set[asyncio.Future[None]] = set()
        for number, (addr, target) in enumerate(list(self._targets().items()), 1):
            if self._shows(selection, addr):
                poll = target.refresh(max_age_s)
                if poll is not None:
                    polls.add(poll)
            if number % HANDFUL == 0:
                await asyncio.sleep(0)
        if polls:
            await asyncio.wait(polls)
        return self._generation()
