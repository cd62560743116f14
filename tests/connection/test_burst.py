"""A connection over a socket of the exchange core: what waits to be read, and what stays open."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import socket
import sys
import termios
import threading
import weakref

import pytest

from exporter import engine, errors
from exporter.connection import burst, sockets
from exporter.connection.burst import CoreConnection, running_exchanger
from exporter.connection.link import PIECE_BYTES, Connection
from exporter.errors import TargetError
from tests.connection.dialling import (
    AMPLE_S,
    PING,
    ScriptFactory,
    eventually,
    outcome_of,
    plain_link,
    raw_replies_of,
    replies_of,
)
from tests.servers import Conversation, answers, wait_until
from tests.store_fixture import until

pytestmark = [
    pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"]),
    pytest.mark.skipif(not engine.EPOLL, reason="this system has no epoll"),
    pytest.mark.usefixtures("each_secured_kind"),
    pytest.mark.parametrize("each_secured_kind", ["core", "core_tls"], indirect=True),
]


def make_room(sock: socket.socket) -> None:
    """For all of the largest reply, before anything of it is read."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * PIECE_BYTES)


def unacknowledged(talk: Conversation) -> int:
    """Bytes that were sent, and that the other side's kernel has not got."""
    found = fcntl.ioctl(talk.socket.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(found, sys.byteorder)


class TestLargeReplies:
    @pytest.mark.parametrize("size", [PIECE_BYTES, 2 * PIECE_BYTES, 3 * PIECE_BYTES])
    async def test_nothing_of_a_reply_too_many_is_taken_for_the_next_one(
        self, scripted_server: ScriptFactory, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        """The reply ends where a piece ends, and all of it is there before anything is read."""
        value = b"x" * (size - len(b"$%d\r\n\r\n" % size))
        reply = b"$%d\r\n%s\r\n" % (len(value), value)
        assert len(reply) in (size, size - 1)
        value += b"x" * (size - len(reply))
        reply = b"$%d\r\n%s\r\n" % (len(value), value)
        monkeypatch.setattr(sockets, "_keep_alive", make_room)
        all_has_come = threading.Event()

        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(reply + b"+more\r\n")
            wait_until(lambda: unacknowledged(talk) == 0, "all has come")
            all_has_come.set()
            talk.silence()

        server = scripted_server(script)
        link = await plain_link(server)
        assert isinstance(link, CoreConnection)
        assert link.is_secured == bool(server.certificates)
        link.unwatch()
        outcomes: list[object] = []

        def again(outcome: object) -> None:
            outcomes.append(outcome)
            link.exchange(PING.packed, 1, outcomes.append)

        link.exchange(PING.packed, 1, again)
        await until(all_has_come.is_set)
        link.watch()
        await eventually(lambda: len(outcomes) == 2, "both exchanges have ended")
        assert outcomes[0] == [value]
        assert isinstance(outcomes[1], errors.ProtocolError)

    async def test_the_end_of_the_connection_in_the_middle_of_one(
        self, scripted_server: ScriptFactory
    ) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"$900000\r\n" + b"x" * 400_000)
            talk.close()

        outcome = await outcome_of(await plain_link(scripted_server(script)), PING)
        assert isinstance(outcome, errors.ResetError)
        assert "in the middle" in str(outcome)


class TestBytes:
    async def test_of_replies_that_the_deadline_cut_off_are_counted(
        self, scripted_server: ScriptFactory
    ) -> None:
        link = await plain_link(scripted_server(answers(b"$10\r\nabc")))
        outcomes: list[object] = []
        link.exchange(PING.packed, 1, outcomes.append)
        await until(lambda: link.began_reply)
        link.abort(errors.DeadlineError("swept"))
        assert [type(outcome) for outcome in outcomes] == [errors.DeadlineError]
        assert link.traffic.received == len(b"$10\r\nabc")

    async def test_of_an_incomplete_reply_count_when_the_server_goes_away(
        self, scripted_server: ScriptFactory
    ) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"+OK\r\n$10\r\nabc")
            talk.close()

        link = await plain_link(scripted_server(script))
        outcome = await outcome_of(link, PING, PING)
        assert isinstance(outcome, errors.ResetError)
        assert outcome.answered == 1
        assert link.traffic.received == len(b"+OK\r\n$10\r\nabc")


class TestExchanger:
    async def test_all_connections_of_a_loop_share_one(self, scripted_server: ScriptFactory) -> None:
        server = scripted_server(answers(*[b"+PONG\r\n"] * 3))
        links = [await plain_link(server) for _ in range(20)]
        assert running_exchanger().channels == 20
        for _ in range(3):
            outcomes = await asyncio.gather(*(raw_replies_of(link, PING) for link in links))
            assert {outcome.data for outcome in outcomes} == {b"+PONG\r\n"}
        for link in links:
            link.close()

    async def test_it_is_closed_with_the_last_connection_and_made_again_for_the_next(
        self, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(answers(b"+PONG\r\n"))
        await asyncio.get_running_loop().run_in_executor(None, int)  # what the loop opens itself
        for _ in range(3):
            links = [await plain_link(server) for _ in range(2)]
            exchanger = weakref.ref(running_exchanger())
            fileno = running_exchanger().fileno()
            assert os.readlink(f"/proc/self/fd/{fileno}") == "anon_inode:[eventpoll]"
            for link in links:
                assert await replies_of(link, PING) == [b"PONG"]
                link.close()
            assert exchanger() is None
            assert not asyncio.get_running_loop().remove_reader(fileno)

    async def test_it_is_closed_by_a_callback_that_closes_the_last_connection(
        self, scripted_server: ScriptFactory
    ) -> None:
        link = await plain_link(scripted_server(answers(b"+PONG\r\n")))
        ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def close(outcome: object) -> None:
            link.close()
            ended.set_result(outcome)

        link.exchange(PING.packed, 1, close)
        assert await asyncio.wait_for(ended, AMPLE_S) == [b"PONG"]
        again = await plain_link(scripted_server(answers(b"+PONG\r\n")))
        assert await replies_of(again, PING) == [b"PONG"]
        again.close()

    async def test_a_mistake_of_ours_ends_the_connection(
        self,
        scripted_server: ScriptFactory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        link = await plain_link(scripted_server(answers(b"+OK\r\n" * 2)))
        monkeypatch.setattr(burst.CoreConnection, "came", lambda link, data: 1 / 0)
        outcome = await outcome_of(link, PING)
        assert isinstance(outcome, TargetError)
        assert outcome.reason == "internal"
        assert link.closed
        assert "ZeroDivisionError" in caplog.text


class TestLoopsThatEnd:
    async def test_a_connection_that_outlives_its_loop_can_be_closed(
        self, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(lambda talk: talk.silence())
        link = await asyncio.to_thread(asyncio.run, plain_link(server))
        link.close()
        await eventually(lambda: server.finished == 1, "the connection is closed")

    async def test_what_nobody_closes_is_closed_with_the_last_reference(
        self, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(lambda talk: talk.silence())
        made: list[Connection] = []
        await asyncio.to_thread(lambda: made.append(asyncio.run(plain_link(server))))
        assert not made[0].closed
        kept = weakref.ref(made.pop())
        gc.collect()
        assert kept() is None
        await eventually(lambda: server.finished == 1, "the connection is closed")
