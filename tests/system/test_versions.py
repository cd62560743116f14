"""Every version on record is polled with every option that adds metrics, and is asked nothing that it does not know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.lookout import Lookout
from tests.replay import SENTINELS, VERSIONS, Replay
from tests.servers import ScriptedServer

EVERYTHING = (
    "--include-config-metrics",
    "--export-client-list",
    "--client-list-by=name,cmd",
    "--include-memory-stats-metrics",
    "--include-acl-log-metrics",
    "--include-sentinel-peer-info",
    "--include-cluster-node-metrics",
    "--include-system-metrics",
    "--export-unknown-info",
)
POLLS = 15  # every lane comes round twice


@pytest.fixture
async def lookout() -> AsyncIterator[Lookout]:
    lookout = Lookout(argv=EVERYTHING)
    yield lookout
    await lookout.close()


async def poll(lookout: Lookout, port: int) -> dict[tuple[str, tuple[str, ...]], float]:
    watch = lookout.watch(port)
    for _ in range(POLLS):
        await lookout.poll(watch)
    assert lookout.went_well(watch)
    return lookout.series(watch)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server(lookout: Lookout, scripted_server: Callable[..., ScriptedServer], version: str) -> None:
    replay = Replay(version)
    series = await poll(lookout, scripted_server(replay).port)
    assert replay.errors == {}
    failed = [labels for (name, labels), value in series.items() if name == "redis_exporter_collector_success" and not value]
    assert failed == []


@pytest.mark.parametrize("version", SENTINELS)
async def test_a_sentinel(lookout: Lookout, scripted_server: Callable[..., ScriptedServer], version: str) -> None:
    replay = Replay(version, sentinel=True)
    await poll(lookout, scripted_server(replay).port)
    assert replay.errors == {}
