"""A page: one gzip member, with the ages of its own snapshots."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

from exporter.pages.exposition import MEMBERS_MAX
from exporter.pages.page import Draft, PackedText
from exporter.pages.selection import WHOLE, Selection
from tests.store_fixture import ADDRS, SELF, StoreFixture, plain_text, samples_of, values_of

A, B, C = ADDRS

AGE = "redis_exporter_snapshot_age_seconds"


class TestAges:
    def test_count_from_the_poll_of_the_oldest_snapshot_of_a_lane(self) -> None:
        store_fixture = StoreFixture()
        store_fixture.add(A, began_at=1000.0)
        page = store_fixture.exposition.draft().build()
        samples = samples_of(plain_text(page, 1002.5))
        labels = {("addr", A), ("role", "configured")}
        assert samples[AGE, frozenset(labels | {("lane", "fast")})] == 2.5
        assert samples[AGE, frozenset(labels | {("lane", "standard")})] == 12.5

    def test_are_those_of_the_page_and_not_of_what_the_store_holds_meanwhile(self) -> None:
        store_fixture = StoreFixture()
        store_fixture.add(A, clients=1, began_at=1000.0)
        page = store_fixture.exposition.draft().build()
        store_fixture.add(A, clients=2, began_at=1005.0)
        text = plain_text(page, 1006.0)
        assert values_of(text, "redis_connected_clients") == {A: 1}
        assert f'{AGE}{{addr="{A}",role="configured",lane="fast"}} 6' in text

    def test_of_a_target_without_snapshots_there_are_none(self) -> None:
        store_fixture = StoreFixture()
        store_fixture.add(A, up=False)
        text = plain_text(store_fixture.exposition.draft().build())
        assert values_of(text, "redis_up") == {A: 0}
        assert AGE not in text

    def test_what_the_stale_policy_withholds_is_gone_and_so_is_its_age(
        self, store_fixture: StoreFixture
    ) -> None:
        store_fixture.store.expire(time.monotonic() + 7200)
        text = plain_text(store_fixture.exposition.draft().build())
        assert values_of(text, "redis_up") == {A: 1, B: 1, C: 1}
        assert "redis_connected_clients{" not in text
        assert AGE not in text


def rest_of(steps: Generator[None, None, Draft]) -> Draft:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            draft: Draft = end.value
            return draft


class TestGathering:
    def test_what_is_stored_meanwhile_makes_the_page_outdated(self, store_fixture: StoreFixture) -> None:
        steps = store_fixture.exposition.gather()
        next(steps)
        store_fixture.add(A, clients=9)
        assert rest_of(steps).generation < store_fixture.store.generation

    def test_a_target_that_is_removed_meanwhile_costs_its_age_alone(
        self, store_fixture: StoreFixture
    ) -> None:
        steps = store_fixture.exposition.gather()
        for _ in range(1 + len(store_fixture.family_sets)):
            next(steps)
        store_fixture.forget(A)
        draft = rest_of(steps)
        assert len(draft.heads) == len(draft.times) == 4
        assert set(values_of(plain_text(draft.build()), AGE)) == {B, C}


class TestSelection:
    def test_shards_are_the_whole_each_target_once(self, store_fixture: StoreFixture) -> None:
        shards = [
            plain_text(store_fixture.exposition.draft(Selection(slice=(i, 3))).build()) for i in range(3)
        ]
        found = [addr for slice in shards for addr in values_of(slice, "redis_up")]
        assert sorted(found) == [A, B, C]

    def test_process_wide_series_are_on_the_first_shard_only(self, store_fixture: StoreFixture) -> None:
        shown = [
            SELF.decode() in plain_text(store_fixture.exposition.draft(Selection(slice=(i, 2))).build())
            for i in range(2)
        ]
        assert shown == [True, False]

    def test_a_target_that_comes_or_goes_does_so_on_its_shard(self, store_fixture: StoreFixture) -> None:
        def shown() -> list[str]:
            pages = [
                plain_text(store_fixture.exposition.draft(Selection(slice=(i, 3))).build()) for i in range(3)
            ]
            return sorted(addr for page in pages for addr in values_of(page, "redis_up"))

        assert shown() == [A, B, C]
        late = store_fixture.add("redis://late:6379")
        assert shown() == sorted([A, B, C, late])
        store_fixture.store.drop(B)
        assert shown() == sorted([A, C, late])

    def test_of_how_many_pages_the_targets_are_remembered(self, store_fixture: StoreFixture) -> None:
        for i in range(MEMBERS_MAX + 5):
            store_fixture.exposition.draft(Selection(slice=(i, 1000)))
        assert 0 < len(store_fixture.exposition._members) <= MEMBERS_MAX

    def test_a_group_is_the_targets_with_that_label(self, store_fixture: StoreFixture) -> None:
        text = plain_text(store_fixture.exposition.draft(Selection(group="green")).build())
        assert values_of(text, "redis_connected_clients") == {B: 2}
        assert SELF.decode() not in text

    def test_the_own_part_has_no_target(self, store_fixture: StoreFixture) -> None:
        selection = Selection(own=True)
        assert plain_text(store_fixture.exposition.draft(selection).build()) == SELF.decode()
        assert not store_fixture.exposition.shows_targets(selection)
        assert not store_fixture.exposition.shows(selection, A)

    def test_names_choose_families_of_any_kind(self, store_fixture: StoreFixture) -> None:
        names = frozenset({"redis_connected_clients", "redis_exporter_scrapes_total"})
        text = plain_text(store_fixture.exposition.draft(Selection(names=names)).build())
        assert {name for name, _ in samples_of(text)} == names

    def test_the_ages_have_a_name_too(self, store_fixture: StoreFixture) -> None:
        text = plain_text(store_fixture.exposition.draft(Selection(names=frozenset({AGE}))).build())
        assert {name for name, _ in samples_of(text)} == {AGE}

    @pytest.mark.parametrize(
        ("names", "shows"),
        [
            (None, True),
            ({"redis_connected_clients", "redis_exporter_scrapes_total"}, True),
            ({AGE}, True),
            ({"redis_exporter_scrapes_total"}, False),
        ],
    )
    def test_a_page_may_show_the_exporters_own_series_only(
        self, store_fixture: StoreFixture, names: set[str] | None, shows: bool
    ) -> None:
        selection = Selection(names=None if names is None else frozenset(names))
        assert store_fixture.exposition.shows_targets(selection) is shows

    def test_a_target_that_is_set_apart_is_on_its_own_page_only(self, store_fixture: StoreFixture) -> None:
        store_fixture.store.set_apart(A)
        exposition = store_fixture.exposition
        assert not exposition.shows(WHOLE, A)
        assert not exposition.shows(Selection(group="blue"), A)
        assert exposition.shows(Selection(addr=A), A)
        assert exposition.shows(WHOLE, B)

    def test_a_family_s_own_label_wins_over_the_configured_one(self, store_fixture: StoreFixture) -> None:
        text = plain_text(store_fixture.exposition.draft(Selection(group="blue")).build())
        assert f'redis_instance_info{{addr="{A}",group="blue",role="master"}} 1' in text

    @pytest.mark.parametrize(
        ("plain", "line"),
        [(True, "redis_connected_clients 2"), (False, f'redis_connected_clients{{addr="{B}"')],
    )
    def test_one_target_comes_with_its_labels_or_without(
        self, store_fixture: StoreFixture, plain: bool, line: str
    ) -> None:
        text = plain_text(store_fixture.exposition.draft(Selection(addr=B, plain=plain)).build())
        assert line in text
        assert SELF.decode() not in text
        assert ("addr=" in text) is not plain
        assert f'{AGE}{{lane="fast"}} ' in text or not plain


def test_ages_that_wait_for_a_slow_reader_are_kept_small(store_fixture: StoreFixture) -> None:
    page, now = store_fixture.exposition.draft().build(), time.monotonic()
    packed = page.packed_tail(now)
    assert packed.unpack() == page.plain_tail(now)
    assert packed.length == len(page.plain_tail(now))
    assert len(PackedText(page.plain_tail(now) * 100)._packed) < 10 * packed.length
