"""A poll waits for a place, and for one of a dial before if it needs that; both are left once."""

from __future__ import annotations

import pytest

from exporter import engine
from exporter.connection.dialer import Dialer
from exporter.connection.limiter import Admission, Limiter, Rank
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.polling.poll_context import PollContext
from exporter.polling.poll_place import PollPlace
from tests.poll_fixture import poll_context


@pytest.fixture
def context() -> PollContext:
    return poll_context(TargetMemory(), {"info": engine.Labels(b"")}, parse([], {}))


async def test_without_a_dial_one_place_is_enough(context: PollContext) -> None:
    dialer, limiter, started = Dialer(), Limiter(1), []
    place = PollPlace(dialer, limiter)
    place.enter(context, lambda: started.append("poll"), Rank.UP, needs_dial=False)
    assert started == ["poll"]
    assert (limiter.inside, dialer.limiter.inside) == (1, 0)
    assert not place.may_dial
    place.leave()()
    assert limiter.inside == 0


async def test_the_place_of_a_dial_comes_first(context: PollContext) -> None:
    dialer, limiter, started = Dialer(), Limiter(1), []
    for _ in range(dialer.limiter.limit):
        Admission(dialer.limiter, lambda: None).enter()
    place = PollPlace(dialer, limiter)
    place.enter(context, lambda: started.append("poll"), Rank.UP, needs_dial=True)
    assert place.waits_to_dial
    assert (started, limiter.inside) == ([], 0)
    place.leave()()
    assert not place.may_dial
    assert dialer.limiter.waiting == 0


async def test_both_places_are_left_together(context: PollContext) -> None:
    dialer, limiter = Dialer(), Limiter(1)
    place = PollPlace(dialer, limiter)
    place.enter(context, lambda: None, Rank.UP, needs_dial=True)
    assert place.may_dial
    assert (limiter.inside, dialer.limiter.inside) == (1, 1)
    make_room = place.leave()
    assert not place.may_dial
    assert (limiter.inside, dialer.limiter.inside) == (1, 1)
    make_room()
    assert (limiter.inside, dialer.limiter.inside) == (0, 0)


async def test_the_place_of_a_dial_is_left_when_the_dial_has_ended(context: PollContext) -> None:
    dialer, limiter = Dialer(), Limiter(1)
    place = PollPlace(dialer, limiter)
    place.enter(context, lambda: None, Rank.UP, needs_dial=True)
    place.leave_dials()
    place.leave_dials()
    assert (limiter.inside, dialer.limiter.inside) == (1, 0)
    place.leave()()
    assert limiter.inside == 0
