"""A connection over a transport of the event loop: what waits to be read."""

from __future__ import annotations

import asyncio

import pytest

from exporter import errors
from exporter.connection import dialer
from exporter.connection.link import PIECE_BYTES
from exporter.connection.stream import StreamConnection
from tests.connection.dialling import (
    PING,
    SCANT_S,
    ScriptFactory,
    outcome_of,
    plain_link,
    replies_of,
)

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


@pytest.fixture(autouse=True)
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "CORE", False)


class TestLargeReplies:
    async def test_nothing_of_a_reply_too_many_is_taken_for_the_next_one(
        self, scripted_server: ScriptFactory
    ) -> None:
        link = await plain_link(scripted_server(lambda talk: talk.silence()))
        assert isinstance(link, StreamConnection)
        asking = asyncio.create_task(replies_of(link, PING))
        await asyncio.sleep(0)
        value = b"x" * (2 * PIECE_BYTES - len(b"$131061\r\n\r\n"))
        link.data_received(
            b"$%d\r\n%s\r\n+more\r\n" % (len(value), value)
        )  # the first one ends where a piece ends
        assert await asking == [value]
        assert isinstance(await outcome_of(link, PING, within_s=SCANT_S), errors.ProtocolError)
