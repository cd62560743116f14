"""What answers beside `Web`, made from a backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp.test_utils import make_mocked_request

from exporter.app.backend import Backend
from exporter.app.build import configure
from exporter.app.reload_record import ReloadRecord
from exporter.app.status_answers import Seen, status_answers
from exporter.options.commandline import parse
from exporter.options.endpoints import ROUTES, routes
from exporter.status.api import ApiAnswers
from exporter.status.overview import OverviewPage
from exporter.targets.address import parse_address
from exporter.web.incidents import Incidents
from exporter.web.routes import Web
from exporter.web.scrape_log import ScrapeLog

OPEN_FILES = 1000


Make = Callable[..., Awaitable[list[object]]]


@pytest.fixture
async def answers() -> AsyncIterator[Make]:
    """Makes the answers of a backend with one target."""
    backends: list[Backend] = []

    async def make(*argv: str) -> list[object]:
        configuration = configure(parse(argv, {}), [parse_address("redis://127.0.0.1:1")])
        backends.append(Backend(configuration, OPEN_FILES))
        await backends[-1].apply(configuration)
        seen = Seen(Incidents(), ScrapeLog(), ReloadRecord(), lambda: ["127.0.0.1:9121"], lambda: True)
        return status_answers(backends[-1], configuration.options, seen)

    yield make
    for backend in backends:
        await backend.close()


async def test_every_endpoint_is_answered(answers: Make) -> None:
    answerers = [Web, *await answers()]
    for route in ROUTES:
        assert any(hasattr(each, route.name.replace("-", "_")) for each in answerers), route.path


async def test_the_overview_links_the_endpoints_for_people(answers: Make) -> None:
    argv = ("--web.telemetry-path=/values", "--disable-scrape-endpoint")
    (overview,) = (each for each in await answers(*argv) if isinstance(each, OverviewPage))
    answer = await overview.overview(make_mocked_request("GET", "/"))
    text = answer.text  # type: ignore[attr-defined]
    for route in routes("/values"):
        linked = f'<a href="{route.path[1:]}"><code>' in text
        assert linked == (bool(route.note) and route.name != "scrape"), route


@pytest.mark.parametrize(
    ("argv", "shard"),
    [((), None), (("--shard.index=1", "--shard.total=3"), (1, 3, 1))],
)
async def test_the_exporter_says_what_it_is(
    argv: tuple[str, ...], shard: tuple[int, int, int] | None, answers: Make
) -> None:
    (api,) = (each for each in await answers(*argv) if isinstance(each, ApiAnswers))
    status = api.status()
    assert status.listen_addresses == ["127.0.0.1:9121"]
    assert (status.is_ready, status.adopted, status.reload.successful) == (True, 0, True)
    assert 0 < status.uptime_s < 60
    found = status.shard
    assert found is not None or sum(status.counts.values()) == 1
    assert (found and (found.index, found.total, found.targets)) == shard
    assert status.process.resident_bytes
    assert status.process.resident_bytes > 10_000_000
