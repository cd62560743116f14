"""Scrapes without HTTP: what is answered at once, what has to wait, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from multidict import MultiDict

from exporter.errors import MisdirectedError, NotAllowedError, PageError, RequestError, StoppingError
from exporter.pages.page import Page
from exporter.targets.asked import Asked
from exporter.telemetry.own_series import OwnSeries
from exporter.web.answers import TextAnswer
from exporter.web.scrapes import METRICS, NOT_YET, SCRAPE, Answering, ScrapeRequest, refusal_of
from tests.store_fixture import until
from tests.web.fleet import FakeWatch
from tests.web.test_routes import A, B, Site, site  # noqa: F401  # a fixture


def ask(site: Site, endpoint: str, query: Mapping[str, str] = {}, **headers: str) -> Answering:  # noqa: F811
    request = ScrapeRequest(endpoint, MultiDict(query), headers, "192.0.2.1")
    return site.web.scrapes.answer(request)


async def page_of(answering: Answering) -> Page:
    found = answering if isinstance(answering, (Page, TextAnswer)) else await answering
    assert isinstance(found, Page)
    return found


def text(page: Page) -> bytes:
    return b"".join(page.plain)


class TestAtOnce:
    """A scrape that is answered without a wait costs no task."""

    async def test_the_page_of_all_targets_once_it_is_built(self, site: Site) -> None:  # noqa: F811
        first = await page_of(ask(site, METRICS))
        assert ask(site, METRICS) is first

    async def test_the_page_of_one_target(self, site: Site) -> None:  # noqa: F811
        found = ask(site, SCRAPE, {"target": A})
        assert isinstance(found, Page)
        assert b"redis_connected_clients 1\n" in text(found)

    @pytest.mark.parametrize(
        ("endpoint", "query", "status"),
        [
            (METRICS, {"part": "x"}, 400),
            (SCRAPE, {}, 400),
            (SCRAPE, {"target": A, "max_age": "soon"}, 400),
            (SCRAPE, {"target": "redis://unknown:1"}, 403),
        ],
    )
    async def test_a_refusal(
        self,
        site: Site,  # noqa: F811
        endpoint: str,
        query: dict[str, str],
        status: int,
    ) -> None:
        found = ask(site, endpoint, query)
        assert isinstance(found, TextAnswer)
        assert found.status == status


class TestLater:
    async def test_fresh_values_are_waited_for(self, site: Site) -> None:  # noqa: F811
        for query in ({"max_age": "0"}, {"max_age": "0", "target": A}):
            found = ask(site, SCRAPE if "target" in query else METRICS, query)
            assert not isinstance(found, (Page, TextAnswer))
            await page_of(found)
        assert len(site.fleet.watched_targets[A].asked) == 2

    async def test_the_first_round_is_waited_for(self, site: Site) -> None:  # noqa: F811
        site.fleet.first_round.polled.clear()
        scrape = asyncio.ensure_future(page_of(ask(site, METRICS)))
        await until(lambda: site.fleet.first_round.waited_s)
        assert not scrape.done()
        site.store_fixture.add(B, clients=7)
        site.fleet.first_round.polled.set()
        assert b" 7\n" in text(await scrape)

    async def test_a_target_that_nobody_configured_is_waited_for(self, site: Site) -> None:  # noqa: F811
        found = site.fleet.watched_targets[B]

        async def adopt(asked: Asked, deadline: float) -> FakeWatch | None:
            return found if asked.text == "redis://new:1" else None

        site.adopt = adopt
        await site.start()
        assert b"redis_connected_clients 2\n" in text(
            await page_of(ask(site, SCRAPE, {"target": "redis://new:1"}))
        )
        other = ask(site, SCRAPE, {"target": "redis://other:1"})
        assert not isinstance(other, (Page, TextAnswer))
        refused = await other
        assert isinstance(refused, TextAnswer)
        assert refused.status == 403

    async def test_a_refusal_after_a_wait_is_an_answer_too(self, site: Site) -> None:  # noqa: F811
        async def adopt(asked: Asked, deadline: float) -> FakeWatch | None:
            raise NotAllowedError("not this one")

        site.adopt = adopt
        await site.start()
        waiting = ask(site, SCRAPE, {"target": "redis://new:1"})
        assert not isinstance(waiting, (Page, TextAnswer))
        assert await waiting == TextAnswer(403, "not this one\n")


@pytest.mark.parametrize(
    ("error", "status", "counted"),
    [
        (RequestError("write it so"), 400, 0),
        (NotAllowedError("no"), 403, 1),
        (MisdirectedError("there"), 421, 1),
        (PageError(NOT_YET), 503, 0),
        (StoppingError(), 503, 0),
    ],
)
def test_each_refusal_has_its_status(error: Exception, status: int, counted: int) -> None:
    own_series = OwnSeries("redis", "1.2.3", "compiled")
    assert refusal_of(error, own_series) == TextAnswer(status, f"{error}\n")
    assert own_series.request_errors == counted
