"""Every version on record is polled with every option that adds metrics, and is asked nothing that it does
not know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from exporter.collectors._registry import REGISTRY
from tests.lookout import Lookout
from tests.replay import EVERYTHING, SERVERS
from tests.servers import ScriptedServer

POLLS = 15  # every lane comes round twice


@pytest.fixture
async def lookout() -> AsyncIterator[Lookout]:
    lookout = Lookout(REGISTRY, argv=EVERYTHING)
    yield lookout
    await lookout.close()


async def poll(lookout: Lookout, port: int) -> dict[tuple[str, tuple[str, ...]], float]:
    watch = lookout.watch(port)
    for _ in range(POLLS):
        await lookout.poll(watch)
    assert lookout.went_well(watch)
    return lookout.series(watch)


@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_is_asked_nothing_that_it_does_not_know(
    lookout: Lookout, scripted_server: Callable[..., ScriptedServer], name: str
) -> None:
    replay = SERVERS[name]()
    series = await poll(lookout, scripted_server(replay).port)
    assert replay.errors == {}
    failed = [
        labels
        for (name, labels), value in series.items()
        if name == "redis_exporter_collector_success" and not value
    ]
    assert failed == []
