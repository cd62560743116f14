"""How often something is asked for."""

from __future__ import annotations

import pickle

from exporter.metrics.lane import Lane


def test_from_the_most_frequent_on() -> None:
    assert [lane.value for lane in Lane] == ["fast", "standard", "slow", "scan"]


def test_a_lane_is_found_by_itself_alone() -> None:
    polls = {lane: lane.value for lane in Lane}
    assert polls[Lane.SLOW] == "slow"
    assert polls[pickle.loads(pickle.dumps(Lane.SCAN))] == "scan"
    assert hash(Lane.FAST) != hash(Lane.STANDARD)
