"""Who is due when.

Targets of one interval and one group of scrapers share a round (see `rounds`), a job of APScheduler. A turn
starts polls and returns: nothing is awaited under the scheduler. That lives on wall time; the beat compares
it with the monotonic clock and sets all rounds anew after a jump. A target that comes to another round gets
one more turn, a bridge, an interval after its last one: so it never waits for more than one and a half.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timezone

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from exporter.errors import TargetError
from exporter.fleet.alignment import Alignment, Group
from exporter.fleet.poll_group import PollGroup
from exporter.metrics.store import Store
from exporter.pages.selection import Selection
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.spread import spread

BEAT_S = 1.0
JUMP_S = 1.0
#: in beats: names are resolved again so often
RESOLVE_EVERY = 30
#: the first polls of a start go out in handfuls, so that the loop stays free for those that answer
FIRST_HANDFUL = 50
FIRST_PAUSE_S = 0.02
#: so many targets are put into other rounds before the loop goes round
REGROUP_HANDFUL = 200

log = logging.getLogger(__name__)


class Schedule:
    """Polls from `start` to `stop`. `on_lag` is told the loop's lag in seconds at every beat, `on_up_change`
    that a target went down without a poll having ended. `turned_at` is the monotonic moment of the newest
    beat. Without an `alignment` nobody is polled in step with scrapers."""

    def __init__(
        self,
        store: Store,
        on_lag: Callable[[float], None],
        on_up_change: Callable[[], None],
        alignment: Alignment | None = None,
    ) -> None:
        self.turned_at = time.monotonic()
        self._store = store
        self._on_lag = on_lag
        self._on_up_change = on_up_change
        self._alignment = alignment
        self._watched: dict[str, WatchedTarget] = {}
        self._rounds: dict[tuple[float, Group], PollGroup] = {}
        self._round_of: dict[str, PollGroup] = {}
        self._catch_ups: dict[str, asyncio.TimerHandle] = {}  # of targets that came to another round just now
        self._scheduler: AsyncIOScheduler | None = None  # None: not started, or stopped
        self._tasks: list[asyncio.Task[None]] = []
        self._regrouping: asyncio.Task[None] | None = None
        self._pages: tuple[Selection, ...] = ()  # those whose readers have a rhythm, as the groups know them
        self._lookups: dict[str, asyncio.Task[None]] = {}  # host → the look-up under way
        self._offset_s = 0.0

    def add(self, watched: WatchedTarget) -> None:
        """Poll one more target; at once, if the schedule is running."""
        self._watched[watched.target.addr] = watched
        if self._scheduler is not None:
            watched.tick(time.monotonic())
        self._join(watched)

    def remove(self, addr: str) -> None:
        """Stop polling a target and forget what is stored of it."""
        watched = self._watched.pop(addr)
        self._leave(addr)
        self._cancel_catch_up(addr)
        watched.close()
        self._store.drop(addr)

    @property
    def in_step(self) -> int:
        """How many targets are polled in step with a scraper."""
        return sum(len(each.watched_targets) for each in self._rounds.values() if each.burst is not None)

    def expected_ages_s(self) -> Mapping[str, float]:
        """By scraper: how old the oldest values will be that it finds, of those that are polled in step."""
        if self._alignment is None:
            return {}
        return self._alignment.ages_s(
            (each.group, each.interval_s, each.burst)
            for each in self._rounds.values()
            if each.burst is not None
        )

    # -- rounds

    def _join(self, watched: WatchedTarget) -> None:
        """Put a target into the round it belongs to now."""
        addr = watched.target.addr
        group = self._alignment.group_of(addr) if self._alignment is not None else ()
        key = (watched.timing.interval_s, group)
        current = self._rounds.get(key)
        if current is not None and addr in current.watched_targets:
            return
        self._leave(addr)
        if current is None:
            current = self._rounds[key] = PollGroup(*key)
            current.add(watched)
            if self._scheduler is not None:
                self._aim(current)
                self._set(current)
        current.add(watched)
        self._round_of[addr] = current
        self._catch_up(watched)

    def _catch_up(self, watched: WatchedTarget) -> None:
        """Give a target the turn that it would have had: the next one in its round may be nearly two
        intervals after the last."""
        if self._scheduler is None or watched.ticked_at == -math.inf:
            return
        addr = watched.target.addr
        self._cancel_catch_up(addr)
        wait_s = max(0.0, watched.ticked_at + watched.timing.interval_s - time.monotonic())
        self._catch_ups[addr] = asyncio.get_running_loop().call_later(wait_s, self._poll_catch_up, addr)

    def _poll_catch_up(self, addr: str) -> None:
        del self._catch_ups[addr]
        self._round_of[addr].poll_due(addr)

    def _cancel_catch_up(self, addr: str) -> None:
        catch_up = self._catch_ups.pop(addr, None)
        if catch_up is not None:
            catch_up.cancel()

    def _leave(self, addr: str) -> None:
        current = self._round_of.pop(addr, None)
        if current is None:
            return
        current.remove(addr)
        if not current.watched_targets:
            current.cancel()
            del self._rounds[current.interval_s, current.group]
            if self._scheduler is not None:
                self._scheduler.remove_job(current.name)

    def _set(self, current: PollGroup) -> None:
        """(Re)place a round's job."""
        assert self._scheduler is not None
        self._scheduler.add_job(current.fire, current, id=current.name, replace_existing=True)
        current.begin_anew()

    def _aim(self, current: PollGroup) -> bool:
        """Find out when the round's bursts are to begin. Whether its job has to be set anew for that: it
        moves by itself."""
        before = current.burst
        current.aimed_at = time.monotonic()
        current.burst = None
        if self._alignment is not None and current.group:
            current.burst = self._alignment.burst(
                current.group, current.interval_s, len(current.watched_targets), before
            )
        return (before and before.every) != (current.burst and current.burst.every)

    def _align(self, now: float) -> None:
        """Look who comes in a rhythm: groups change by that, or the moments of their bursts."""
        assert self._alignment is not None
        pages = self._alignment.update(now)
        if pages != self._pages and self._regrouping is None:
            self._pages = pages
            self._regrouping = asyncio.get_running_loop().create_task(self._regroup())
        for current in self._rounds.values():
            # every now and then: a scraper seldom moves, and a round fires where it is aimed then
            if current.group and now >= current.aimed_at + current.interval_s / 2 and self._aim(current):
                self._set(current)
                for watched in current.watched_targets.values():
                    self._catch_up(watched)

    async def _regroup(self) -> None:
        before = set(self._rounds)
        try:
            for number, watched in enumerate(list(self._watched.values()), 1):
                if watched.target.addr in self._watched:
                    self._join(watched)
                if number % REGROUP_HANDFUL == 0:
                    await asyncio.sleep(0)
            for key in (
                self._rounds.keys() - before
            ):  # a burst is as long as it has targets; all of these have bridges
                self._aim(self._rounds[key])
                self._set(self._rounds[key])
        finally:
            self._regrouping = None

    # -- from start to stop

    def start(self) -> None:
        """Poll every target at once for the first time, then each in its slot."""
        self._scheduler = AsyncIOScheduler(
            timezone=timezone.utc,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.start()
        self._offset_s = time.time() - time.monotonic()
        for current in self._rounds.values():
            self._set(current)
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._poll_first(list(self._watched.values()))),
            loop.create_task(self._keep_beat()),
        ]

    async def stop(self) -> None:
        """Fire no more, and give up what is under way. Nothing is left of it when this returns."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            # It shuts down a moment later; a fire that it calls for until then would be cancelled, and logged
            # as an error.
            scheduler.pause()
            scheduler.shutdown(wait=False)
        for current in self._rounds.values():
            current.cancel()
        for catch_up in self._catch_ups.values():
            catch_up.cancel()
        cancelled = [*self._tasks, *self._lookups.values()]
        if self._regrouping is not None:
            cancelled.append(self._regrouping)
        for task in cancelled:
            task.cancel()
        for watched in self._watched.values():
            cancelled += watched.close()
        await asyncio.gather(*cancelled, return_exceptions=True)

    async def _poll_first(self, watched_targets: Iterable[WatchedTarget]) -> None:
        for number, watched in enumerate(watched_targets, 1):
            if watched.ticked_at == -math.inf:
                watched.tick(time.monotonic())
            if number % FIRST_HANDFUL == 0:
                await asyncio.sleep(FIRST_PAUSE_S)

    async def _keep_beat(self) -> None:
        beat = 0
        while True:
            before = time.monotonic()
            await asyncio.sleep(BEAT_S)
            now = self.turned_at = time.monotonic()
            beat += 1
            try:
                self._on_lag(max(0.0, now - before - BEAT_S))
                self._rebase(time.time() - now)
                if self._alignment is not None:
                    self._align(now)
                self._expire(now)
                self._resolve(beat)
            except Exception:  # without the beat nothing would become stale
                log.exception("a mistake in this program, in the schedule's beat")

    def _rebase(self, offset_s: float) -> None:
        """After a jump of the wall clock (not its slow drift) set every round anew. Nobody waits for so long
        by it that it would count as down."""
        jump_s = offset_s - self._offset_s
        self._offset_s = offset_s
        if abs(jump_s) > JUMP_S:
            log.warning("the wall clock jumped by %+.1f s: the polls are set anew", jump_s)
            for current in self._rounds.values():
                self._set(current)
                for watched in current.watched_targets.values():
                    self._catch_up(watched)

    def _expire(self, now: float) -> None:
        for snapshot in self._store.expire(now):
            watched = self._watched.get(snapshot.addr)
            if watched is not None:
                watched.note_stale(snapshot.lane)
        gone_down = [watched for watched in self._watched.values() if watched.down_at < now]
        for watched in gone_down:
            watched.expire()
        if gone_down:
            self._on_up_change()

    def _resolve(self, beat: int) -> None:
        """Look up the names whose turn it is in this beat, each once for all targets that share it."""
        for watched in self._watched.values():
            host = watched.target.host
            if (
                watched.named
                and host not in self._lookups
                and spread(host, "look-up") % RESOLVE_EVERY == beat % RESOLVE_EVERY
            ):
                self._lookups[host] = asyncio.get_running_loop().create_task(self._look_up(watched))

    async def _look_up(self, asking: WatchedTarget) -> None:
        host = asking.target.host
        try:
            addresses = await asking.resolve()
            for watched in self._watched.values():
                if watched.target.host == host:
                    watched.compare(addresses)
        except TargetError:
            pass  # a name that does not resolve just now is no reason to leave a connection that works
        finally:
            del self._lookups[host]
