"""When scrapers come: from arrivals to rhythms, and the moment that suits several of them. Pure: the caller
passes all times, in seconds of the monotonic clock.

Three arrivals with two gaps that agree within 2 % make a rhythm, and three misses end it. An arrival that
fits no rhythm does not change the known ones. A few such arrivals may make one more, because two scrapers can
look alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: gaps that differ by no more than this part are the same; an arrival that is off by no more was expected
LIKENESS = 0.02
PERIOD_MIN_S, PERIOD_MAX_S = 0.5, 600.0
MISSES_MAX = 3
#: arrivals that fit no rhythm: two scrapers that look alike show theirs among the newest five
STRAYS_MAX = 5
#: rhythms of one scraper
RHYTHMS_MAX = 4
#: how far an arrival moves the phase. An early one counts more: the network or the scraper cause delays.
EARLY_GAIN, LATE_GAIN, PERIOD_GAIN = 0.5, 0.1, 0.05


class Rhythm:
    """A scraper that comes at `at` and whole periods later."""

    __slots__ = ("_error_s", "_expected", "_seen_at", "at", "first_at", "period_s")

    def __init__(self, at: float, period_s: float) -> None:
        self.at = at
        self.period_s = period_s
        #: when the first arrival of the rhythm was: the third one showed it
        self.first_at = at - 2 * period_s
        self._seen_at = at
        #: what was expected of the newest arrival: moment, period, periods since the one before; and how far
        #: it was off
        self._expected = (at, period_s, 1)
        self._error_s = 0.0

    def take(self, moment: float) -> bool:
        """Take an arrival. Returns whether it was expected; if so, the rhythm follows it a little."""
        periods = round((moment - self.at) / self.period_s)
        error_s = moment - self.at - periods * self.period_s
        if periods < 0 or abs(error_s) > LIKENESS * self.period_s:
            return False
        if periods:
            self._expected = (self.at + periods * self.period_s, self.period_s, periods)
            self._seen_at = moment
        else:  # one more at the same time: the one that is nearest to what was expected counts
            error_s = moment - self._expected[0]
            if abs(error_s) >= abs(self._error_s):
                return True
        self._error_s = error_s
        expected_at, period_s, periods = self._expected
        self.at = expected_at + error_s * (EARLY_GAIN if error_s < 0 else LATE_GAIN)
        self.period_s = period_s + PERIOD_GAIN * error_s / periods
        return True

    def next_after(self, moment: float) -> float:
        """The first expected arrival after `moment`."""
        expected = self.at + ((moment - self.at) // self.period_s + 1) * self.period_s
        return expected if expected > moment else expected + self.period_s

    def has_gone(self, now: float) -> bool:
        return now - self._seen_at > (MISSES_MAX + 0.5) * self.period_s


class ArrivalHistory:
    """The rhythms in the arrivals of one scraper: none, one, or a few if several programs look like one."""

    __slots__ = ("_strays", "rhythms")

    def __init__(self) -> None:
        self.rhythms: list[Rhythm] = []
        self._strays: list[float] = []

    def arrive(self, moment: float) -> None:
        self.forget(moment)
        if any(rhythm.take(moment) for rhythm in self.rhythms):
            return
        if len(self.rhythms) >= RHYTHMS_MAX:
            return
        self._strays = [*self._strays, moment][-STRAYS_MAX:]
        for apart in (1, 2):  # each of the newest strays, or every second one
            beats = self._strays[::-apart][:3]
            if len(beats) == 3 and _agree(beats[0] - beats[1], beats[1] - beats[2]):
                self.rhythms.append(Rhythm(moment, (beats[0] - beats[2]) / 2))
                self._strays = [stray for stray in self._strays if stray not in beats]
                return

    def forget(self, now: float) -> None:
        """Forget rhythms that have ended."""
        if any(rhythm.has_gone(now) for rhythm in self.rhythms):
            self.rhythms = [rhythm for rhythm in self.rhythms if not rhythm.has_gone(now)]


def _agree(one_s: float, other_s: float) -> bool:
    mean_s = (one_s + other_s) / 2
    return PERIOD_MIN_S <= mean_s <= PERIOD_MAX_S and abs(one_s - other_s) <= LIKENESS * mean_s


def intervals_in(rhythm: Rhythm, interval_s: float) -> int:
    """How many polling intervals one period of the rhythm has; 1 if one interval has several periods. 0: they
    are not in step."""
    ratio = rhythm.period_s / interval_s
    larger = max(ratio, 1 / ratio)
    number = round(larger)
    return 0 if abs(larger - number) > LIKENESS * number else number if ratio > 1 else 1


def best_moment(rhythms: Iterable[Rhythm], interval_s: float, kept_at: float | None = None) -> float | None:
    """The moment by which polls at `interval_s` should end, so that the oldest values that any scraper in
    step finds are as fresh as possible. It is one of the arrivals: the nearest to `kept_at`, unless another
    one is better by a tenth of the interval. None: no scraper is in step."""
    moments = [
        moment
        for rhythm in rhythms
        if intervals_in(rhythm, interval_s)
        for moment in _within(rhythm, interval_s)
    ]
    if not moments:
        return None

    def worst_s(moment: float) -> float:
        return max(ages_s(moments, moment, interval_s))

    best = min(moments, key=worst_s)
    if kept_at is not None:
        nearest = min(
            moments, key=lambda moment: abs((moment - kept_at + interval_s / 2) % interval_s - interval_s / 2)
        )
        if worst_s(nearest) < worst_s(best) + KEPT_PART * interval_s:
            return nearest
    return best


#: another choice must be better by this part of the interval
KEPT_PART = 0.1


def _within(rhythm: Rhythm, interval_s: float) -> list[float]:
    """The rhythm's arrivals in one interval."""
    return [
        rhythm.at + number * rhythm.period_s for number in range(max(1, round(interval_s / rhythm.period_s)))
    ]


def ages_s(moments: Sequence[float], polled_at: float, interval_s: float) -> list[float]:
    """How old what was polled at `polled_at`, and every interval after it, is at each of the moments."""
    return [(moment - polled_at + _EPSILON_S) % interval_s - _EPSILON_S for moment in moments]


#: a moment is not an interval older than itself
_EPSILON_S = 1e-6
