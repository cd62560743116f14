"""What takes the most series."""

from __future__ import annotations

import pytest

from exporter.metrics.store import Snapshot
from exporter.status import cardinality
from exporter.status.cardinality import Cardinality, CardinalityReport, CardinalitySources
from tests.status.members import Members, no_share
from tests.store_fixture import PATIENCE_S, StoreFixture


class Targets:
    """Targets with snapshots, and reports about them."""

    def __init__(self) -> None:
        self.store_fixture = StoreFixture()
        self.members = Members()
        self.shares = 0
        self.reports = Cardinality(
            CardinalitySources(
                self.store_fixture.store,
                lambda: self.store_fixture.catalog.family_sets,
                lambda: self.members.watched.values(),
                lambda: (10_000, 5_000),
                self._share,
            )
        )

    async def _share(self) -> None:
        self.shares += 1
        await no_share()

    def add(self, host: str, refused: int = 0) -> None:
        watched = self.members.add(host, "up", alias=f"the {host}")
        watched.state.series.refused = refused
        self.store_fixture.add(f"redis://{host}:6379")

    async def report(self) -> CardinalityReport:
        return await self.reports.report()

    def snapshots(self) -> list[Snapshot]:
        store = self.store_fixture.store
        return [
            each for name in store.family_sets for each in store.snapshots(name, list(store.addrs())) if each
        ]


async def test_families_and_targets_add_up_to_what_is_stored() -> None:
    targets = Targets()
    for host in ("a", "b", "c"):
        targets.add(host)
    report = await targets.report()
    stored = targets.snapshots()
    assert report.series == sum(each.series for each in stored)
    assert report.series == sum(family.series for family in report.families)
    assert report.bytes == sum(len(each.samples) for each in stored)
    assert report.bytes == sum(family.bytes for family in report.families)
    sizes = {family.name: family for family in report.families}
    calls = sizes["redis_commands_total"]
    assert (calls.series, calls.targets) == (6, 3)
    assert calls.bytes == sum(len(each.samples) for each in stored if each.family_set == "stats")
    assert sizes["redis_connected_clients"].series == 3
    assert {(target.name, target.address) for target in report.targets} == {
        (f"the {host}", f"redis://{host}:6379") for host in "abc"
    }
    assert (report.target_limit, report.family_limit) == (10_000, 5_000)


async def test_the_largest_come_first_and_only_some_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cardinality, "LISTED_MAX", 2)
    targets = Targets()
    for host, refused in (("a", 5), ("b", 0), ("c", 9), ("d", 7)):
        targets.add(host, refused)
    targets.store_fixture.store.drop("redis://a:6379")
    report = await targets.report()
    assert [(target.name, target.refused) for target in report.refusing] == [("the c", 9), ("the d", 7)]
    assert report.refused == 21
    assert len(report.families) == len(report.targets) == 2
    assert report.families[0].name == "redis_commands_total"
    assert "the a" not in {target.name for target in report.targets}


async def test_a_report_is_kept_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cardinality, "KEPT_S", PATIENCE_S)
    targets = Targets()
    targets.add("a")
    first = await targets.report()
    targets.add("b")
    assert await targets.report() is first
    monkeypatch.setattr(cardinality, "KEPT_S", -1.0)
    monkeypatch.setattr(cardinality, "KEPT_TIMES", 0)
    again = Cardinality(targets.reports.sources)
    assert (await again.report()).series == 2 * first.series
    assert (await again.report()) is not await again.report()


async def test_the_loop_goes_on_between_targets() -> None:
    targets = Targets()
    for host in "abcdef":
        targets.add(host)
    await targets.report()
    assert targets.shares >= 6


async def test_without_targets() -> None:
    report = await Targets().report()
    assert (report.series, report.bytes, report.families, report.targets, report.refusing) == (
        0,
        0,
        [],
        [],
        [],
    )
