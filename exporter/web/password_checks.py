"""Checks passwords against bcrypt hashes: one at a time in a thread of its own; a few more may wait.

If many guess, the order is: senders that can still read the answer first, then addresses that were served
longest ago, then the newest password. So one client that guesses without end cannot block others.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Protocol

import bcrypt

#: bytes of a password that bcrypt reads
_BCRYPT_MAX = 72
#: passwords that may wait of senders that may have left
_LISTENING_MAX = 1
#: addresses whose last check is remembered
_TURNS_MAX = 1024


class Presence(IntEnum):
    """Whether a sender is there. LISTENING: it has closed its sending side and may have left."""

    HERE = 0
    LISTENING = 1
    GONE = 2


class Sender(Protocol):
    """The client that sent a password and waits."""

    address: str

    @property
    def presence(self) -> Presence: ...


class _Anybody:
    address = ""
    presence = Presence.HERE


ANYBODY: Sender = _Anybody()


class TooManyChecksError(Exception):
    """There is no room for another check, or a newer one took it."""


class _Check:
    """One password, and all who sent it for the same user."""

    def __init__(self, sender: Sender, number: int, learn: Callable[[bool], None]) -> None:
        self.learn = learn
        self.spellings: Sequence[bytes] = ()
        self.password_hash = b""
        self.senders = {sender: None}  # the newest last; any number of them may have left
        self.number = number
        self.outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def presence(self) -> Presence:
        return min(sender.presence for sender in self.senders)

    def forget_gone(self) -> None:
        """Look at those who have left once only. If all have, they stay, and so does what `presence` says."""
        left = {sender: None for sender in self.senders if sender.presence is not Presence.GONE}
        self.senders = left or self.senders

    def forget(self, sender: Sender) -> None:
        """It waits no longer. The last one stays: whether it is there decides about the check."""
        if len(self.senders) > 1:
            self.senders.pop(sender, None)

    @property
    def address(self) -> str:
        return next(reversed(self.senders)).address


class PasswordChecks:
    """`waiting_max` checks may wait besides the one that runs."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._waiting: dict[bytes, _Check] = {}
        self._running: tuple[bytes, _Check] | None = None
        self._numbers = itertools.count(1)
        self._turns: dict[str, int] = {}  # by address, the number of its last check

    async def are_right(
        self,
        digest: bytes,
        spellings: Sequence[bytes],
        password_hash: bytes,
        sender: Sender,
        learn: Callable[[bool], None],
    ) -> bool:
        """Whether one spelling is the password of this hash. Senders of the same `digest` share one check.
        `learn` gets its outcome once, also if all of them have left. Raises TooManyChecksError."""
        if self._running is not None and self._running[0] == digest:
            check = self._running[1]
        else:
            check = self._waiting.get(digest) or self._admit(digest, sender, learn)
            check.spellings, check.password_hash = spellings, password_hash
        check.senders.setdefault(sender)
        self._start_next()
        try:
            return await asyncio.shield(check.outcome)
        finally:
            check.forget(sender)

    def _admit(self, digest: bytes, sender: Sender, learn: Callable[[bool], None]) -> _Check:
        self._drop_gone()
        if sender.presence is Presence.LISTENING:
            listening = sum(check.presence is Presence.LISTENING for check in self._waiting.values())
            if listening >= _LISTENING_MAX or len(self._waiting) >= self._waiting_max:
                raise TooManyChecksError
        if len(self._waiting) >= self._waiting_max:
            _give_up(self._waiting.pop(self._least_useful(sender.address)).outcome)
        check = self._waiting[digest] = _Check(sender, next(self._numbers), learn)
        return check

    def _least_useful(self, newcomer: str) -> bytes:
        """The oldest check of the address with the most; first of senders that may have left."""
        counts = Counter(check.address for check in self._waiting.values())
        counts[newcomer] += 1
        return max(
            self._waiting,
            key=lambda digest: (
                self._waiting[digest].presence,
                counts[self._waiting[digest].address],
                -self._waiting[digest].number,
            ),
        )

    def _drop_gone(self) -> None:
        for check in self._waiting.values():
            check.forget_gone()
        for digest in [digest for digest, check in self._waiting.items() if check.presence is Presence.GONE]:
            _give_up(self._waiting.pop(digest).outcome)

    def _start_next(self) -> None:
        if self._running is not None:
            return
        self._drop_gone()
        if not self._waiting:
            return
        turns = self._turns
        digest = min(
            self._waiting,
            key=lambda digest: (
                self._waiting[digest].presence,
                turns.get(self._waiting[digest].address, 0),
                -self._waiting[digest].number,
            ),
        )
        check = self._waiting.pop(digest)
        self._running = (digest, check)
        turns.pop(check.address, None)
        turns[check.address] = next(self._numbers)
        if len(turns) > _TURNS_MAX:
            del turns[next(iter(turns))]
        loop = asyncio.get_running_loop()
        try:
            # a daemon: the program can end without it
            threading.Thread(target=self._work, args=(loop, check), name="password", daemon=True).start()
        except RuntimeError:  # the system gives no thread
            self._finish(check, None)

    def _work(self, loop: asyncio.AbstractEventLoop, check: _Check) -> None:
        is_right = None
        try:
            is_right = any(matches(spelling, check.password_hash) for spelling in check.spellings)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._finish, check, is_right)

    def _finish(self, check: _Check, is_right: bool | None) -> None:
        """None: it could not be checked, and its sender may try again."""
        self._running = None
        if is_right is None:
            _give_up(check.outcome)
        elif not check.outcome.done():
            check.learn(is_right)  # not in those who wait: they may all have left
            check.outcome.set_result(is_right)
        # first the waiting requests go on, then the next check is chosen
        asyncio.get_running_loop().call_soon(self._start_next)


def _give_up(outcome: asyncio.Future[bool]) -> None:
    if not outcome.done():
        outcome.set_exception(TooManyChecksError())
        outcome.exception()  # its sender may have left, and nobody may ask


def matches(password: bytes, password_hash: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:_BCRYPT_MAX], password_hash)
    except ValueError:  # with a NUL
        return False
