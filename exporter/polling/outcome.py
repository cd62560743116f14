"""How one poll ended."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.connection.dial_times import DialTimes
from exporter.errors import TargetError
from exporter.polling.results import PollResults


@dataclass(slots=True)
class PollOutcome:
    """One poll that ended: the only carrier of its result, from the runner to the log.

    `results` is None if the poll never began; there is an `error` then. `began_at` is monotonic, `wall_at`
    wall-clock seconds. The text of `error` is safe to show: the words of a server are cleaned where the
    error is made. `up_changed` is set when the target's health takes the outcome. `dial` has the steps of the
    newest dial that the poll needed; None: it used the connection that was there.
    """

    results: PollResults | None
    error: TargetError | None
    began_at: float
    wall_at: float
    duration_s: float
    dial: DialTimes | None = None
    up_changed: bool = False

    @property
    def ended_at(self) -> float:
        return self.began_at + self.duration_s
