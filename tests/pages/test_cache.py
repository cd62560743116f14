"""When pages are built, for whom, and how long they are kept."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.errors import PageError
from exporter.pages import build_queue, exposition, scrapers
from exporter.pages import builds as builds_module
from exporter.pages import cache as cache_module
from exporter.pages.build_queue import INLINE_BYTES
from exporter.pages.cache import SELECTIONS_MAX, TARGET_PAGES_MAX, PageCache
from exporter.pages.page import Draft, Page
from exporter.pages.scrapers import SCRAPERS_MAX, Scrapers
from exporter.pages.selection import WHOLE, Selection
from tests.store_fixture import ADDRS, PATIENCE_S, StoreFixture, plain_text, until, values_of

A, B, C = ADDRS
AGE = "redis_exporter_snapshot_age_seconds"


@pytest_asyncio.fixture
async def pages(store_fixture: StoreFixture) -> AsyncIterator[PageCache]:
    """Pages that may be built as often as it takes."""
    pages = PageCache(store_fixture.exposition, min_interval_s=0.0)
    yield pages
    await pages.close()


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Draft]:
    """Every draft that was built."""
    built: list[Draft] = []
    build = Draft.build

    def counted(draft: Draft, before: Page | None = None) -> Page:
        built.append(draft)
        return build(draft, before)

    monkeypatch.setattr(Draft, "build", counted)
    return built


@pytest.fixture
def held_builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Builds run in the thread, and come to no end before this is set."""
    go = threading.Event()
    build = Draft.build

    def held(draft: Draft, before: Page | None = None) -> Page:
        assert go.wait(PATIENCE_S)
        return build(draft, before)

    monkeypatch.setattr(build_queue, "INLINE_BYTES", -1)
    monkeypatch.setattr(cache_module, "INLINE_BYTES", -1)
    monkeypatch.setattr(Draft, "build", held)
    yield go
    go.set()


@pytest.fixture
def short_gaps(monkeypatch: pytest.MonkeyPatch) -> float:
    """The gap of readers who ask faster than that, in seconds."""
    monkeypatch.setattr(scrapers, "GAP_MIN_S", 0.3)
    return scrapers.GAP_MIN_S


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who asks in short gaps is given up, however long a busy machine holds the loop."""
    monkeypatch.setattr(scrapers, "ASKED_GAPS", 1000)


async def ask(pages: PageCache, scraper: str = "") -> None:
    """Often enough to show a habit."""
    for _ in range(3):
        await pages.page(scraper=scraper)


class TestPages:
    async def test_while_nothing_changes_one_page_serves_all(
        self, pages: PageCache, builds: list[Draft]
    ) -> None:
        first = await pages.page()
        assert [await pages.page() for _ in range(10)] == [first] * 10
        assert len(builds) == 1
        assert pages.whole is first

    async def test_without_targets_each_scrape_shows_the_exporter_as_it_is_now(
        self, store_fixture: StoreFixture, pages: PageCache
    ) -> None:
        for addr in ADDRS:
            store_fixture.forget(addr)
        for number in range(1, 4):
            await pages.page()
            assert store_fixture.self_renders == number

    async def test_those_who_come_together_share_one_build(
        self, pages: PageCache, builds: list[Draft]
    ) -> None:
        assert len(set(await asyncio.gather(*(pages.page() for _ in range(10))))) == 1
        assert len(builds) == 1

    async def test_a_young_page_is_not_replaced_on_a_scrape(
        self, store_fixture: StoreFixture, builds: list[Draft]
    ) -> None:
        pages = PageCache(store_fixture.exposition, min_interval_s=3600.0)
        await pages.page()
        store_fixture.add(A, clients=5)
        await pages.page()
        await pages.close()
        assert len(builds) == 1

    async def test_a_page_that_was_not_kept_up_is_built_before_it_is_served(
        self, store_fixture: StoreFixture
    ) -> None:
        pages = PageCache(store_fixture.exposition, min_interval_s=0.0)
        old = await pages.page()
        assert await pages.page() is old
        store_fixture.add(A, clients=5)
        assert values_of(plain_text(await pages.page()), "redis_connected_clients")[A] == 5
        await pages.close()

    async def test_it_is_told_how_old_it_was_when_it_was_asked_for(self, store_fixture: StoreFixture) -> None:
        pages = PageCache(store_fixture.exposition, min_interval_s=3600.0)
        page = await pages.page()
        began = time.monotonic()
        await pages.page(Selection(group="blue"))
        await until(lambda: time.monotonic() - began > 0.05)
        await pages.page()
        assert 0.05 < pages.served_age_s <= time.monotonic() - page.gathered_at
        await pages.close()

    async def test_who_asks_for_a_generation_gets_it(
        self, store_fixture: StoreFixture, pages: PageCache
    ) -> None:
        old = await pages.page()
        store_fixture.add(A, clients=5)
        page = await pages.page(at_least=store_fixture.store.generation)
        assert page is not old
        assert values_of(plain_text(page), "redis_connected_clients")[A] == 5

    @pytest.mark.usefixtures("patient")
    async def test_it_is_ready_before_the_next_expected_scrape(
        self, store_fixture: StoreFixture, builds: list[Draft], short_gaps: float
    ) -> None:
        pages = PageCache(store_fixture.exposition, min_interval_s=3600.0)
        await ask(pages)
        old = pages.whole
        store_fixture.add(A, clients=5)
        await until(lambda: pages.whole is not old)
        assert len(builds) == 2
        assert values_of(plain_text(await pages.page()), "redis_connected_clients")[A] == 5
        await pages.close()

    @pytest.mark.usefixtures("patient")
    async def test_a_crowd_does_not_put_off_the_build_for_a_steady_scraper(
        self, store_fixture: StoreFixture, short_gaps: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache_module, "FIRST_LEAD_S", short_gaps - 0.02)
        looks = 0

        def is_quiet() -> bool:
            nonlocal looks
            looks += 1
            return False

        pages = PageCache(store_fixture.exposition, min_interval_s=3600.0, is_quiet=is_quiet)
        await ask(pages, scraper="prometheus")
        old = pages.whole
        await until(lambda: looks)
        expected_at = pages._whole.scraped_at
        for number in range(5):
            await pages.page(scraper=number)
        assert pages._whole.scraped_at == expected_at
        store_fixture.add(A, clients=5)
        await until(lambda: pages.whole is not old)
        await pages.close()

    async def test_a_page_lasts_longer_just_before_a_steady_scraper_comes(
        self, store_fixture: StoreFixture, builds: list[Draft], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache_module, "SOON_S", PATIENCE_S)
        pages = PageCache(store_fixture.exposition, min_interval_s=0.0)
        page = await pages.page(scraper="prometheus")
        store_fixture.add(A, clients=5)
        monkeypatch.setattr(Scrapers, "steady_after", lambda self, now: now + PATIENCE_S / 2)
        assert await pages.page(scraper="crowd") is page
        monkeypatch.setattr(Scrapers, "steady_after", lambda self, now: now + 2 * PATIENCE_S)
        assert await pages.page(scraper="crowd") is not page
        await pages.close()

    async def test_but_not_for_long_so_a_steady_scraper_may_come_early(
        self, store_fixture: StoreFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache_module, "SOON_S", PATIENCE_S)
        monkeypatch.setattr(Scrapers, "steady_after", lambda self, now: now + PATIENCE_S / 2)
        pages = PageCache(store_fixture.exposition, min_interval_s=0.0)
        page = await pages.page(scraper="prometheus")
        older = replace(page, gathered_at=page.gathered_at - 3 * PATIENCE_S)
        pages._whole.page = older
        store_fixture.add(A, clients=5)
        assert await pages.page(scraper="prometheus") is not older
        await pages.close()

    @pytest.mark.usefixtures("patient")
    async def test_a_build_that_began_too_soon_for_the_next_scrape_is_followed_by_another(
        self, store_fixture: StoreFixture, held_builds: threading.Event, short_gaps: float
    ) -> None:
        pages = PageCache(store_fixture.exposition, min_interval_s=0.0)
        held_builds.set()
        await ask(pages, scraper="prometheus")
        held_builds.clear()
        store_fixture.add(A, clients=4)
        crowd = asyncio.ensure_future(pages.page(scraper="crowd"))
        await until(lambda: pages._whole.building is not None)
        store_fixture.add(A, clients=5)
        await until(lambda: pages._whole.due == store_fixture.store.generation)
        held_builds.set()
        assert values_of(plain_text(await crowd), "redis_connected_clients")[A] == 4
        await until(lambda: pages._whole.building is None)
        assert pages.whole is not None
        assert values_of(plain_text(pages.whole), "redis_connected_clients")[A] == 5
        await pages.close()

    @pytest.mark.usefixtures("patient")
    async def test_a_change_of_up_does_not_put_off_the_build_for_a_steady_scraper(
        self, store_fixture: StoreFixture, builds: list[Draft], short_gaps: float
    ) -> None:
        pages = PageCache(store_fixture.exposition, min_interval_s=3600.0)
        await ask(pages, scraper="prometheus")
        store_fixture.add(A, up=False)
        pages.up_changed()
        await until(lambda: len(builds) == 2)
        await pages.close()

    async def test_who_asks_does_not_put_off_what_shows_a_change_of_up(
        self, store_fixture: StoreFixture, builds: list[Draft], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scrapers, "GAP_MIN_S", 3 * PATIENCE_S)
        pages = PageCache(store_fixture.exposition, min_interval_s=0.3)
        await pages.page()
        store_fixture.add(A, up=False)
        pages.up_changed()
        await pages.page()
        await until(lambda: len(builds) == 2)
        await pages.close()

    async def test_it_is_given_up_when_nobody_comes_for_three_gaps(
        self, pages: PageCache, short_gaps: float
    ) -> None:
        began = time.monotonic()
        await ask(pages)
        await until(lambda: pages.whole is None)
        assert time.monotonic() - began > 3 * short_gaps

    async def test_one_who_came_in_haste_and_left_takes_no_page_from_another(
        self, pages: PageCache, short_gaps: float
    ) -> None:
        await pages.page(scraper="prometheus")
        await ask(pages, scraper="human")
        await until(lambda: set(pages._whole.scrapers.habits) == {"prometheus"})
        assert pages.whole is not None

    async def test_readers_are_bounded(self, pages: PageCache) -> None:
        for number in range(SCRAPERS_MAX + 10):
            await pages.page(scraper=number)
        assert list(pages._whole.scrapers.habits) == list(range(10, SCRAPERS_MAX + 10))

    async def test_a_change_of_up_is_shown_without_being_asked_for(
        self, store_fixture: StoreFixture, pages: PageCache
    ) -> None:
        old = await pages.page()
        store_fixture.add(A, up=False)
        pages.up_changed()
        await until(lambda: pages.whole is not old)
        assert values_of(plain_text(await pages.page()), "redis_up")[A] == 0

    async def test_a_change_of_up_during_a_build_brings_another(
        self, store_fixture: StoreFixture, pages: PageCache, held_builds: threading.Event
    ) -> None:
        waiting = asyncio.ensure_future(pages.page())
        await until(lambda: pages._whole.building is not None)
        store_fixture.add(A, up=False)
        pages.up_changed()
        held_builds.set()
        first = await waiting
        assert values_of(plain_text(first), "redis_up")[A] == 1
        await until(lambda: pages.whole is not first and pages.whole is not None)
        assert values_of(plain_text(await pages.page()), "redis_up")[A] == 0

    async def test_many_changes_of_up_are_one_build(
        self, store_fixture: StoreFixture, builds: list[Draft]
    ) -> None:
        pages = PageCache(store_fixture.exposition, min_interval_s=0.3)
        await pages.page()
        for up in (False, True) * 50:
            store_fixture.add(A, up=up)
            pages.up_changed()
            await asyncio.sleep(0)
        await until(lambda: len(builds) > 1)
        await pages.close()
        assert len(builds) == 2

    async def test_a_change_of_up_builds_nothing_that_nobody_asked_for(
        self, store_fixture: StoreFixture, pages: PageCache, builds: list[Draft]
    ) -> None:
        pages.up_changed()
        await pages.of_target(A, plain=True)
        pages.up_changed()
        [draft] = builds
        assert draft.group_ends == (1,)  # of one target
        assert pages.whole is None

    async def test_large_pages_are_built_in_the_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store_fixture = StoreFixture()
        monkeypatch.setattr(store_fixture, "self_series", lambda: b"# " + b"x" * INLINE_BYTES + b"\n")
        pages = PageCache(
            exposition.Exposition(
                store_fixture.catalog, store_fixture.store, store_fixture.origin, store_fixture.self_series
            )
        )
        page = await pages.page()
        assert page.length > INLINE_BYTES
        assert pages._builds._builder._thread._threads
        await pages.close()

    async def test_a_build_that_fails_is_told_and_the_old_page_stays(
        self,
        store_fixture: StoreFixture,
        pages: PageCache,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        old = await pages.page()

        def fail(draft: Draft, before: Page | None = None) -> Page:
            raise ValueError("an offset lies")

        monkeypatch.setattr(Draft, "build", fail)
        store_fixture.add(A, clients=5)
        with caplog.at_level(logging.ERROR):
            assert await pages.page() is old
            await until(lambda: caplog.records)
        assert [(record.getMessage(), vars(record)["err"]) for record in caplog.records] == [
            ("a page could not be built", "ValueError: an offset lies")
        ]
        assert pages.whole is old

    async def test_is_told_of_what_was_built_once_it_is_the_newest(self, store_fixture: StoreFixture) -> None:
        told: list[bool] = []
        made: PageCache = PageCache(
            store_fixture.exposition,
            0.0,
            on_built=lambda page, seconds: told.append(page is made.whole and seconds > 0),
        )
        await made.page()
        store_fixture.add(A)
        await made.page(at_least=store_fixture.store.generation)
        await made.close()
        assert told == [True, True]

    async def test_other_selections_are_bounded_and_never_push_out_the_whole(self, pages: PageCache) -> None:
        whole = await pages.page()
        for number in range(SELECTIONS_MAX + 10):
            await pages.page(Selection(group=f"g{number}"), scraper=number)
        assert len(pages._others) == SELECTIONS_MAX
        assert await pages.page() is whole

    async def test_closing_ends_builds_under_way(
        self, pages: PageCache, held_builds: threading.Event
    ) -> None:
        waiting = asyncio.ensure_future(pages.page())
        await until(lambda: pages._whole.building is not None)
        asyncio.get_running_loop().call_soon(held_builds.set)
        await pages.close()
        assert await waiting is pages.whole
        with pytest.raises(PageError):
            await pages.of_target(A, plain=True)


class Hands:
    """In the place of a thread: what it is to do is done when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, do: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs.append((future, lambda: do(*args)))
        return future

    def work(self, failing: bool = False) -> None:
        while self.jobs:
            future, do = self.jobs.pop(0)
            if future.set_running_or_notify_cancel():
                if failing:
                    future.set_exception(MemoryError("none left"))
                else:
                    future.set_result(do())

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        for future, _ in self.jobs:
            future.cancel()


@pytest.fixture
def turning() -> Iterator[None]:
    """A loop that spins in one place ends in an error, and not in a test that never ends."""

    def stop(*_: object) -> None:
        raise AssertionError("the event loop does not turn")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_S)  # of the process: a machine that is busy spins not
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


#: what can happen to pages, in any order
STEPS = (
    "ask",
    "ask",
    "ask for now",
    "ask for now",
    "poll",
    "poll",
    "work",
    "work",
    "fail",
    "turn",
    "turn",
    "leave",
    "up",
    "target",
    "odd",
)


@pytest.mark.usefixtures("turning")
class TestProgress:
    @pytest.mark.parametrize("rounds_later", range(4))
    async def test_who_asks_between_the_end_of_a_build_and_its_notice_gets_on(
        self, store_fixture: StoreFixture, monkeypatch: pytest.MonkeyPatch, rounds_later: int
    ) -> None:
        monkeypatch.setattr(builds_module, "FRESH_GAP_S", 0.0)
        pages = PageCache(store_fixture.exposition, min_interval_s=0.0)

        async def ask_for_now() -> None:
            store_fixture.add(A)
            wanted = store_fixture.store.generation
            assert (await pages.page(at_least=wanted)).generation >= wanted

        for _ in range(3):
            first = asyncio.ensure_future(ask_for_now())
            for _ in range(rounds_later):
                await asyncio.sleep(0)
            await asyncio.gather(first, *(ask_for_now() for _ in range(3)))
        await pages.close()

    async def test_many_who_want_fresh_values_at_once_all_get_them(
        self, store_fixture: StoreFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(builds_module, "FRESH_GAP_S", 0.0)
        pages = PageCache(store_fixture.exposition, min_interval_s=0.0)

        async def ask_on() -> None:
            for _ in range(50):
                store_fixture.add(A)
                wanted = store_fixture.store.generation
                assert (await pages.page(at_least=wanted)).generation >= wanted

        await asyncio.gather(*(ask_on() for _ in range(8)))
        await pages.close()

    @given(
        steps=st.lists(st.sampled_from(STEPS), max_size=40),
        inline=st.booleans(),
        closes_in_between=st.booleans(),
    )
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_happens_in_whichever_order_every_reader_gets_on(
        self, steps: list[str], inline: bool, closes_in_between: bool
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(build_queue, "INLINE_BYTES", 10**9 if inline else -1)
            patch.setattr(cache_module, "INLINE_BYTES", 10**9 if inline else -1)
            for name in ("FRESH_GAP_S", "FRESH_GAP_BUILDS", "RETRY_S"):
                patch.setattr(builds_module, name, 0)
            asyncio.run(self._play(steps, closes_in_between))

    async def _play(self, steps: list[str], closes_in_between: bool) -> None:
        store_fixture = StoreFixture()
        store_fixture.add(A)
        pages = PageCache(store_fixture.exposition, min_interval_s=0.0, selections_max=2)
        hands = Hands()
        pages._builds._builder._thread = hands  # type: ignore[assignment]
        readers: list[asyncio.Task[Page]] = []
        wanted: dict[asyncio.Task[Page], int] = {}
        for number, step in enumerate(steps):
            match step:
                case "ask":
                    readers.append(asyncio.ensure_future(pages.page(scraper=number % 3)))
                case "ask for now":
                    readers.append(asyncio.ensure_future(pages.page(at_least=store_fixture.store.generation)))
                    wanted[readers[-1]] = store_fixture.store.generation
                case "odd":
                    readers.append(
                        asyncio.ensure_future(
                            pages.page(Selection(group=f"g{number % 5}"), scraper=number % 3)
                        )
                    )
                case "target":
                    readers.append(asyncio.ensure_future(pages.of_target(A, plain=number % 2 == 0)))
                case "poll":
                    store_fixture.add(A)
                case "up":
                    pages.up_changed()
                case "leave" if readers:
                    readers[number % len(readers)].cancel()
                case "work" | "fail":
                    hands.work(step == "fail")
                case "turn":
                    await asyncio.sleep(0)
        if closes_in_between:
            await pages.close()
        while not all(reader.done() for reader in readers):
            hands.work()
            await asyncio.sleep(0)
        failed = "fail" in steps or closes_in_between
        for reader in readers:
            if not reader.cancelled() and reader.exception() is not None:
                assert isinstance(reader.exception(), PageError)
                assert failed
            elif reader in wanted and not reader.cancelled() and not failed:
                assert reader.result().generation >= wanted[reader]
        if not closes_in_between:
            last = asyncio.ensure_future(pages.page())
            while not last.done():
                hands.work()
                await asyncio.sleep(0)
            assert last.result().generation > 0
        await pages.close()
        assert not pages._builds._building

    async def test_a_page_that_cannot_be_built_is_tried_again_a_moment_later_and_not_by_every_reader(
        self, store_fixture: StoreFixture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(builds_module, "RETRY_S", 2 * PATIENCE_S)
        pages = PageCache(store_fixture.exposition, min_interval_s=0.0)
        tries = 0

        def fail() -> bytes:
            nonlocal tries
            tries += 1
            raise UnicodeEncodeError("utf-8", "", 0, 1, "a name")

        with monkeypatch.context() as patch:
            patch.setattr(store_fixture.exposition, "_self_series", fail)
            for _ in range(20):
                with pytest.raises(PageError, match="a name"):
                    await pages.page()
        assert tries == 1
        assert len(caplog.records) == 1
        monkeypatch.setattr(builds_module, "RETRY_S", 0.0)  # the moment has passed
        assert values_of(plain_text(await pages.page()), "redis_up")[A] == 1
        await pages.close()

    async def test_a_reader_that_leaves_takes_the_build_from_nobody(
        self, pages: PageCache, held_builds: threading.Event, builds: list[Draft]
    ) -> None:
        first, second = (asyncio.ensure_future(pages.page()) for _ in range(2))
        await until(lambda: pages._whole.building is not None)
        first.cancel()
        await asyncio.sleep(0)
        held_builds.set()
        assert (await second) is pages.whole

    async def test_nobody_waits_long_for_a_newer_page_while_there_is_one(
        self,
        store_fixture: StoreFixture,
        pages: PageCache,
        monkeypatch: pytest.MonkeyPatch,
        held_builds: threading.Event,
    ) -> None:
        monkeypatch.setattr(builds_module, "NEWER_S", 0.05)
        held_builds.set()
        old = await pages.page()
        held_builds.clear()
        store_fixture.add(A)
        assert await pages.page() is old
        held_builds.set()


class TestPagesOfTargets:
    async def test_are_kept_until_a_snapshot_is_replaced(
        self, store_fixture: StoreFixture, pages: PageCache, builds: list[Draft]
    ) -> None:
        first = await pages.of_target(A, plain=True)
        store_fixture.add(B)
        assert await pages.of_target(A, plain=True) is first
        store_fixture.add(A, clients=9)
        assert "redis_connected_clients 9" in plain_text(await pages.of_target(A, plain=True))
        assert len(builds) == 2

    async def test_those_who_come_together_share_one_build(
        self, pages: PageCache, builds: list[Draft]
    ) -> None:
        await asyncio.gather(*(pages.of_target(A, plain=True) for _ in range(10)))
        assert len(builds) == 1

    async def test_both_forms_of_labels_stand_side_by_side(self, pages: PageCache) -> None:
        assert await pages.of_target(A, plain=True) is not await pages.of_target(A, plain=False)

    async def test_they_do_not_push_out_a_page_of_the_telemetry_path(
        self, store_fixture: StoreFixture, pages: PageCache, builds: list[Draft]
    ) -> None:
        addrs = [store_fixture.add(f"redis://more:{number + 1}") for number in range(TARGET_PAGES_MAX + 10)]
        group = await pages.page(Selection(group="blue"))
        for addr in addrs:
            await pages.of_target(addr, plain=True)
        assert len(pages._targets) == TARGET_PAGES_MAX
        assert await pages.page(Selection(group="blue")) is group

    async def test_of_a_forgotten_target_nothing_is_left(
        self, store_fixture: StoreFixture, pages: PageCache
    ) -> None:
        await pages.of_target(A, plain=True)
        await pages.page(WHOLE)
        store_fixture.store.drop(A)
        pages.forget(A)
        assert not pages._targets
        text = plain_text(await pages.page(at_least=store_fixture.store.generation))
        assert f'addr="{A}"' not in text


async def test_current_is_the_newest_page_of_each_selection_that_is_kept(
    pages: PageCache, store_fixture: StoreFixture
) -> None:
    whole, family_set = await pages.page(), await pages.page(Selection(slice=(0, 2)))
    target = await pages.of_target(A, plain=False)
    assert pages.current() == {whole, family_set, target}
    store_fixture.add(A, clients=9)
    newer = await pages.page()
    assert newer is not whole
    assert pages.current() == {newer, family_set, target}
