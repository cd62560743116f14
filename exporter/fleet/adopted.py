"""The adopted targets: which there are, how many there may be, and when each of them goes.

An adopted target goes when no request has asked for it for a while, or when who adopted it says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from exporter.errors import PageError
from exporter.fleet.fleet import Fleet
from exporter.fleet.slices import Slices
from exporter.polling.assignment import Assignment
from exporter.polling.watched_target import WatchedTarget

#: how long an adopted target is kept that nobody asks for, where the options do not say it: the longer of a
#: time and a number of its intervals
KEPT_S, KEPT_INTERVALS = 300.0, 10
#: how often it is checked who goes
CHECK_S = 5.0
#: how long a look-up may take of the name under which a target is asked for
LOOK_UP_S = 5.0
#: adopted targets of one address: with other users, passwords or keys to look at
VARIANTS_MAX = 20

log = logging.getLogger(__name__)

#: returns why an adopted target goes; "": it stays
Review = Callable[[WatchedTarget], str]


@dataclass(frozen=True, slots=True)
class AdoptionLimits:
    """How long a target is kept that nobody asks for (0: see `KEPT_S`), how many there may be, and for how
    many there are files to open. `on_page`: they are on the page of all targets."""

    forget_after_s: float = 0.0
    targets_max: int = 10_000
    files_for: int = 10_000
    on_page: bool = False


@dataclass(slots=True)
class _Entry:
    """What is known of one adopted target besides the fleet's own. `kept_s`: how long it is kept at most.
    `may_show`: it is on the page of all targets if the options say so."""

    addr: str
    review: Review
    asked_at: float
    kept_s: float | None
    may_show: bool


class AdoptedTargets:
    """See the module. `refused` counts the requests for which there was no room."""

    def __init__(self, fleet: Fleet, limits: Callable[[], AdoptionLimits]) -> None:
        self.refused = 0
        self._fleet = fleet
        self._limits = limits
        self._entries: dict[str, _Entry] = {}
        self._of_address: Counter[str] = Counter()
        self._checks: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._fleet.adopted_targets)

    def ask(self, key: str) -> WatchedTarget | None:
        """The adopted target of this key, if there is one, as a request asks for it."""
        watched = self._fleet.adopted_targets.get(key)
        if watched is not None and key in self._entries:
            self._entries[key].asked_at = time.monotonic()
        return watched

    def raise_if_full(self, addr: str) -> None:
        """PageError if there is no room for one more target of this address."""
        if self._closed:
            raise PageError("the exporter is stopping")
        limits = self._limits()
        if len(self) >= limits.targets_max:
            why = (
                f"{limits.targets_max:,} targets that are not configured are polled: no more can be, see "
                f"--scrape.max-targets"
            )
        elif len(self) >= limits.files_for:
            why = (
                f"{len(self):,} targets that are not configured are polled: this process may open no more "
                f"files for further ones, raise its limit (ulimit -n, or LimitNOFILE= of systemd)"
            )
        elif self._of_address[addr] >= VARIANTS_MAX and not self._make_room(addr):
            why = (
                f"{VARIANTS_MAX} variants of {addr} are polled: ask for fewer users, passwords or lists of "
                f"keys"
            )
        else:
            return
        self.refused += 1
        raise PageError(why)

    def add(
        self, assignment: Assignment, review: Review, *, kept_s: float | None = None, may_show: bool = False
    ) -> WatchedTarget:
        """Adopt a target. With `may_show` it is on the page of all targets if the options say so."""
        target = assignment.target
        self.raise_if_full(target.addr)
        self.forget(target.key, "another request adopts it")
        entry = _Entry(target.addr, review, time.monotonic(), kept_s, may_show)
        watched = self._adopt(assignment, entry)
        self._entries[target.key] = entry
        self._of_address[target.addr] += 1
        if self._checks is None:
            self._checks = asyncio.create_task(self._keep_checking())
        return watched

    def change(self, watched: WatchedTarget, assignment: Assignment) -> WatchedTarget:
        """Let a target follow its configuration. With another user it begins again: it shows nothing of what
        the one before could see."""
        if watched.assignment == assignment:
            return watched
        if watched.assignment.is_same_target(assignment):
            self._fleet.change(watched, assignment)
            return watched
        key = watched.target.key
        self._fleet.forget(key)
        return self._adopt(assignment, self._entries[key])

    def _adopt(self, assignment: Assignment, entry: _Entry) -> WatchedTarget:
        return self._fleet.adopt(assignment, on_page=entry.may_show and self._limits().on_page)

    def forget(self, key: str, why: str) -> None:
        """Poll a target no longer."""
        watched = self._fleet.adopted_targets.get(key)
        if watched is not None:
            self._fleet.forget(key)
            log.info("polls of the target end: %s", why, extra={"addr": watched.target.addr})
        self._drop(key)

    async def close(self) -> None:
        """Adopt no more."""
        self._closed = True
        if self._checks is not None:
            self._checks.cancel()
            await asyncio.wait([self._checks])

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._of_address[entry.addr] -= 1
            if not self._of_address[entry.addr]:
                del self._of_address[entry.addr]

    def _make_room(self, addr: str) -> bool:
        """Let that variant of an address go which is down and was not asked for longest."""
        adopted = self._fleet.adopted_targets
        down = [
            (entry.asked_at, key)
            for key, entry in self._entries.items()
            if entry.addr == addr and key in adopted and adopted[key].up is False
        ]
        if down:
            self.forget(min(down)[1], "another one of its address comes")
        return bool(down)

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                await self.check()
            except Exception:  # without the checks no target would go
                log.exception("internal error in the check of adopted targets (please report)")

    async def check(self) -> None:
        """Let those go whose time is over, or whose adopter says so."""
        slices = Slices()
        for key, entry in list(self._entries.items()):
            watched = self._fleet.adopted_targets.get(key)
            if watched is None:  # it is configured now
                self._drop(key)
            elif self._entries.get(key) is entry:
                why = entry.review(watched)
                if why or self._is_over(entry, watched):
                    self.forget(key, why or "nobody asks for it")
            await slices.rest()

    def _is_over(self, entry: _Entry, watched: WatchedTarget) -> bool:
        kept_s = entry.kept_s or self._limits().forget_after_s
        kept_s = kept_s or max(KEPT_S, KEPT_INTERVALS * watched.timing.interval_s)
        return time.monotonic() - entry.asked_at > kept_s
