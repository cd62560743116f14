"""Who may start a traced poll: a form of a page of ours, or a program that asks for it. One runs at a time,
and one begins a second.

A traced poll asks a server no more than `/scrape?max_age=0` does, so it is allowed where that is. What must
not happen: that a page of another site starts it in the browser of somebody who may. So a form brings a token
that only pages of this process have, and a browser says where a request comes from.
"""

from __future__ import annotations

import hashlib
import hmac
import os

#: how long a page may stay open before its form is used
TOKEN_S = 3600.0
#: the least time between the beginnings of two traced polls
PAUSE_S = 1.0


class TraceTokens:
    """Tokens for the forms of pages: each is for one target, and for a time. Moments are wall-clock
    seconds."""

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def issue(self, name: str, now: float) -> str:
        """The token of a page about the target `name`."""
        return self._signed(name, f"{now:.0f}")

    def fits(self, token: str, name: str, now: float) -> bool:
        """Whether a token was issued for this target, not longer ago than `TOKEN_S`."""
        moment = token.partition(".")[0]
        if not moment.isascii() or not moment.isdigit() or len(moment) > 15:
            return False
        is_ours = hmac.compare_digest(token.encode("utf-8", "replace"), self._signed(name, moment).encode())
        return is_ours and -60.0 <= now - int(moment) <= TOKEN_S

    def _signed(self, name: str, moment: str) -> str:
        text = f"{moment} {name}".encode("utf-8", "surrogatepass")
        return f"{moment}.{hmac.new(self._key, text, hashlib.sha256).hexdigest()}"


class TraceTurns:
    """Lets one traced poll run at a time, and one begin a second. Moments are monotonic seconds."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._is_running = False

    def enter(self, now: float) -> float:
        """0.0: the traced poll may begin, and `leave` must follow. Else how many seconds to wait before the
        next try."""
        if self._is_running:
            return PAUSE_S
        if now < self._next_at:
            return self._next_at - now
        self._is_running, self._next_at = True, now + PAUSE_S
        return 0.0

    def leave(self) -> None:
        self._is_running = False
