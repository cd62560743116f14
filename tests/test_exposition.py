"""Pages: one gzip member, the ages of their own snapshots, and when they are built."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from exporter import exposition
from exporter.exposition import INLINE_BYTES, PAGES_MAX, PIECE_BYTES, READERS_MAX, TARGET_PAGES_MAX, WHOLE, Draft, Page, Pages, Selection
from tests.stock import PATIENCE_S, SELF, Stock, gunzip_one, plain_text, samples_of, until, values_of

A, B, C = "redis://a:6379", "redis://b:6379", "redis://c:6379"
AGE = "redis_exporter_snapshot_age_seconds"


@pytest.fixture
def stock() -> Stock:
    stock = Stock()
    stock.add(A, group="blue", clients=1)
    stock.add(B, group="green", clients=2)
    stock.add(C, clients=3)
    return stock


def page_of(text: bytes) -> Page:
    return Draft((), (), (), text, b"", (), (), 0, 0, 0.0).build()


class TestPage:
    def test_with_its_tail_it_is_one_gzip_member_of_the_plain_page(self, stock: Stock) -> None:
        page = stock.exposition.draft().build()
        assert gunzip_one(page.body + page.tail(1e9)).decode() == plain_text(page, 1e9)

    @pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7])
    @pytest.mark.parametrize("make", [lambda size: b"a" * size, os.urandom], ids=["even", "random"])
    def test_any_content_comes_back_whole_both_ways(self, size: int, make: Callable[[int], bytes]) -> None:
        text = make(size)
        page = page_of(text)
        assert gunzip_one(page.body + page.tail(0.0)) == text
        assert b"".join(page.plain_pieces()) == text

    def test_plain_pieces_are_small(self) -> None:
        assert max(len(piece) for piece in page_of(b"a" * (4 * PIECE_BYTES)).plain_pieces()) == PIECE_BYTES

    def test_prometheus_client_reads_it_without_a_duplicate(self, stock: Stock) -> None:
        page = stock.exposition.draft().build()
        samples = samples_of(plain_text(page))
        assert samples["redis_exporter_scrapes_total", frozenset()] == 7
        assert len(samples) == page.series + len(page.heads) + 1

    def test_the_same_page_gets_a_new_tail_at_every_scrape(self, stock: Stock) -> None:
        page = stock.exposition.draft().build()
        assert gunzip_one(page.body + page.tail(2e9)) != gunzip_one(page.body + page.tail(3e9))

    def test_process_wide_series_stand_behind_those_of_the_targets_and_before_the_ages(self, stock: Stock) -> None:
        text = plain_text(stock.exposition.draft().build())
        assert text.index("redis_commands_total") < text.index(SELF.decode()) < text.index(AGE)


class TestAges:
    def test_count_from_the_poll_of_the_oldest_snapshot_of_a_lane(self) -> None:
        stock = Stock()
        stock.add(A, polled_at=1000.0)
        page = stock.exposition.draft().build()
        samples = samples_of(plain_text(page, 1002.5))
        labels = {("addr", A), ("role", "configured")}
        assert samples[AGE, frozenset(labels | {("lane", "fast")})] == 2.5
        assert samples[AGE, frozenset(labels | {("lane", "standard")})] == 12.5

    def test_are_those_of_the_page_and_not_of_what_the_store_holds_meanwhile(self) -> None:
        stock = Stock()
        stock.add(A, clients=1, polled_at=1000.0)
        page = stock.exposition.draft().build()
        stock.add(A, clients=2, polled_at=1005.0)
        text = plain_text(page, 1006.0)
        assert values_of(text, "redis_connected_clients") == {A: 1}
        assert f'{AGE}{{addr="{A}",role="configured",lane="fast"}} 6' in text

    def test_of_a_target_without_snapshots_there_are_none(self) -> None:
        stock = Stock()
        stock.add(A, up=False)
        text = plain_text(stock.exposition.draft().build())
        assert values_of(text, "redis_up") == {A: 0}
        assert AGE not in text

    def test_what_the_stale_policy_withholds_is_gone_and_so_is_its_age(self, stock: Stock) -> None:
        stock.store.expire(time.monotonic() + 7200)
        text = plain_text(stock.exposition.draft().build())
        assert values_of(text, "redis_up") == {A: 1, B: 1, C: 1}
        assert "redis_connected_clients{" not in text
        assert AGE not in text


class TestSelection:
    def test_shards_are_the_whole_each_target_once(self, stock: Stock) -> None:
        shards = [plain_text(stock.exposition.draft(Selection(shard=(i, 3))).build()) for i in range(3)]
        found = [addr for shard in shards for addr in values_of(shard, "redis_up")]
        assert sorted(found) == [A, B, C]

    def test_process_wide_series_are_on_the_first_shard_only(self, stock: Stock) -> None:
        shown = [SELF.decode() in plain_text(stock.exposition.draft(Selection(shard=(i, 2))).build()) for i in range(2)]
        assert shown == [True, False]

    def test_a_group_is_the_targets_with_that_label(self, stock: Stock) -> None:
        text = plain_text(stock.exposition.draft(Selection(group="green")).build())
        assert values_of(text, "redis_connected_clients") == {B: 2}
        assert SELF.decode() not in text

    def test_names_choose_families_of_any_kind(self, stock: Stock) -> None:
        names = frozenset({"redis_connected_clients", "redis_exporter_scrapes_total"})
        text = plain_text(stock.exposition.draft(Selection(names=names)).build())
        assert {name for name, _ in samples_of(text)} == names

    def test_the_ages_have_a_name_too(self, stock: Stock) -> None:
        text = plain_text(stock.exposition.draft(Selection(names=frozenset({AGE}))).build())
        assert {name for name, _ in samples_of(text)} == {AGE}

    def test_a_family_s_own_label_wins_over_the_configured_one(self, stock: Stock) -> None:
        text = plain_text(stock.exposition.draft(Selection(group="blue")).build())
        assert f'redis_instance_info{{addr="{A}",group="blue",role="master"}} 1' in text

    @pytest.mark.parametrize(("plain", "line"), [(True, "redis_connected_clients 2"), (False, f'redis_connected_clients{{addr="{B}"')])
    def test_one_target_comes_with_its_labels_or_without(self, stock: Stock, plain: bool, line: str) -> None:
        text = plain_text(stock.exposition.draft(Selection(addr=B, plain=plain)).build())
        assert line in text
        assert SELF.decode() not in text
        assert ("addr=" in text) is not plain
        assert f'{AGE}{{lane="fast"}} ' in text or not plain


@pytest_asyncio.fixture
async def pages(stock: Stock) -> AsyncIterator[Pages]:
    """Pages that may be built as often as it takes."""
    pages = Pages(stock.exposition, min_interval_s=0.0)
    yield pages
    await pages.close()


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Draft]:
    """Every draft that was built."""
    built: list[Draft] = []
    build = Draft.build

    def counted(draft: Draft) -> Page:
        built.append(draft)
        return build(draft)

    monkeypatch.setattr(Draft, "build", counted)
    return built


@pytest.fixture
def held_builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Builds run in the thread, and come to no end before this is set."""
    go = threading.Event()
    build = Draft.build

    def held(draft: Draft) -> Page:
        assert go.wait(PATIENCE_S)
        return build(draft)

    monkeypatch.setattr(exposition, "INLINE_BYTES", -1)
    monkeypatch.setattr(Draft, "build", held)
    yield go
    go.set()


@pytest.fixture
def short_gaps(monkeypatch: pytest.MonkeyPatch) -> float:
    """The gap of readers who ask faster than that, in seconds."""
    monkeypatch.setattr(exposition, "GAP_MIN_S", 0.3)
    return exposition.GAP_MIN_S


async def ask(pages: Pages, reader: str = "") -> None:
    """Often enough to show a habit."""
    for _ in range(3):
        await pages.page(reader=reader)


class TestPages:
    async def test_while_nothing_changes_one_page_serves_all(self, pages: Pages, builds: list[Draft]) -> None:
        first = await pages.page()
        assert [await pages.page() for _ in range(10)] == [first] * 10
        assert len(builds) == 1
        assert pages.whole is first

    async def test_those_who_come_together_share_one_build(self, pages: Pages, builds: list[Draft]) -> None:
        assert len(set(await asyncio.gather(*(pages.page() for _ in range(10))))) == 1
        assert len(builds) == 1

    async def test_a_scrape_gets_the_finished_page_and_sets_off_the_next(self, stock: Stock, pages: Pages) -> None:
        old = await pages.page()
        stock.add(A, clients=5)
        assert await pages.page() is old
        await until(lambda: pages.whole is not old)
        assert values_of(plain_text(await pages.page()), "redis_connected_clients")[A] == 5

    async def test_a_young_page_is_not_replaced_on_a_scrape(self, stock: Stock, builds: list[Draft]) -> None:
        pages = Pages(stock.exposition, min_interval_s=3600.0, max_age_s=3600.0)
        await pages.page()
        stock.add(A, clients=5)
        await pages.page()
        await pages.close()
        assert len(builds) == 1

    async def test_a_page_that_was_not_kept_up_is_built_before_it_is_served(self, stock: Stock) -> None:
        pages = Pages(stock.exposition, min_interval_s=0.0, max_age_s=0.0)
        old = await pages.page()
        assert await pages.page() is old
        stock.add(A, clients=5)
        assert values_of(plain_text(await pages.page()), "redis_connected_clients")[A] == 5
        await pages.close()

    async def test_who_asks_for_a_generation_gets_it(self, stock: Stock, pages: Pages) -> None:
        old = await pages.page()
        stock.add(A, clients=5)
        page = await pages.page(at_least=stock.store.generation)
        assert page is not old
        assert values_of(plain_text(page), "redis_connected_clients")[A] == 5

    async def test_it_is_ready_before_the_next_expected_scrape(self, stock: Stock, builds: list[Draft], short_gaps: float) -> None:
        pages = Pages(stock.exposition, min_interval_s=3600.0, max_age_s=3600.0)
        await ask(pages)
        old = pages.whole
        stock.add(A, clients=5)
        await until(lambda: pages.whole is not old)
        assert len(builds) == 2
        assert values_of(plain_text(await pages.page()), "redis_connected_clients")[A] == 5
        await pages.close()

    async def test_it_is_given_up_when_nobody_comes_for_three_gaps(self, pages: Pages, short_gaps: float) -> None:
        began = time.monotonic()
        await ask(pages)
        await until(lambda: pages.whole is None)
        assert time.monotonic() - began > 3 * short_gaps

    async def test_one_who_came_in_haste_and_left_takes_no_page_from_another(self, pages: Pages, short_gaps: float) -> None:
        await pages.page(reader="prometheus")
        await ask(pages, reader="human")
        await until(lambda: set(pages._whole.readers) == {"prometheus"})
        assert pages.whole is not None

    async def test_readers_are_bounded(self, pages: Pages) -> None:
        for number in range(READERS_MAX + 10):
            await pages.page(reader=number)
        assert list(pages._whole.readers) == list(range(10, READERS_MAX + 10))

    async def test_a_change_of_up_is_shown_without_being_asked_for(self, stock: Stock, pages: Pages) -> None:
        old = await pages.page()
        stock.add(A, up=False)
        pages.up_changed()
        await until(lambda: pages.whole is not old)
        assert values_of(plain_text(await pages.page()), "redis_up")[A] == 0

    async def test_a_change_of_up_during_a_build_brings_another(self, stock: Stock, pages: Pages, held_builds: threading.Event) -> None:
        waiting = asyncio.ensure_future(pages.page())
        await until(lambda: pages._whole.building is not None)
        stock.add(A, up=False)
        pages.up_changed()
        held_builds.set()
        first = await waiting
        assert values_of(plain_text(first), "redis_up")[A] == 1
        await until(lambda: pages.whole is not first and pages.whole is not None)
        assert values_of(plain_text(await pages.page()), "redis_up")[A] == 0

    async def test_many_changes_of_up_are_one_build(self, stock: Stock, builds: list[Draft]) -> None:
        pages = Pages(stock.exposition, min_interval_s=0.3)
        await pages.page()
        for up in (False, True) * 50:
            stock.add(A, up=up)
            pages.up_changed()
            await asyncio.sleep(0)
        await until(lambda: len(builds) > 1)
        await pages.close()
        assert len(builds) == 2

    async def test_a_change_of_up_builds_nothing_that_nobody_asked_for(self, stock: Stock, pages: Pages, builds: list[Draft]) -> None:
        pages.up_changed()
        await pages.of_target(A, plain=True)
        pages.up_changed()
        assert [draft.series for draft in builds] == [stock.exposition.draft(Selection(addr=A)).series]
        assert pages.whole is None

    async def test_large_pages_are_built_in_the_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stock = Stock()
        monkeypatch.setattr(stock, "self_series", lambda: b"# " + b"x" * INLINE_BYTES + b"\n")
        pages = Pages(exposition.Exposition(stock.catalog, stock.store, stock.origin, stock.self_series))
        page = await pages.page()
        assert page.length > INLINE_BYTES
        assert pages._thread._threads
        await pages.close()

    async def test_a_build_that_fails_is_told_and_the_old_page_stays(
        self, stock: Stock, pages: Pages, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        old = await pages.page()

        def fail(draft: Draft) -> Page:
            raise ValueError("an offset lies")

        monkeypatch.setattr(Draft, "build", fail)
        stock.add(A, clients=5)
        with caplog.at_level(logging.ERROR):
            assert await pages.page() is old
            await until(lambda: caplog.records)
        assert caplog.messages == ["a page could not be built: ValueError: an offset lies"]
        assert pages.whole is old

    async def test_is_told_of_what_was_built_once_it_is_the_newest(self, stock: Stock) -> None:
        told: list[bool] = []
        pages = Pages(stock.exposition, 0.0, on_built=lambda page, seconds: told.append(page is pages.whole and seconds > 0))
        await pages.page()
        stock.add(A)
        await pages.page(at_least=stock.store.generation)
        await pages.close()
        assert told == [True, True]

    async def test_other_selections_are_bounded_and_never_push_out_the_whole(self, pages: Pages) -> None:
        whole = await pages.page()
        for number in range(PAGES_MAX + 10):
            await pages.page(Selection(group=f"g{number}"))
        assert len(pages._others) == PAGES_MAX
        assert await pages.page() is whole

    async def test_closing_ends_builds_under_way(self, pages: Pages, held_builds: threading.Event) -> None:
        waiting = asyncio.ensure_future(pages.page())
        await until(lambda: pages._whole.building is not None)
        asyncio.get_running_loop().call_soon(held_builds.set)
        await pages.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pages.whole is None


class TestPagesOfTargets:
    async def test_are_kept_until_a_snapshot_is_replaced(self, stock: Stock, pages: Pages, builds: list[Draft]) -> None:
        first = await pages.of_target(A, plain=True)
        stock.add(B)
        assert await pages.of_target(A, plain=True) is first
        stock.add(A, clients=9)
        assert "redis_connected_clients 9" in plain_text(await pages.of_target(A, plain=True))
        assert len(builds) == 2

    async def test_those_who_come_together_share_one_build(self, pages: Pages, builds: list[Draft]) -> None:
        await asyncio.gather(*(pages.of_target(A, plain=True) for _ in range(10)))
        assert len(builds) == 1

    async def test_both_forms_of_labels_stand_side_by_side(self, pages: Pages) -> None:
        assert await pages.of_target(A, plain=True) is not await pages.of_target(A, plain=False)

    async def test_they_do_not_push_out_a_page_of_the_telemetry_path(self, stock: Stock, pages: Pages, builds: list[Draft]) -> None:
        group = await pages.page(Selection(group="blue"))
        for number in range(TARGET_PAGES_MAX + 10):
            await pages.of_target(stock.add(f"redis://more:{number + 1}"), plain=True)
        assert len(pages._targets) == TARGET_PAGES_MAX
        assert await pages.page(Selection(group="blue")) is group

    async def test_of_a_forgotten_target_nothing_is_left(self, stock: Stock, pages: Pages) -> None:
        await pages.of_target(A, plain=True)
        await pages.page(WHOLE)
        stock.store.drop(A)
        pages.forget(A)
        assert not pages._targets
        text = plain_text(await pages.page(at_least=stock.store.generation))
        assert f'addr="{A}"' not in text
