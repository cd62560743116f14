"""Logging in: what is sent first, and what its answers mean."""

from __future__ import annotations

import os
from typing import Any

import pytest

from exporter import errors
from exporter.connection.handshake import CLIENT_NAME, Notice
from exporter.errors import TargetError
from exporter.protocol.command import Command
from tests.connection.dialling import (
    OK,
    PING,
    SECRET,
    RedisFactory,
    ScriptFactory,
    dial,
    eventually,
    refused_dial,
    replies_of,
    target,
)
from tests.servers import Conversation, answers

pytestmark = [
    pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"]),
    pytest.mark.usefixtures("each_connection_kind"),
]


class TestHandshake:
    async def test_names_the_connection(self, redis_server: RedisFactory) -> None:
        server = redis_server()
        link = await dial(target(server.port))
        assert await replies_of(link, Command.of("CLIENT", "GETNAME")) == [CLIENT_NAME.encode()]
        assert link.notices == ()
        assert link.peer == "127.0.0.1"
        link.close()

    async def test_leaves_it_unnamed_when_told(self, redis_server: RedisFactory) -> None:
        link = await dial(target(redis_server().port), set_client_name=False)
        assert await replies_of(link, Command.of("CLIENT", "GETNAME")) == [None]
        link.close()

    async def test_selects_the_database(self, redis_server: RedisFactory) -> None:
        server = redis_server()
        link = await dial(target(server.port, db=5))
        await replies_of(link, Command.of("SET", "k", "v"))
        assert b"db5:keys=1" in server.ask("INFO", "keyspace")
        link.close()

    async def test_a_database_that_does_not_exist_is_named(self, redis_server: RedisFactory) -> None:
        assert "database 99" in await refused_dial(target(redis_server().port, db=99), errors.ProtocolError)

    async def test_password(self, redis_server: RedisFactory) -> None:
        server = redis_server("--requirepass", SECRET)
        link = await dial(target(server.port, password=SECRET, db=1))
        assert await replies_of(link, PING) == [b"PONG"]
        link.close()
        await refused_dial(target(server.port, password="wrong " + SECRET), errors.AuthError)
        assert "wants a password" in await refused_dial(target(server.port), errors.AuthError)

    async def test_user_and_password(self, redis_server: RedisFactory) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "+@all", "-select")
        link = await dial(target(server.port, user="watcher", password=SECRET))
        assert await replies_of(link, Command.of("ACL", "WHOAMI")) == [b"watcher"]
        link.close()
        assert "user or password" in await refused_dial(
            target(server.port, user="nobody", password=SECRET), errors.AuthError
        )
        text = await refused_dial(
            target(server.port, user="watcher", password=SECRET, db=2), errors.NoPermError
        )
        assert "database 2" in text

    async def test_a_user_who_may_not_name_the_connection_may_go_on(self, redis_server: RedisFactory) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "+ping")
        link = await dial(target(server.port, user="watcher", password=SECRET))
        assert link.notices == (Notice.UNNAMED,)
        assert await replies_of(link, PING) == [b"PONG"]
        link.close()

    async def test_a_password_that_the_server_does_not_want_is_noted(
        self, redis_server: RedisFactory
    ) -> None:
        link = await dial(target(redis_server().port, password=SECRET))
        assert link.notices == (Notice.PASSWORD_UNUSED,)
        assert await replies_of(link, PING) == [b"PONG"]
        link.close()

    @pytest.mark.parametrize(
        ("to", "said", "notices"),
        [
            (
                {"password": "p"},
                [b"-ERR Client sent AUTH, but no password is set\r\n", OK],
                (Notice.PASSWORD_UNUSED,),
            ),
            (
                {"password": "p"},
                [b"-ERR unknown command 'AUTH'\r\n", b"-ERR unknown command 'CLIENT'\r\n"],
                (Notice.AUTH_UNKNOWN, Notice.UNNAMED),
            ),
            (
                {"db": 2},
                [b"-LOADING Redis is loading the dataset in memory\r\n"] * 2,
                (Notice.DB_PENDING, Notice.UNNAMED),
            ),
            ({"db": 2}, [b"-MASTERDOWN Link with MASTER is down\r\n", OK], (Notice.DB_PENDING,)),
            ({}, [b"-ERR Syntax error, try CLIENT (LIST | KILL ip:port)\r\n"], (Notice.UNNAMED,)),
            ({}, [b"-ERR operation not permitted\r\n"], (Notice.UNNAMED,)),
            ({}, [b"-Invalid password policy\r\n"], (Notice.UNNAMED,)),
            ({}, [b"+ok\r\n"], ()),
            ({}, [b":1\r\n"], ()),
        ],
    )
    async def test_what_old_or_loading_servers_refuse_is_noted(
        self,
        scripted_server: ScriptFactory,
        to: dict[str, Any],
        said: list[bytes],
        notices: tuple[Notice, ...],
    ) -> None:
        link = await dial(target(scripted_server(answers(*said)).port, **to))
        assert link.notices == notices
        assert not link.closed
        link.close()

    @pytest.mark.parametrize(
        ("to", "said", "kind", "part"),
        [
            (
                {"user": "u"},
                [b"-ERR wrong number of arguments for 'auth' command\r\n"],
                errors.AuthError,
                "before 6",
            ),
            ({}, [b"-ERR invalid password\r\n"], errors.AuthError, "refuses the password"),
            ({}, [b"-ERR AUTH %s is odd\r\n" % SECRET.encode()], errors.AuthError, "AUTH"),
            (
                {},
                [b"*2\r\n$4\r\nAUTH\r\n$14\r\n%s\r\n" % SECRET.encode()],
                errors.ProtocolError,
                "answered 'AUTH'",
            ),
            ({}, [OK, b"-BUSY Redis is busy running a script.\r\n"], errors.BusyError, "script"),
            ({"db": 1}, [OK, b"-BUSY Valkey is busy running a script.\r\n"], errors.BusyError, "database 1"),
            (
                {"db": 1},
                [OK, b"-ERR SELECT is not allowed in cluster mode\r\n"],
                errors.ProtocolError,
                "database 1",
            ),
            ({"db": 1}, [OK, b"-ERR after AUTH %s\r\n" % SECRET.encode()], errors.ProtocolError, "***"),
        ],
    )
    async def test_what_keeps_the_server_from_being_polled_is_an_error_without_the_secret(
        self,
        scripted_server: ScriptFactory,
        to: dict[str, Any],
        said: list[bytes],
        kind: type[TargetError],
        part: str,
    ) -> None:
        server = scripted_server(answers(*said, *[OK] * 3))
        assert part in await refused_dial(target(server.port, password=SECRET, **to), kind)
        await eventually(lambda: server.finished, "the connection is closed")

    async def test_user_and_password_are_sent_byte_by_byte_as_they_were_given(
        self, scripted_server: ScriptFactory
    ) -> None:
        asked: list[list[bytes]] = []

        def script(talk: Conversation) -> None:
            asked.append(talk.command())
            talk.send(OK)
            talk.silence()

        to = target(
            scripted_server(script).port, user=os.fsdecode(b"\xe4"), password=os.fsdecode(b"p\xff\x00")
        )
        (await dial(to, set_client_name=False)).close()
        assert asked == [[b"AUTH", b"\xe4", b"p\xff\x00"]]

    async def test_goes_out_in_one_pipeline(self, scripted_server: ScriptFactory) -> None:
        asked: list[list[bytes]] = []

        def script(talk: Conversation) -> None:
            asked.extend(talk.command() for _ in range(3))
            talk.send(OK * 3)
            talk.silence()

        link = await dial(target(scripted_server(script).port, user="u", password=SECRET, db=7))
        assert asked == [
            [b"AUTH", b"u", SECRET.encode()],
            [b"SELECT", b"7"],
            [b"CLIENT", b"SETNAME", CLIENT_NAME.encode()],
        ]
        link.close()
