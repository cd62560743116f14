"""How many requests are answered, over all clients: some at once, and then one after each interval."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class RateLimit(NamedTuple):
    """`burst` requests at once, and one more after each `interval_s`."""

    interval_s: float
    burst: int


class TokenBucket:
    """Gives a token for each request that may be answered. It is full at first."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._tokens = float(limit.burst)
        self._counted_at = clock()

    def take(self) -> bool:
        """Whether there was a token."""
        now = self._clock()
        grown = (now - self._counted_at) / self.limit.interval_s
        self._tokens = min(float(self.limit.burst), self._tokens + grown)
        self._counted_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
