"""The family sets of a configuration, by lane."""

from __future__ import annotations

import pytest

from exporter.metrics.family import gauge
from exporter.metrics.family_set import FamilySet, make_family_set
from exporter.metrics.lane import Lane
from exporter.polling.assignment import FamilySets


def family_set(name: str, lane: Lane) -> FamilySet:
    return make_family_set(name, lane, (gauge(name, "A number."),), namespace="redis")


INFO, STATS, CONFIG, KEYS, TARGET = (
    family_set("info", Lane.FAST),
    family_set("stats", Lane.STANDARD),
    family_set("config", Lane.STANDARD),
    family_set("keys", Lane.SCAN),
    family_set("target", Lane.FAST),
)
FAMILY_SETS = FamilySets([INFO, STATS, KEYS, CONFIG], TARGET)


@pytest.mark.parametrize(
    ("lanes", "family_sets"),
    [
        ((), ()),
        ((Lane.FAST,), (INFO,)),
        ((Lane.FAST, Lane.STANDARD), (INFO, STATS, CONFIG)),
        ((Lane.SLOW,), ()),
        ((Lane.SCAN,), (KEYS,)),
    ],
)
def test_by_lanes(lanes: tuple[Lane, ...], family_sets: tuple[FamilySet, ...]) -> None:
    assert FAMILY_SETS.on(lanes) == family_sets
    assert FAMILY_SETS.on(lanes) is FAMILY_SETS.on(lanes)


def test_the_lanes_that_have_any() -> None:
    assert FAMILY_SETS.lanes == (Lane.FAST, Lane.STANDARD, Lane.SCAN)
    assert FAMILY_SETS.scan == (KEYS,)
    assert FamilySets([INFO], TARGET).lanes == (Lane.FAST,)
    assert FamilySets([INFO], TARGET).scan == ()


def test_all_with_the_one_about_the_target() -> None:
    assert FAMILY_SETS.all == (INFO, STATS, KEYS, CONFIG, TARGET)
