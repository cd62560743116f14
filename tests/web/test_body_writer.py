"""Pages on their way: what slow readers hold together, and that many answers leave the loop to others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import pytest_asyncio
from aiohttp import web

from exporter.pages.compressed import PIECE_BYTES, Compressed
from exporter.pages.page import Draft, Page
from exporter.web import body_writer
from exporter.web.body_writer import BodyWriter, LoopShare, ResponseOutlet
from tests.store_fixture import gunzip_one, until
from tests.web.door import Door

PIECES = 40


def page_of(pieces: int) -> Page:
    text = os.urandom(PIECE_BYTES // 2).hex().encode() * pieces
    return Draft((), (), (), text, b"", (), (), 0, 0.0).build()


class Library(Door):
    """`/plain` and `/gzip` are the newest page."""

    def __init__(self, old_bytes: int = 1 << 30) -> None:
        super().__init__()
        self.page = page_of(PIECES)
        self.current: set[Page] = set()
        self.bodies = BodyWriter(old_bytes, lambda: self.current)
        self.app.router.add_get("/plain", self._plain)
        self.app.router.add_get("/gzip", self._gzip)

    async def _plain(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, takes_gzip=False)

    async def _gzip(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, takes_gzip=True)

    async def _send(self, request: web.Request, *, takes_gzip: bool) -> web.StreamResponse:
        outlet = ResponseOutlet(request)
        await self.bodies.send(outlet, self.page, takes_gzip=takes_gzip)
        return outlet.response

    async def slow(self, path: str) -> None:
        await self.client(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n", buffer=4096)

    async def whole(self, path: str) -> bytes:
        answer = await self.ask(b"GET " + path.encode() + b" HTTP/1.0\r\n\r\n")
        return answer.partition(b"\r\n\r\n")[2]


@pytest_asyncio.fixture
async def library() -> AsyncIterator[Library]:
    async with Library() as library:
        yield library


async def test_readers_that_do_not_read_hold_each_piece_once(library: Library) -> None:
    """Each of the hundred holds two pieces, wherever it stands."""
    for _ in range(100):
        await library.slow("/plain")
    await until(lambda: sum(holders for _, holders in library.page.plain._held.values()) == 200)
    assert library.page.plain.held_bytes <= PIECES * PIECE_BYTES


async def test_a_piece_without_text_is_passed_over(library: Library) -> None:
    built = Compressed()
    for text in (b"", b"some text\n"):
        built.add(text)
    library.page = Draft((), (), (), b"", b"", (), (), 0, 0.0)._page(built, None)
    assert list(library.page.plain) == [b"", b"some text\n"]
    assert await library.whole("/plain") == b"some text\n"


async def test_nothing_is_held_when_they_have_left(library: Library) -> None:
    for _ in range(10):
        await library.slow("/plain")
    await until(lambda: library.page.plain.held_bytes)
    for client in library._clients:
        client.close()
    await until(lambda: not library.page.plain.held_bytes and not library.bodies._readers)


async def test_each_reader_gets_all_of_it(library: Library) -> None:
    text = b"".join(library.page.plain)
    for _ in range(5):
        await library.slow("/plain")
    assert await library.whole("/plain") == text
    assert gunzip_one(await library.whole("/gzip")) == text


@pytest.mark.parametrize("path", ["/plain", "/gzip"])
async def test_readers_of_the_oldest_page_make_room_for_newer_ones(path: str) -> None:
    size = page_of(PIECES).length
    async with Library(old_bytes=2 * size) as library:
        for _ in range(8):
            await library.slow(path)
            await until(lambda: library.page in library.bodies._readers)
            library.page = page_of(PIECES)
        await until(lambda: library.count("old_page") >= 4)
        assert len(library.bodies._readers) <= 4
        assert len(await library.whole(path)) > size / 3


@pytest.mark.parametrize("path", ["/plain", "/gzip"])
async def test_current_pages_of_other_selections_cost_no_reader_its_connection(path: str) -> None:
    size = page_of(PIECES).length
    async with Library(old_bytes=2 * size) as library:
        for _ in range(8):
            library.current.add(library.page)
            await library.slow(path)
            await until(lambda: library.page in library.bodies._readers)
            library.page = page_of(PIECES)
        assert len(library.bodies._readers) == 8
        assert library.count("old_page") == 0
        library.current.clear()  # all are replaced
        await library.slow(path)
        await until(lambda: library.count("old_page") >= 4)


async def test_answers_that_begin_at_once_leave_turns_of_the_loop_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    share, turn, now = LoopShare(0.004), 0, [1.0]
    begun: list[int] = []
    monkeypatch.setattr(body_writer, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    async def answer() -> None:
        await share.take()
        begun.append(turn)
        now[0] += 0.003

    answers = [asyncio.ensure_future(answer()) for _ in range(20)]
    while not all(task.done() for task in answers):
        await asyncio.sleep(0)
        turn += 1
    assert max(begun.count(number) for number in begun) == 2
