"""Builds of cached pages: one of each page at once, and what becomes of their results."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from exporter.pages import builds as builds_module
from exporter.pages.builds import PageBuilds
from exporter.pages.page import Page
from exporter.pages.selection import WHOLE, Selection
from exporter.pages.selection_pages import CachedPage
from tests.store_fixture import ADDRS, StoreFixture


class Results:
    """Notes what builds report."""

    def __init__(self, store_fixture: StoreFixture) -> None:
        self.pages: list[Page] = []
        self.ended: list[CachedPage] = []
        self.builds = PageBuilds(store_fixture.exposition, self._built, self.ended.append)

    def _built(self, page: Page, seconds: float) -> None:
        assert seconds > 0
        self.pages.append(page)


@pytest_asyncio.fixture
async def results(store_fixture: StoreFixture) -> AsyncIterator[Results]:
    store_fixture.add(ADDRS[0])
    results = Results(store_fixture)
    yield results
    await results.builds.close()


async def test_a_build_ends_with_its_page_in_place(results: Results) -> None:
    cached = CachedPage(WHOLE)
    building = results.builds.start(cached)
    assert building is not None
    page = await building
    assert page is not None
    assert cached.page is page
    assert cached.building is None
    assert (results.pages, results.ended) == ([page], [cached])
    assert results.builds.build_s > 0


async def test_a_build_that_was_replaced_leaves_the_newer_page(results: Results) -> None:
    cached = CachedPage(WHOLE)
    old = results.builds.start(cached)
    cached.building = None
    new = results.builds.start(cached)
    assert old is not None
    assert new is not None
    assert await old is not await new
    assert cached.page is new.result()


async def test_a_page_that_failed_is_not_built_again_at_once(
    results: Results, store_fixture: StoreFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = CachedPage(WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr(store_fixture.exposition, "_self_series", lambda: 1 / 0)
        building = results.builds.start(cached)
        assert building is not None
        assert await building is None
    assert "ZeroDivisionError" in cached.failure
    assert results.ended == [cached]
    assert results.builds.start(cached) is None
    cached.failed_at = time.monotonic() - builds_module.RETRY_S
    again = results.builds.start(cached)
    assert again is not None
    assert await again is not None
    assert cached.failure == ""


async def test_pages_without_a_steady_scraper_are_refused_when_too_many_wait(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds_module, "WAITING_MAX", 2)
    odd = [CachedPage(Selection(group=f"g{number}")) for number in range(5)]
    started = [results.builds.start(cached) for cached in odd]
    assert [building is None for building in started] == [False, False, False, True, True]
    assert "too many different pages" in odd[-1].failure
    assert results.builds.start(CachedPage(WHOLE)) is not None
    assert results.builds.start(CachedPage(Selection(addr=ADDRS[0]))) is not None


async def test_the_end_gives_up_what_is_not_built_yet(results: Results) -> None:
    building = results.builds.start(CachedPage(WHOLE)), results.builds.start(CachedPage(Selection(group="g")))
    await results.builds.close()
    assert all(each is not None and each.done() for each in building)
    assert results.builds.start(CachedPage(WHOLE)) is None
