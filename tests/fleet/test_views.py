"""What is known across targets."""

from __future__ import annotations

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


def test_each_reader_has_its_row() -> None:
    assert set(FleetViews().readers()) <= {family.name for family in FAMILIES if family.read is None}
