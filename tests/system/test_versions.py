"""Every version on record is polled with every option that adds metrics, and is asked nothing that it does
not know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from exporter.collectors._registry import REGISTRY
from tests.replay import EVERYTHING, SERVERS
from tests.servers import ScriptedServer
from tests.watch_harness import WatchHarness

POLLS = 15  # every lane comes round twice


@pytest.fixture
async def watch_harness() -> AsyncIterator[WatchHarness]:
    watch_harness = WatchHarness(REGISTRY, argv=EVERYTHING)
    yield watch_harness
    await watch_harness.close()


async def poll(watch_harness: WatchHarness, port: int) -> dict[tuple[str, tuple[str, ...]], float]:
    watched = watch_harness.watched(port)
    for _ in range(POLLS):
        await watch_harness.poll(watched)
    assert watch_harness.went_well(watched)
    return watch_harness.series(watched)


@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_is_asked_nothing_that_it_does_not_know(
    watch_harness: WatchHarness, scripted_server: Callable[..., ScriptedServer], name: str
) -> None:
    replay = SERVERS[name]()
    series = await poll(watch_harness, scripted_server(replay).port)
    assert replay.errors == {}
    failed = [
        labels
        for (name, labels), value in series.items()
        if name == "redis_exporter_collector_success" and not value
    ]
    assert failed == []
