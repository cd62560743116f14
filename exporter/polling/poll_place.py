"""The places that one poll takes among those of all targets: for itself, and for the dial that it needs."""

from __future__ import annotations

from collections.abc import Callable

from exporter.connection.dialer import Dialer
from exporter.connection.limiter import Admission, Limiter, Rank
from exporter.polling.dial_admission import DialAdmission
from exporter.polling.poll_context import PollContext


class PollPlace:
    """See the module. Each place is entered once, and left once."""

    __slots__ = ("_dialer", "_limiter", "_of_dial", "_of_poll")

    def __init__(self, dialer: Dialer, limiter: Limiter) -> None:
        self._dialer = dialer
        self._limiter = limiter
        self._of_poll: Admission | None = None
        self._of_dial: DialAdmission | None = None

    @property
    def may_dial(self) -> bool:
        """Whether the poll has a place for a dial, or waits for one."""
        return self._of_dial is not None

    @property
    def waits_to_dial(self) -> bool:
        return self._of_dial is not None and self._of_dial.waiting

    def enter(self, context: PollContext, start: Callable[[], None], rank: Rank, *, needs_dial: bool) -> None:
        """Call `start` as soon as there is room for the poll. If it needs a dial, it waits for the place of
        that first: a poll that waits there delays no other, and its time has not begun."""
        if needs_dial:
            self.enter_dials(context, lambda: self._enter_limiter(start, rank), rank)
        else:
            self._enter_limiter(start, rank)

    def _enter_limiter(self, start: Callable[[], None], rank: Rank) -> None:
        of_poll = self._of_poll = Admission(self._limiter, start, rank)
        self._limiter.take(of_poll)

    def enter_dials(self, context: PollContext, start: Callable[[], None], rank: Rank = Rank.UP) -> None:
        """Call `start` as soon as there is room for a dial, and a password for it."""
        self._of_dial = DialAdmission(self._dialer, context, start, rank)
        self._of_dial.enter()

    def leave_dials(self) -> None:
        """The dial has ended."""
        of_dial, self._of_dial = self._of_dial, None
        if of_dial is not None:
            of_dial.leave()

    def leave(self) -> Callable[[], None]:
        """The poll has ended. What it returns makes room for the next ones."""
        of_dial, of_poll = places = self._of_dial, self._of_poll
        self._of_dial = self._of_poll = None
        if of_dial is None and of_poll is not None:  # as nearly always
            return of_poll.leave

        def make_room() -> None:
            for place in places:
                if place is not None:
                    place.leave()

        return make_room
