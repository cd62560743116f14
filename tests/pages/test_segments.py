"""Pages that are built again and again: what they show, and what is compressed for it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from pickle import PickleBuffer
from typing import Any

import pytest

from exporter import engine
from exporter.metrics.catalog import Catalog
from exporter.pages import compressed, deflate, members, segments
from exporter.pages.page import Page
from exporter.pages.selection import WHOLE, Selection
from tests.store_fixture import SELF, StoreFixture, gunzip_one, plain_text

SELECTIONS = (
    WHOLE,
    Selection(names=frozenset(("redis_connected_clients", "redis_exporter_snapshot_age_seconds"))),
    Selection(slice=(0, 2)),
    Selection(group="blue"),
    Selection(own=True),
)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces and groups as a small fleet can have them."""
    monkeypatch.setattr(segments, "PIECE_BYTES", 600)
    monkeypatch.setattr(segments, "KEPT_MIN_BYTES", 100)
    monkeypatch.setattr(members, "GROUPS", ((9, 12), (5, 3), (0, 1)))


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The texts that are compressed."""
    texts: list[bytes] = []
    compress = deflate.compress

    def noted(text: bytes | memoryview) -> bytes:
        texts.append(bytes(text))
        return compress(text)

    monkeypatch.setattr(deflate, "compress", noted)
    return texts


class Fleet:
    """A store in which anything may happen, by chance."""

    def __init__(self, chance: random.Random, stale_policy: str = "drop") -> None:
        self.chance = chance
        self.fixture = StoreFixture(stale_policy=stale_policy)
        self.addrs: set[str] = set()
        self.now = 0.0

    def happen(self) -> None:
        chance, store = self.chance, self.fixture.store
        happenings: list[Callable[[], object]] = [
            self.poll,
            self.poll,
            self.poll,
            self.poll,
            self.drop,
            lambda: store.expire(self.now + chance.choice((0, 3700))),
            self.close,
            self.set_apart,
            self.withdraw,
            lambda: self.fixture.exposition.show(Catalog(tuple(self.fixture.family_sets.values()))),
        ]
        chance.choice(happenings)()

    def set_apart(self) -> None:
        if self.addrs:
            self.fixture.store.set_apart(self.any(), apart=self.chance.random() < 0.5)

    def withdraw(self) -> None:
        if self.addrs:
            self.fixture.store.withdraw(self.any(), self.chance.choice(self.fixture.store.family_sets))

    def any(self) -> str:
        return self.chance.choice(sorted(self.addrs))

    def poll(self) -> None:
        """Of a new target or a known one, which may have other labels than before."""
        self.now += 1
        addr = f"redis://h{self.chance.randrange(14)}:6379"
        group = self.chance.choice(("", "blue"))
        up = self.chance.random() < 0.9
        clients = self.chance.randrange(3)
        self.addrs.add(self.fixture.add(addr, group=group, clients=clients, up=up, began_at=self.now))
        self.fixture.exposition.forget(addr)

    def drop(self) -> None:
        if self.addrs:
            addr = self.any()
            self.addrs.remove(addr)
            self.fixture.forget(addr)

    def close(self) -> None:
        self.fixture.store.close("stats")
        if self.chance.random() < 0.9:
            self.fixture.store.open("stats")


@pytest.mark.parametrize("stale_policy", ["drop", "serve"])
@pytest.mark.parametrize("seed", range(12))
def test_it_shows_what_a_page_shows_that_is_built_once(
    seed: int, stale_policy: str, small_pieces: None
) -> None:
    fleet = Fleet(random.Random(seed), stale_policy)
    pages: dict[Selection, Page] = {}
    for _ in range(60):
        for _ in range(fleet.chance.choice((0, 1, 1, 2, 5, 20))):
            fleet.happen()
        for selection in fleet.chance.sample(SELECTIONS, 3):
            draft = fleet.fixture.exposition.draft(selection)
            once, again = draft.build(), draft.build(pages.get(selection))
            assert plain_text(again, 0) == plain_text(once, 0)
            assert (again.crc, again.length) == (once.crc, once.length)
            assert gunzip_one(again.body + again.tail(0)).decode() == plain_text(once, 0)
            pages[selection] = again
    assert all(page.text is not None for page in pages.values())


class TestWhatIsCompressed:
    @pytest.fixture
    def fleet(self, small_pieces: None) -> StoreFixture:
        fixture = StoreFixture()
        for number in range(30):
            fixture.add(f"redis://h{number}:6379", began_at=1.0)
        return fixture

    def built(self, fleet: StoreFixture, times: int = 3) -> Page:
        page = fleet.exposition.draft().build()
        for _ in range(times):
            page = fleet.exposition.draft().build(page)
        return page

    def test_without_a_change_only_the_exporters_own_series(
        self, fleet: StoreFixture, packed: list[bytes]
    ) -> None:
        page = self.built(fleet)
        packed.clear()
        again = fleet.exposition.draft().build(page)
        assert packed == [SELF]
        assert again.body == page.body

    def test_of_a_change_its_family_and_group(self, fleet: StoreFixture, packed: list[bytes]) -> None:
        page = self.built(fleet)
        for clients in (2, 3):
            fleet.add("redis://h7:6379", clients=clients, began_at=2.0)
            packed.clear()
            page = fleet.exposition.draft().build(page)
        changed = packed[0]
        assert packed == [changed, SELF]
        assert b'redis_connected_clients{addr="redis://h7:6379",role="configured"} 3\n' in changed
        assert len(changed) < 600

    def test_what_changes_from_page_to_page_is_compressed_together(
        self, fleet: StoreFixture, packed: list[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(segments, "PIECE_BYTES", 10_000)
        page = self.built(fleet)
        for clients in (2, 3, 4):
            for number in range(30):
                fleet.add(f"redis://h{number}:6379", clients=clients, began_at=2.0)
            packed.clear()
            page = fleet.exposition.draft().build(page)
        assert len(packed) == 2
        assert packed[0].count(b"redis_connected_clients{") == 30

    def test_all_after_an_error(
        self, fleet: StoreFixture, packed: list[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = self.built(fleet)
        fleet.add("redis://h7:6379", clients=2, began_at=2.0)
        with monkeypatch.context() as patch:
            patch.setattr(deflate, "compress", lambda text: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                fleet.exposition.draft().build(page)
        packed.clear()
        again = fleet.exposition.draft().build(page)
        assert plain_text(again, 0) == plain_text(fleet.exposition.draft().build(), 0)
        assert sum(map(len, packed)) >= again.length

    def test_a_page_that_is_built_once_keeps_nothing(self, fleet: StoreFixture) -> None:
        assert fleet.exposition.draft().build().text is None


def test_a_segment_that_is_larger_than_a_piece_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PIECE_BYTES", 50)
    monkeypatch.setattr(compressed, "PIECE_BYTES", 50)
    fixture = StoreFixture()
    for number in range(20):
        fixture.add(f"redis://h{number}:6379")
    draft = fixture.exposition.draft()
    page = draft.build(draft.build())
    pieces = list(page.plain)
    assert max(map(len, pieces)) <= 50
    assert zlib.crc32(b"".join(pieces)) == page.crc


def test_a_profiler_may_hold_what_is_being_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """`gc.get_objects` in another thread does so for a moment."""
    held: list[PickleBuffer] = []

    class Profiled:
        def __init__(self, *shape: Any) -> None:
            self._segments = segments_of(*shape)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._segments, name)

        def fill(self, room: memoryview) -> int:
            held.append(PickleBuffer(room))
            return self._segments.fill(room)

    segments_of = engine.Segments
    monkeypatch.setattr(engine, "Segments", Profiled)
    fixture = StoreFixture()
    fixture.add("redis://h:6379")
    draft = fixture.exposition.draft()
    page = draft.build(draft.build())
    assert held
    assert gunzip_one(page.body + page.tail(0)).decode() == plain_text(page, 0)
    for each in held:  # CPython 3.11 may crash where it collects a view as garbage that another object holds
        each.release()


def test_blocks_are_let_go_after_the_build() -> None:
    fixture = StoreFixture()
    fixture.add("redis://h:6379")
    draft = fixture.exposition.draft()
    text = draft.build(draft.build()).text
    assert text is not None
    assert isinstance(text._segments, engine.Segments)
    with pytest.raises(ValueError, match="let go"):
        text._segments.start(0, 1)


class TestMemory:
    """The body of a page is written over when nobody reads it any longer, and not before."""

    @pytest.fixture
    def fleet(self) -> StoreFixture:
        fixture = StoreFixture()
        fixture.add("redis://h:6379", clients=0)
        return fixture

    def next(self, fleet: StoreFixture, before: Page | None) -> Page:
        fleet.add("redis://h:6379", clients=random.randrange(10_000))
        return fleet.exposition.draft().build(before)

    def test_two_bodies_take_turns(self, fleet: StoreFixture) -> None:
        page = self.next(fleet, None)
        bodies = []
        for _ in range(8):
            page = self.next(fleet, page)
            bodies.append(id(page.body))
        assert len(set(bodies[2:])) == 2

    @pytest.mark.parametrize(
        "hold", [lambda page: page, lambda page: memoryview(page.body), lambda page: page.body]
    )
    def test_what_is_read_stays_as_it_is(self, fleet: StoreFixture, hold: Callable[[Page], object]) -> None:
        page = self.next(fleet, None)
        held = []
        for _ in range(6):
            page = self.next(fleet, page)
            held.append((hold(page), bytes(page.body)))
        for reader, body in held:
            assert bytes(reader.body if isinstance(reader, Page) else memoryview(reader)) == body  # type: ignore[arg-type]
