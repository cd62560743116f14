"""One connection as the guard sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest_asyncio

from exporter.web.guard import Guard
from exporter.web.incidents import Incidents
from exporter.web.limits import HttpLimits
from exporter.web.password_checks import Presence
from exporter.web.visit import Visit
from tests.store_fixture import until


class Accepting(asyncio.Protocol):
    """Gives each connection a `Visit` that has not entered yet."""

    def __init__(self, guard: Guard, visits: list[Visit]) -> None:
        self._guard = guard
        self._visits = visits

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.visit = Visit(self._guard, cast(asyncio.Transport, transport))
        self._visits.append(self.visit)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.visit.leave()


class Hall:
    """A server whose connections are visits, and its clients."""

    def __init__(self) -> None:
        self.guard = Guard(HttpLimits(places=2, places_per_address=2), Incidents())
        self.visits: list[Visit] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Accepting(self.guard, self.visits), "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    async def visit(self) -> tuple[Visit, asyncio.StreamReader, asyncio.StreamWriter]:
        count = len(self.visits)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        await until(lambda: len(self.visits) > count)
        return self.visits[-1], reader, writer

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for visit in self.visits:
            visit.abort()
        self._server.close()
        await until(lambda: all(visit.wire is None for visit in self.visits))
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed()) for writer in self._writers])
        self.guard.close()


@pytest_asyncio.fixture
async def hall() -> AsyncIterator[Hall]:
    hall = Hall()
    await hall.open()
    yield hall
    await hall.close()


async def test_it_takes_a_place_and_leaves_it(hall: Hall) -> None:
    visit, _, writer = await hall.visit()
    assert (visit.address, len(hall.guard)) == ("127.0.0.1", 0)
    assert visit.enter()
    assert (list(hall.guard), visit.is_open) == ([visit], True)
    writer.close()
    await until(lambda: visit.wire is None)
    assert (len(hall.guard), visit.is_open, visit.presence) == (0, False, Presence.GONE)


async def test_without_a_place_the_client_is_told_so(hall: Hall) -> None:
    for _ in range(2):
        visit, _, _ = await hall.visit()
        assert visit.enter()
        visit.take_up(body=False)  # who is answered does not make room
    visit, reader, _ = await hall.visit()
    assert not visit.enter()
    assert (await reader.read()).startswith(b"HTTP/1.1 503 ")


async def test_bytes_beyond_the_limit_close_it(hall: Hall) -> None:
    visit, reader, _ = await hall.visit()
    visit.enter()
    assert visit.receive(hall.guard.limits.request_bytes + 1)
    assert not visit.receive(1)
    assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
    assert hall.guard.incidents.counts["too_large"] == 1


async def test_a_client_that_sends_no_more_stays_for_its_answer(hall: Hall) -> None:
    visit, reader, _ = await hall.visit()
    visit.enter()
    visit.take_up(body=False)
    presences = [visit.presence]
    assert visit.half_close()
    assert [*presences, visit.presence] == [Presence.HERE, Presence.LISTENING]
    for _ in range(10):
        await asyncio.sleep(0)
    assert visit.is_open
    visit.finish()
    assert await reader.read() == b""


async def test_an_evicted_client_hears_it_only_where_it_waits_for_nothing_else(hall: Hall) -> None:
    for sent, heard in ((1, b"HTTP/1.1 503 "), (0, b"")):
        visit, reader, _ = await hall.visit()
        visit.enter()
        visit.receive(sent)
        visit.end("evicted")
        try:
            assert (await reader.read())[:13] == heard
        except ConnectionResetError:
            assert heard == b""
    assert hall.guard.incidents.counts["evicted"] == 2


async def test_who_has_left_is_not_waited_for(hall: Hall) -> None:
    visit, _, writer = await hall.visit()
    visit.enter()
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    before = asyncio.ensure_future(visit.wait_for(asyncio.shield(found)))
    await asyncio.sleep(0)
    writer.close()
    await asyncio.wait([before])
    behind = asyncio.ensure_future(visit.wait_for(asyncio.shield(found)))
    await asyncio.wait([behind])
    assert before.cancelled()
    assert behind.cancelled()


async def test_who_is_there_gets_what_was_waited_for(hall: Hall) -> None:
    visit, _, writer = await hall.visit()
    visit.enter()
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, found.set_result, 7)
    assert await visit.wait_for(found) == 7
    writer.close()
    await until(lambda: visit.wire is None)  # and nothing of this task is cancelled
