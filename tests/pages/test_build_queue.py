"""In which order pages are built, and that every request ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest
import pytest_asyncio

from exporter.pages import build_queue as module
from exporter.pages.build_queue import INLINE_BYTES, BuildQueue
from exporter.pages.page import Draft, Page
from tests.store_fixture import PATIENCE_S, StoreFixture, until


@pytest_asyncio.fixture
async def builder() -> AsyncIterator[BuildQueue]:
    builder = BuildQueue()
    yield builder
    await builder.close()


class Orders:
    """What became of orders, by name."""

    def __init__(self, builder: BuildQueue, store_fixture: StoreFixture) -> None:
        self.gathered: list[str] = []
        self.ended: dict[str, Page | BaseException | None] = {}
        self.steps = 0
        self._builder = builder
        self._stock = store_fixture

    def place(self, name: str, *rank: float, gather: Callable[[], Draft] | None = None) -> None:
        def gathered() -> Generator[None, None, Draft]:
            self.gathered.append(name)
            for _ in range(self.steps):
                yield
            return gather() if gather is not None else self._stock.exposition.draft()

        def end(page: Page | None, took_s: float, error: BaseException | None) -> None:
            assert name not in self.ended
            self.ended[name] = page or error

        self._builder.request(rank, gathered, None, end)


@pytest.fixture
def orders(builder: BuildQueue, store_fixture: StoreFixture) -> Orders:
    return Orders(builder, store_fixture)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Builds run in the thread, and come to no end before this is set."""
    go = threading.Event()
    build = Draft.build

    def wait(draft: Draft, before: Page | None = None) -> Page:
        assert go.wait(PATIENCE_S)
        return build(draft, before)

    monkeypatch.setattr(module, "INLINE_BYTES", -1)
    monkeypatch.setattr(Draft, "build", wait)
    return go


class TestOrder:
    async def test_a_small_page_is_there_at_once(self, orders: Orders) -> None:
        orders.place("small", 0.0)
        assert isinstance(orders.ended["small"], Page)

    async def test_each_round_of_the_loop_gathers_one(self, orders: Orders) -> None:
        for number in range(20):
            orders.place(str(number), 3.0)
        counts = []
        while len(orders.ended) < 20:
            counts.append(len(orders.gathered))
            await asyncio.sleep(0)
        assert counts == list(range(1, 20))

    async def test_while_a_draft_is_gathered_the_loop_goes_round(
        self, orders: Orders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "STEP_S", 1e-9)
        orders.steps = 10
        orders.place("long", 0.0)
        rounds = 0
        while "long" not in orders.ended:
            rounds += 1
            await asyncio.sleep(0)
        assert rounds >= 9

    async def test_one_that_is_being_gathered_at_the_end_ends_too(
        self, builder: BuildQueue, orders: Orders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "STEP_S", 1e-9)
        orders.steps = 10
        orders.place("long", 0.0)
        await builder.close()
        assert str(orders.ended["long"]) == "the program is stopping"
        await asyncio.sleep(0.01)

    async def test_the_lower_rank_comes_first_and_else_the_earlier_order(
        self, orders: Orders, held: threading.Event
    ) -> None:
        orders.place("under way", 3.0)
        for name, rank in (
            ("late", (3.0, 5.0)),
            ("odd", (3.0, 0.0)),
            ("odd too", (3.0, 0.0)),
            ("steady", (1.0, 70.0)),
            ("whole", (0.0,)),
        ):
            orders.place(name, *rank)
        held.set()
        await until(lambda: len(orders.ended) == 6)
        assert orders.gathered == ["under way", "whole", "steady", "odd", "odd too", "late"]

    @pytest.mark.parametrize("size", [INLINE_BYTES // 2, 2 * INLINE_BYTES])
    async def test_one_that_fails_costs_itself_alone(
        self, orders: Orders, store_fixture: StoreFixture, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        build = Draft.build

        def fail(draft: Draft, *args: Any) -> Page:
            if len(draft.extra) == size:
                raise ValueError("an offset lies")
            return build(draft, *args)

        monkeypatch.setattr(Draft, "build", fail)
        bad = Draft((), (), (), b"x" * size, b"", (), (), 0, 0.0)
        orders.place("no draft", 0.0, gather=lambda: 1 / 0)  # type: ignore[arg-type, return-value]
        orders.place("no page", 0.0, gather=lambda: bad)
        orders.place("fine", 0.0)
        await until(lambda: len(orders.ended) == 3)
        assert isinstance(orders.ended["no draft"], ZeroDivisionError)
        assert isinstance(orders.ended["no page"], ValueError)
        assert isinstance(orders.ended["fine"], Page)

    async def test_at_the_end_every_order_ends(
        self, builder: BuildQueue, orders: Orders, held: threading.Event
    ) -> None:
        for name in ("under way", "waiting", "waiting too"):
            orders.place(name, 0.0)
        asyncio.get_running_loop().call_soon(held.set)
        await builder.close()
        await until(lambda: len(orders.ended) == 3)
        orders.place("late", 0.0)
        assert isinstance(orders.ended["under way"], Page)
        assert [str(orders.ended[name]) for name in ("waiting", "waiting too", "late")] == [
            "the program is stopping"
        ] * 3

    async def test_the_end_does_not_wait_for_a_build_that_hangs(
        self, builder: BuildQueue, orders: Orders, held: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "CLOSE_S", 0.05)
        orders.place("hangs", 0.0)
        await asyncio.wait_for(builder.close(), PATIENCE_S / 4)
        held.set()
