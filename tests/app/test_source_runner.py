"""Sources of targets, while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from exporter.app.source_runner import SourceRunner
from exporter.targets.address import parse_address
from exporter.targets.source import Changed, SourceHealth
from exporter.targets.target import Target
from exporter.telemetry.own_series import FAMILIES

ONE = parse_address("redis://one")


@dataclass
class Source:
    """Says its targets once, and waits for its end."""

    name: str
    targets: Sequence[Target] = ()
    fails: bool = False
    running: int = field(default=0, compare=False)
    health: SourceHealth = field(default_factory=SourceHealth, compare=False)

    async def run(self, changed: Changed) -> None:
        self.running += 1
        try:
            changed(self.targets)
            if self.fails:
                raise ValueError("broken")
            await asyncio.Event().wait()
        finally:
            self.running -= 1


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_each_says_what_it_has_under_its_name() -> None:
    said: list[tuple[str, Sequence[Target]]] = []
    runner = SourceRunner(lambda name, targets: said.append((name, targets)))
    await runner.apply([Source("a", (ONE,)), Source("b")])
    await turn()
    assert said == [("a", (ONE,)), ("b", ())]
    assert runner.names == ["a", "b"]
    await runner.stop()


async def test_an_equal_one_goes_on_and_another_takes_its_place() -> None:
    runner = SourceRunner(lambda name, targets: None)
    first, equal, other = Source("a"), Source("a"), Source("a", (ONE,))
    await runner.apply([first])
    await turn()
    await runner.apply([equal])
    await turn()
    assert (first.running, equal.running) == (1, 0)
    await runner.apply([other])
    await turn()
    assert (first.running, other.running) == (0, 1)
    await runner.stop()
    assert other.running == 0
    assert runner.names == []


async def test_none_starts_after_a_stop_that_comes_in_a_change() -> None:
    runner = SourceRunner(lambda name, targets: None)
    first, other = Source("a"), Source("b")
    await runner.apply([first])
    await turn()
    change = asyncio.create_task(runner.apply([other]))
    await asyncio.sleep(0)
    await runner.stop()
    await change
    await turn()
    assert (first.running, other.running, runner.names) == (0, 0, [])


async def test_a_broken_one_is_logged_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    runner = SourceRunner(lambda name, targets: said.append(name))
    await runner.apply([Source("broken", fails=True), Source("well")])
    await turn()
    assert said == ["broken", "well"]
    assert "internal error in a source of targets (please report): broken" in caplog.text
    await runner.stop()


async def test_shows_how_each_of_them_does() -> None:
    runner = SourceRunner(lambda name, targets: None)
    broken, well = Source("broken"), Source("well")
    await runner.apply([broken, well])
    broken.health.fail("a.yml", "no")
    well.health.succeed()
    read = runner.readers()
    assert read.keys() <= {family.name for family in FAMILIES}
    assert read["exporter_sd_failures_total"]() == {"broken": 1, "well": 0}
    assert read["exporter_sd_last_success_timestamp_seconds"]() == {"well": well.health.succeeded_at}
    await runner.apply([well])
    assert read["exporter_sd_failures_total"]() == {"well": 0}
    await runner.stop()
