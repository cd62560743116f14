"""Whether a server struggles. Pure: from the answers of its polls.

A server struggles while it loads its data, while a child works whose fork took unusually long, while it
leaves a poll unanswered or a script blocks it, and while it answers much slower than usual. What is usual is
learnt of each server: a time that most answers are near, and that single ones hardly move.
"""

from __future__ import annotations

from exporter.errors import BusyError, DeadlineError, SilenceError, TargetError
from exporter.protocol.facts import Facts
from exporter.protocol.forks import NO_FORKS, Forks
from exporter.telemetry.target_series import STRAINS

LOADING, FORKING, BLOCKED, SLOW = STRAINS

#: an answer is slow that takes this many times as long as usual, and longer than the floor
SLOW_TIMES, SLOW_FLOOR_S = 10.0, 0.05
#: this many slow answers in a row are a struggle: one may be the exporter's own, on a busy machine
SLOW_ANSWERS = 2
#: the same of forks
FORK_TIMES, FORK_FLOOR_S = 3.0, 0.1

#: an answer moves what is usual by this factor. A slow one moves it less, so that a struggle becomes usual
#: after hundreds of polls only
LONGER, SHORTER, MUCH_LONGER = 1.05, 0.9, 1.005
#: forks are rare
FORK_SHARE = 0.3


class Strain:
    """What is known of one server. Each method that judges returns one of `STRAINS`, or "" for none."""

    __slots__ = ("_fork_was_slow", "_forks", "_slow_answers", "_usual_fork_s", "usual_s")

    def __init__(self) -> None:
        self.usual_s = 0.0  # 0.0: nothing is known yet
        self._slow_answers = 0  # in a row
        self._forks = NO_FORKS
        self._usual_fork_s = 0.0
        self._fork_was_slow = False

    def judge(self, answered_s: float, facts: Facts, forks: Forks) -> str:
        """After a poll that went well. `answered_s` is 0.0 if nobody knows how long the server took."""
        if answered_s:
            self._learn(answered_s)
        if forks is not self._forks:
            self._learn_forks(forks)
        if facts.loading:
            return LOADING
        if self._fork_was_slow and forks.is_running:
            return FORKING
        return SLOW if self._slow_answers >= SLOW_ANSWERS else ""

    def judge_failure(self, error: TargetError, before: str) -> str:
        """After a poll that failed. A server that cannot be reached is down, which is no struggle. One that
        was blocked `before` stays so while no connection to it is made in time."""
        is_silent = isinstance(error, SilenceError) or (
            before == BLOCKED and isinstance(error, DeadlineError)
        )
        return BLOCKED if is_silent or isinstance(error, BusyError) else ""

    def _learn(self, answered_s: float) -> None:
        usual_s = self.usual_s
        if not usual_s:
            self.usual_s = answered_s
        elif answered_s > SLOW_FLOOR_S and answered_s > SLOW_TIMES * usual_s:
            self._slow_answers += 1
            self.usual_s = usual_s * MUCH_LONGER
        else:
            self._slow_answers = 0
            self.usual_s = usual_s * (LONGER if answered_s > usual_s else SHORTER)

    def _learn_forks(self, forks: Forks) -> None:
        before_s, self._forks = self._forks.newest_s, forks
        usual_s, newest_s = self._usual_fork_s, forks.newest_s
        if newest_s and newest_s != before_s:
            self._fork_was_slow = bool(usual_s) and newest_s > max(FORK_TIMES * usual_s, FORK_FLOOR_S)
            self._usual_fork_s = usual_s + FORK_SHARE * (newest_s - usual_s) if usual_s else newest_s
