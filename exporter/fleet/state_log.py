"""Logs which targets go up and down."""

from __future__ import annotations

import logging

from exporter.errors import AuthError
from exporter.polling.outcome import PollOutcome
from exporter.polling.watched_target import WatchedTarget

log = logging.getLogger(__name__)


class StateLog:
    """One line when a target goes up or down, and when the reason why it is down changes."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}  # of targets that are down, by key, as the log has them

    def note(self, watched: WatchedTarget, outcome: PollOutcome) -> None:
        """Take the end of a poll that was not cancelled."""
        if outcome.error is None and not outcome.up_changed:
            return
        addr, key = watched.target.addr, watched.target.key
        reason = outcome.error.reason if outcome.error is not None and watched.up is False else ""
        if not outcome.up_changed and reason == self._reasons.get(key, ""):
            return
        extra = {"addr": addr, "topic": "state", "duration_ms": round(outcome.duration_s * 1000, 1)}
        if watched.up:
            self._reasons.pop(key, None)
            log.info("the target is up", extra=extra)
            for notice in watched.notices:
                log.warning(notice.value, extra={"addr": addr})
        elif outcome.error is not None:
            self._reasons[key] = reason
            extra |= {"reason": reason, "err": str(outcome.error)}
            if isinstance(outcome.error, AuthError):
                extra["login"] = watched.target.login_text
            log.warning("the target is down", extra=extra)

    def forget(self, key: str) -> None:
        """Forget a target that is polled no longer."""
        self._reasons.pop(key, None)
