"""What is known across targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exporter.fleet.views import FleetViews
from exporter.telemetry.own_series import FAMILIES
from tests.fleet.test_replication_map import FakeWatched, line


def test_each_view_hears_of_each_poll_and_of_the_end() -> None:
    views: Any = FleetViews()
    master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
    replica.replicates(900)
    views.note(replica, 0.0)
    master.masters(1000, line("10.0.0.2", 900))
    views.note(master, 0.0)
    read = views.readers()["exporter_fleet_masters_without_replicas"]
    assert read() == {"": 0}
    assert replica.lag is not None
    views.forget(replica.target.addr)
    assert replica.lag is None
    assert read() == {}
    views.forget(master.target.addr)
    assert len(views.replication) == 0


def test_a_target_that_is_down_is_forgotten() -> None:
    views: Any = FleetViews()
    master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
    replica.replicates(900)
    master.masters(1000, line("10.0.0.2", 900))
    for each in (replica, master):
        views.note(each, 0.0)
    assert replica.lag is not None
    master.up = False
    views.note(master, 1.0)
    views.note(master, 2.0)
    assert replica.lag is None
    assert len(views.replication) == 1


def test_a_poll_that_brings_nothing_new_changes_nothing_but_an_estimate() -> None:
    views: Any = FleetViews()
    master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
    master.masters(1000, line("172.17.0.5", 900))
    replica.replicates(950)
    for each in (master, replica):
        views.note(each, 0.0)
    assert replica.lag == (50, None, "estimate")
    master.masters(1100, line("172.17.0.5", 900))
    views.note(master, 1.0)
    views.note(replica, 1.0)
    assert replica.lag[:1] == (150,)


def test_a_target_of_another_shard_tells_of_its_replicas_and_is_not_summed_up() -> None:
    views: Any = FleetViews()
    master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
    master.masters(1000, line("10.0.0.2", 900))
    replica.replicates(900)
    for each in (master, replica):
        views.note(each, 0.0)
    read = views.readers()["exporter_fleet_masters_without_replicas"]
    assert read() == {"": 0}
    master.target = replace(master.target, elsewhere=True)
    for each in (master, replica):
        views.note(each, 1.0)
    assert read() == {}  # one target is no group
    assert replica.lag == (100, None, "master")


def test_each_reader_has_its_row() -> None:
    assert set(FleetViews().readers()) <= {family.name for family in FAMILIES if family.read is None}
