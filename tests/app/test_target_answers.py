"""The pages of single targets are connected with the exporter's parts."""

from __future__ import annotations

import pytest

from exporter.app.backend import Backend
from exporter.app.build import configure
from exporter.app.target_answers import target_answers
from exporter.options.commandline import parse
from exporter.status.templates import Templates


@pytest.mark.parametrize(
    ("argv", "may_trace", "has_scrape"),
    [
        (["--web.enable-trace=false"], False, True),
        (["--web.enable-trace=false", "--web.enable-lifecycle"], False, True),
        ([], True, True),
        (["--disable-scrape-endpoint"], False, False),
        (["--disable-scrape-endpoint", "--web.enable-lifecycle"], True, False),
    ],
)
async def test_who_may_poll_on_request_may_trace(argv: list[str], may_trace: bool, has_scrape: bool) -> None:
    async def share() -> None: ...

    configuration = configure(parse(argv, {}), ())
    backend = Backend(configuration, 1000)
    sources = target_answers(backend, configuration.options.web, Templates({}, share), share).sources
    assert (sources.may_trace, sources.has_scrape) == (may_trace, has_scrape)
    assert sources.options() is configuration.options
    assert sources.fleet is backend.fleet
    await backend.close()
