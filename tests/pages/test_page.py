"""A finished page: its pieces, its tail, its plain form."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from exporter.pages.compressed import PIECE_BYTES
from exporter.pages.page import Draft, Page
from tests.store_fixture import SELF, StoreFixture, gunzip_one, plain_text, samples_of

AGE = "redis_exporter_snapshot_age_seconds"


def page_of(text: bytes) -> Page:
    return Draft((), (), (), text, b"", (), (), 0, 0.0).build()


class TestPage:
    def test_with_its_tail_it_is_one_gzip_member_of_the_plain_page(self, store_fixture: StoreFixture) -> None:
        page = store_fixture.exposition.draft().build()
        assert gunzip_one(page.body + page.tail(1e9)).decode() == plain_text(page, 1e9)

    @pytest.mark.parametrize(
        "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7]
    )
    @pytest.mark.parametrize("make", [lambda size: b"a" * size, os.urandom], ids=["even", "random"])
    def test_any_content_comes_back_whole_both_ways(self, size: int, make: Callable[[int], bytes]) -> None:
        text = make(size)
        page = page_of(text)
        assert gunzip_one(page.body + page.tail(0.0)) == text
        assert b"".join(page.plain) == text

    def test_plain_pieces_are_small(self) -> None:
        assert max(len(piece) for piece in page_of(b"a" * (4 * PIECE_BYTES)).plain) == PIECE_BYTES

    def test_prometheus_client_reads_it_without_a_duplicate(self, store_fixture: StoreFixture) -> None:
        draft = store_fixture.exposition.draft()
        page = draft.build()
        stored = sum(block.series for column in draft.blocks for block in column if block is not None)
        samples = samples_of(plain_text(page))
        assert samples["redis_exporter_scrapes_total", frozenset()] == 7
        assert len(samples) == stored + len(page.heads) + 1

    def test_the_same_page_gets_a_new_tail_at_every_scrape(self, store_fixture: StoreFixture) -> None:
        page = store_fixture.exposition.draft().build()
        assert gunzip_one(page.body + page.tail(2e9)) != gunzip_one(page.body + page.tail(3e9))

    def test_process_wide_series_stand_behind_those_of_the_targets_and_before_the_ages(
        self, store_fixture: StoreFixture
    ) -> None:
        text = plain_text(store_fixture.exposition.draft().build())
        assert text.index("redis_commands_total") < text.index(SELF.decode()) < text.index(AGE)
