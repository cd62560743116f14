"""The family sets of a configuration, by lane."""

from __future__ import annotations

import pytest

from exporter.collectors._enabled import EnabledCollector
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.polling.assignment import FamilySets
from exporter.telemetry.target_series import target_family_set
from tests.poll_fixture import idle

INFO, STATS, CONFIG, KEYS = (
    idle(name, lane, gauge(name, "A number."))
    for name, lane in (
        ("info", Lane.FAST),
        ("stats", Lane.STANDARD),
        ("config", Lane.STANDARD),
        ("keys", Lane.SCAN),
    )
)
TARGET = target_family_set("redis")
FAMILY_SETS = FamilySets([INFO, STATS, KEYS, CONFIG], TARGET)


@pytest.mark.parametrize(
    ("lanes", "collectors"),
    [
        ((), ()),
        ((Lane.FAST,), (INFO,)),
        ((Lane.FAST, Lane.STANDARD), (INFO, STATS, CONFIG)),
        ((Lane.SLOW,), ()),
        ((Lane.SCAN,), (KEYS,)),
    ],
)
def test_by_lanes(lanes: tuple[Lane, ...], collectors: tuple[EnabledCollector, ...]) -> None:
    assert FAMILY_SETS.on(lanes) == collectors
    assert FAMILY_SETS.on(lanes) is FAMILY_SETS.on(lanes)


def test_the_lanes_that_have_any() -> None:
    assert FAMILY_SETS.lanes == (Lane.FAST, Lane.STANDARD, Lane.SCAN)
    assert FAMILY_SETS.scan == (KEYS,)
    assert FamilySets([INFO], TARGET).lanes == (Lane.FAST,)
    assert FamilySets([INFO], TARGET).scan == ()


def test_all_with_the_one_about_the_target() -> None:
    assert FAMILY_SETS.all == (*(each.family_set for each in (INFO, STATS, KEYS, CONFIG)), TARGET)
