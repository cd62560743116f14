"""All watched targets, as the wings above see them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from exporter.errors import CancelledPollError, StoppingError
from exporter.fleet.aliases import Aliases
from exporter.fleet.first_round import FirstRound
from exporter.fleet.schedule import Schedule
from exporter.fleet.state_log import StateLog
from exporter.polling.assignment import Assignment
from exporter.polling.outcome import PollOutcome
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import ignored_warning, parse_address
from exporter.targets.target import Target

#: targets that come, change or go before the event loop goes on: 10 that come take 6 ms
BATCH = 10
#: targets that are only looked at before the event loop goes on
LOOKS = 1000

PAUSED = "paused"
STATES = ("up", "down", "unknown", PAUSED)

log = logging.getLogger(__name__)


class Changes(NamedTuple):
    """How many targets a new list of them concerns."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in zip(self._fields, self, strict=True))


class Fleet:
    """The watched targets by canonical address. It logs which go up and down.

    `watch` makes a target of an assignment. `forget_pages` gets the key of each target that is removed or
    changes, `forget` that of each that is about to be removed; `on_change` is called when targets come or go.
    A target that `is_held` is known, and not polled.
    """

    def __init__(
        self,
        schedule: Schedule,
        watch: Callable[[Assignment], WatchedTarget],
        forget_pages: Callable[[str], None] = lambda addr: None,
        on_change: Callable[[], None] = lambda: None,
        forget: Callable[[str], None] = lambda addr: None,
        is_held: Callable[[WatchedTarget], bool] = lambda watched: False,
    ) -> None:
        self._schedule = schedule
        self._watch = watch
        self._forget_pages = forget_pages
        self._on_change = on_change
        self._forget = forget
        self._is_held = is_held
        self._watched: dict[str, WatchedTarget] = {}
        self._adopted: dict[str, WatchedTarget] = {}
        self._applying = asyncio.Lock()
        self._closing = False
        self._aliases = Aliases()
        self.first_round = FirstRound()
        self._state_log = StateLog()
        self._warned: set[str] = set()  # targets that were asked for with parameters that are ignored

    @property
    def watched_targets(self) -> Mapping[str, WatchedTarget]:
        return self._watched

    @property
    def adopted_targets(self) -> Mapping[str, WatchedTarget]:
        """Those that nobody configured (see `adoption`), by key."""
        return self._adopted

    # -- who is watched

    async def apply(self, assignments: Iterable[Assignment]) -> Changes:
        """Watch the targets of these assignments and no others. A target whose assignment changes keeps its
        snapshots, phase and counters as long as it is the same target (`Assignment.is_same_target`). Only one
        call at a time. StoppingError if `close` comes before its end."""
        async with self._applying:
            return await self._apply(assignments)

    async def close(self) -> None:
        """Let no more targets come, change or go. When this returns, no `apply` is under way."""
        self._closing = True
        async with self._applying:
            pass

    async def _apply(self, assignments: Iterable[Assignment]) -> Changes:
        self._raise_if_closing()
        wanted: dict[str, Assignment] = {}
        for number, assignment in enumerate(assignments, 1):
            if wanted.setdefault(assignment.target.addr, assignment) is not assignment:
                log.warning(
                    "the target is named twice: the first one counts", extra={"addr": assignment.target.addr}
                )
            await self._pause(number, LOOKS)
        gone = [addr for addr in self._watched if addr not in wanted]
        for number, addr in enumerate(gone, 1):
            self.remove(addr)
            await self._pause(number)
        added = changed = 0
        for number, (addr, assignment) in enumerate(wanted.items(), 1):
            watched = self._watched.get(addr) or self._take_over(addr)
            if watched is None:
                added += 1
                self.add(self._watch(assignment))
            elif watched.assignment != assignment:
                changed += 1
                self._replace(watched, assignment)
            await self._pause(number)
        return Changes(added, len(gone), changed, len(wanted) - added - changed)

    def _replace(self, watched: WatchedTarget, assignment: Assignment) -> None:
        if watched.assignment.is_same_target(assignment):
            self.change(watched, assignment)
        else:
            self.remove(watched.target.addr)
            self.add(self._watch(assignment))

    async def _pause(self, number: int, batch: int = BATCH) -> None:
        """Let the event loop go on after each batch of targets."""
        if number % batch == 0:
            await asyncio.sleep(0)
            self._raise_if_closing()

    def _raise_if_closing(self) -> None:
        if self._closing:
            raise StoppingError

    def change(self, watched: WatchedTarget, assignment: Assignment) -> None:
        """Go on with a target under another assignment."""
        alias = watched.target.alias
        cancelled = watched.reassign(assignment)
        is_variant = self._watched.get(watched.target.addr) is not watched  # has the alias of the other one
        if not is_variant and watched.target.alias != alias:
            self._aliases.remove(alias, watched.target.addr)
            self._aliases.add(watched)
        self._schedule.change(watched, cancelled)
        self._forget_pages(watched.target.key)

    def _take_over(self, addr: str) -> WatchedTarget | None:
        """The adopted target of this address, which is configured from now on and keeps what it has."""
        watched = self._adopted.get(addr)
        if watched is not None and self._is_held(watched):
            self.forget(addr)
            return None
        if watched is not None:
            del self._adopted[addr]
            self._watched[addr] = watched
            self.first_round.take(watched)
        return watched

    def add(self, watched: WatchedTarget) -> None:
        addr = watched.target.addr
        if addr in self._adopted:
            self.forget(addr)
        self._watched[addr] = watched
        self._aliases.add(watched)
        if self._is_held(watched):
            self._schedule.place(watched)
        else:
            if not watched.restored:
                self.first_round.add(addr)
            self._schedule.add(watched)  # its first poll may end here
        self._on_change()

    def renew(self, addr: str) -> None:
        """Poll a target that was held, as if it had just come."""
        self.hold(addr)
        self.add(self._watch(self._watched[addr].assignment))

    def remove(self, addr: str) -> None:
        """Stop polling a target. Nothing of it stays: no series, page, task, connection or log state."""
        watched = self._watched.pop(addr)
        self._aliases.remove(watched.target.alias, addr)
        self.hold(addr)

    def adopt(self, assignment: Assignment, *, on_page: bool = False) -> WatchedTarget:
        """Poll a target that is not configured, from now on."""
        watched = self._watch(assignment)
        self._adopted[watched.target.key] = watched
        self._schedule.add(watched, apart=not on_page)
        self._on_change()
        return watched

    def forget(self, key: str) -> None:
        """Stop polling an adopted target. Nothing of it stays."""
        del self._adopted[key]
        self.hold(key)

    def hold(self, key: str) -> None:
        """Stop polling a target. Nothing of it stays but that it is known."""
        self._forget(key)
        self._schedule.remove(key)
        self._state_log.forget(key)
        self._warned.discard(key)
        self.first_round.remove(key)
        self._forget_pages(key)
        self._on_change()

    # -- what others see

    def find(self, text: str) -> WatchedTarget | None:
        """Find a target by its exact alias first, then by its address in any spelling. A text that is neither
        raises a ConfigError that says what is wrong with it."""
        found = self._aliases.find(text) or self._watched.get(text)  # the canonical spelling, most often
        return found or self._find_place(parse_address(text))

    def _find_place(self, asked: Target) -> WatchedTarget | None:
        found = self._watched.get(asked.addr)
        if found is not None and asked.ignored and asked.addr not in self._warned:
            self._warned.add(asked.addr)
            for warning in ignored_warning("as a client writes it", asked.ignored):
                log.warning(warning, extra={"addr": asked.addr})
        return found

    def states(self) -> Mapping[str, int]:
        """How many targets are up, down, not polled yet (`unknown`), and `paused` if any is."""
        counts = Counter(map(state_of, self._watched.values()))
        return {state: counts[state] for state in STATES if counts[state] or state != PAUSED}

    def note(self, watched: WatchedTarget, outcome: PollOutcome) -> None:
        """Note the end of a poll."""
        if self.first_round.waits:
            self.first_round.note(watched)
        if outcome.error is None and not outcome.up_changed:  # as nearly always
            return
        if not isinstance(outcome.error, CancelledPollError):  # that is no news of the target
            self._state_log.note(watched, outcome)


_STATE_OF = {True: "up", False: "down", None: "unknown"}


def state_of(watched: WatchedTarget) -> str:
    """One of `STATES`."""
    if watched.state.series.paused_until is not None:
        return PAUSED
    return _STATE_OF[watched.up]
