"""What of one target is saved and restored: see tests/app/test_saved_state.py for whole exporters."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

import pytest

from exporter import engine
from exporter.app.build import configure
from exporter.metrics.lane import Lane
from exporter.metrics.store import LaneTimes, Snapshot, Store
from exporter.options.commandline import parse
from exporter.polling.saved_target import SavedTarget, restore, save
from exporter.polling.target_state import TargetState
from exporter.targets.address import parse_address
from exporter.telemetry.target_series import LaneCount

TARGET = parse_address("redis://one")
SAMPLES = (b"a 1\n", b"b 1\nb 2\n", b"", b"d 1\n")
OFFSETS = struct.pack("=5i", 0, 4, 12, 12, 16)
#: of what is saved; a busy machine may take a while for the test
AGE_S = 100.0


class Site:
    def __init__(self, *flags: str) -> None:
        [assignment] = configure(parse(flags, {}), [TARGET]).assignments
        self.store = Store(each.name for each in assignment.family_sets.all)
        self.state = TargetState(assignment, self.store)

    def put(self, began_at: float) -> None:
        block = engine.Block(b"".join(SAMPLES), OFFSETS, 4, 0, ())
        times = LaneTimes(began_at, began_at + 10 * AGE_S)
        self.store.put(Snapshot(TARGET.addr, "info", Lane.FAST, block, times))

    def restore(self, saved: SavedTarget, places: Sequence[int] | None = ()) -> Snapshot | None:
        restore(self.state, self.store, saved, lambda name: places)
        return self.store.get(TARGET.addr, "info")


@pytest.fixture
def saved() -> SavedTarget:
    site = Site()
    site.put(time.monotonic() - AGE_S)
    site.state.series.count_failure("timeout")
    site.state.series.lanes[Lane.FAST] = LaneCount(polls=7, covered_at=9.0, skipped=2, succeeded_at=1e9)
    site.state.series.collectors["info"] = (False, True)
    site.state.health.up, site.state.health.since = False, 1.5e9
    return save(site.state, site.store)


def test_a_snapshot_keeps_its_age_and_gets_the_expiry_of_today(saved: SavedTarget) -> None:
    site = Site("--max-age=500s")
    found = site.restore(saved)
    assert found is not None
    assert time.monotonic() - found.began_at == pytest.approx(AGE_S, abs=AGE_S / 2)
    assert found.expires_at - found.began_at == 500
    assert (found.samples, found.offsets, found.series) == (b"".join(SAMPLES), OFFSETS, 4)


def test_counters_are_restored(saved: SavedTarget) -> None:
    site = Site()
    site.restore(saved)
    series = site.state.series
    assert series.failures == {"timeout": 1}
    assert series.lanes[Lane.FAST] == LaneCount(polls=7, skipped=2, succeeded_at=1e9)
    assert series.lanes[Lane.SLOW] == LaneCount()
    assert series.collectors == {"info": (False, True)}
    assert series.series == 4
    assert series.up is None
    assert (site.state.health.up, site.state.health.resumed) == (None, (False, 1.5e9))


def test_families_get_their_numbers_of_today(saved: SavedTarget) -> None:
    found = Site().restore(saved, [3, -1, 1])
    assert found is not None
    assert found.samples == SAMPLES[3] + SAMPLES[1]
    assert found.offsets == struct.pack("=4i", 0, 4, 4, 12)


def test_a_set_that_is_gone_is_left_out(saved: SavedTarget) -> None:
    assert Site().restore(saved, None) is None


def test_samples_with_former_labels_are_not_saved() -> None:
    site = Site()
    site.put(time.monotonic())
    site.state.labels.former["info"] = site.state.labels.plain["info"]
    assert save(site.state, site.store).snapshots == []
