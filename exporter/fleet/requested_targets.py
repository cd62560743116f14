"""Addresses that requests ask for and nobody configured, and variants of targets with other keys to look at.

Such a target is its address, its user and the keys to look at. Its password is no part of that: a request
with another password gets a target of its own, and once that one is up, the first one goes on with its
password. So a wrong password shows nothing of what the right one has found, and a new one loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from weakref import WeakKeyDictionary, WeakSet

from exporter.errors import NotAllowedError, PageError, RequestError
from exporter.fleet.adopted import LOOK_UP_S, AdoptedTargets
from exporter.fleet.fleet import BATCH, Fleet
from exporter.polling.assignment import Assignment
from exporter.polling.identity import Identity
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.asked import Asked, variant_of
from exporter.targets.scrape_access import ScrapeAccess
from exporter.targets.target import Target

#: the share of its time that a request waits for the look-up of a name
LOOK_UP_SHARE = 0.5
#: how long a target with another password is kept that nobody asks for
TRIAL_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    """Why a target is adopted: what a request asks for, and the place that it names; without a `place` it is
    a variant of the target whose key is `base`."""

    asked: Asked
    place: Target | None = None
    base: str = ""


class RequestedTargets:
    """Finds and adopts. `access` is what the configuration allows, and `assign` makes an assignment under it.
    `check` raises if a target may not be dialled, after this many seconds at most."""

    def __init__(
        self,
        fleet: Fleet,
        adopted: AdoptedTargets,
        access: Callable[[], ScrapeAccess],
        assign: Callable[[Target], Assignment],
        check: Callable[[Target, float], Awaitable[None]],
    ) -> None:
        self._fleet = fleet
        self._adopted = adopted
        self._access = access
        self._assign = assign
        self._check = check
        #: of the targets that were adopted here
        self._requests: WeakKeyDictionary[Identity, _Request] = WeakKeyDictionary()
        self._checked_by = access().rules  # when all targets were checked last
        #: those of which the log says that they want credentials
        self._warned: WeakSet[Identity] = WeakSet()
        self._secret = secrets.token_bytes(16)

    async def find(self, asked: Asked, place: Target, deadline: float) -> WatchedTarget | None:
        """The target at a place that nobody configured. None if requests may name none at all.

        Raises RequestError, NotAllowedError, and PageError if it cannot be adopted now.
        """
        access = self._access()
        if not access.allows_any:
            return None
        wanted = access.log_in(place, asked)
        has_user = asked.auth or place.user or place.one_word
        identity = (wanted.user if has_user else "", asked)
        wanted = replace(wanted, variant=self._variant(*identity))
        request = _Request(asked, place)
        main = self._ask(wanted.key)
        if main is None:
            await self._raise_if_barred(wanted, access, deadline)
            main = self._ask(wanted.key) or self._adopt(wanted, request)
        elif main.up is False and main.named and main.health.reason == "refused":
            await self._raise_if_barred(wanted, access, deadline)  # its name may mean another address now
        if main.target.source != "adopted":  # it was configured during the look-up
            return main
        trial = replace(wanted, variant=self._variant(*identity, wanted.password))
        if main.target == wanted:
            return self._main_or_trial(main, trial)
        tried = self._ask(trial.key) or self._adopt(trial, request, kept_s=TRIAL_S)
        if tried.up:
            self._change(main, wanted, request)
        return tried

    def variant_of(self, base: WatchedTarget, asked: Asked) -> WatchedTarget:
        """A target that is watched, with other keys to look at. Raises PageError."""
        target = variant_of(base.target, asked, self._variant("", asked))
        return self._ask(target.key) or self._adopt(target, _Request(asked, base=base.target.key))

    async def follow(self) -> None:
        """After a change of the configuration, targets go on with what it says, or go."""
        rules = self._access().rules
        are_checked, self._checked_by = self._checked_by == rules, rules
        known = [each for each in self._fleet.adopted_targets.values() if each.identity in self._requests]
        for at in range(0, len(known), BATCH):  # together, because a look-up may take long
            await asyncio.gather(*(self._follow(each, are_checked) for each in known[at : at + BATCH]))
            await asyncio.sleep(0)

    async def _follow(self, watched: WatchedTarget, is_checked: bool) -> None:
        key = watched.target.key
        if self._watched(key) is not watched:  # it is configured now, or gone
            return
        request = self._requests[watched.identity]
        try:
            target = self._target_now(watched, request)
            if target.source == "adopted" and not is_checked:
                await self._check(target, LOOK_UP_S)
        except (NotAllowedError, RequestError) as error:
            self._adopted.forget(key, str(error))
            return
        if self._watched(key) is watched:
            self._change(watched, target, request)

    def _target_now(self, watched: WatchedTarget, request: _Request) -> Target:
        """An adopted target as the configuration has it now. NotAllowedError if it has to go."""
        variant = watched.target.variant
        if request.place is not None:
            access = self._access()
            if not access.allows_any:
                raise NotAllowedError("requests may name no target any longer")
            return replace(access.log_in(request.place, request.asked), variant=variant)
        fleet = self._fleet
        base = fleet.watched_targets.get(request.base) or fleet.adopted_targets.get(request.base)
        if base is None:
            raise NotAllowedError("no such target is configured any longer")
        return variant_of(base.target, request.asked, variant)

    # -- who is adopted

    def _watched(self, key: str) -> WatchedTarget | None:
        """The target that was adopted here under this key."""
        watched = self._fleet.adopted_targets.get(key)
        return watched if watched is not None and watched.identity in self._requests else None

    def _ask(self, key: str) -> WatchedTarget | None:
        """The same as a request asks for it; one that is configured counts too."""
        return self._adopted.ask(key) if self._watched(key) else self._fleet.watched_targets.get(key)

    def _adopt(self, target: Target, request: _Request, *, kept_s: float | None = None) -> WatchedTarget:
        may_show = not target.variant
        assignment = self._assign(target)
        watched = self._adopted.add(assignment, self._review, kept_s=kept_s, may_show=may_show)
        self._requests[watched.identity] = request
        log.info("polling a target that a request asks for", extra={"addr": target.addr})
        return watched

    def _change(self, watched: WatchedTarget, target: Target, request: _Request) -> None:
        self._requests[self._adopted.change(watched, self._assign(target)).identity] = request

    async def _raise_if_barred(self, target: Target, access: ScrapeAccess, deadline: float) -> None:
        """Raise NotAllowedError if a target may not be dialled, or PageError."""
        if self._watched(target.key) is None:
            self._adopted.raise_if_full(target.addr)
        left_s = deadline - time.monotonic()
        await self._check(target, max(0.0, min(LOOK_UP_S, LOOK_UP_SHARE * left_s)))
        if self._access() is not access and self._access() != access:
            raise PageError("the configuration has changed just now: ask again")

    def _main_or_trial(self, main: WatchedTarget, trial: Target) -> WatchedTarget:
        """The target, or the one by which its password was tried until it is up with that."""
        tried = self._watched(trial.key)
        if tried is not None and tried.up and main.up is False:
            return tried
        if tried is not None:
            self._adopted.forget(trial.key, "its password is that of another one of its address now")
        return main

    def _variant(self, user: str, asked: Asked, *password: str) -> str:
        """What distinguishes a target from others of its address. It shows none of its parts."""
        if not user and not asked.auth and not asked.overrides and not password:
            return ""
        parts = repr((user, asked.auth, asked.overrides, password)).encode("utf-8", "surrogateescape")
        return blake2b(parts, key=self._secret, digest_size=16).hexdigest()

    def _review(self, watched: WatchedTarget) -> str:
        """Nothing but the time ends it. But say why a target is down that wants a password."""
        if watched.up is False and watched.health.reason == "auth" and watched.identity not in self._warned:
            self._warned.add(watched.identity)
            if self._access().is_open:
                log.warning(
                    "the target wants other credentials: without --scrape.allow it gets only those of its "
                    "address and of --redis.password-file",
                    extra={"addr": watched.target.addr},
                )
        return ""
