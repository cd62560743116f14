"""One connection: exchanging, closing, bytes that nobody asked for."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from exporter import errors
from exporter.app.garbage import old_objects_left_alone
from exporter.connection import replies
from exporter.connection.link import PIECE_BYTES
from exporter.connection.replies import ReplyLimits, ReplyReader
from exporter.errors import ReplyError, TargetError
from exporter.protocol.command import Command
from tests.connection.dialling import (
    AMPLE_S,
    OK,
    PING,
    SCANT_S,
    SECRET,
    RedisFactory,
    ScriptFactory,
    eventually,
    link_to,
    outcome_of,
    plain_link,
    raw_outcome_of,
    raw_replies_of,
    refused_dial,
    replies_of,
    target_of,
    trusting,
)
from tests.servers import Conversation, ScriptedServer, answers
from tests.store_fixture import until
from tests.watch_harness import Held

pytestmark = [
    pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"]),
    pytest.mark.usefixtures("each_secured_kind"),
]


class TestExchange:
    async def test_gives_one_reply_per_command_in_order(self, redis_server: RedisFactory) -> None:
        link = await link_to(redis_server())
        replies = await replies_of(
            link,
            PING,
            Command.of("SET", "k", b"\xff\x00"),
            Command.of("GET", "k"),
            Command.of("GET", "none"),
            Command.of("DBSIZE"),
        )
        assert replies == [b"PONG", b"OK", b"\xff\x00", None, 1]
        link.close()

    async def test_gives_an_error_reply_as_a_value_among_the_others(self, redis_server: RedisFactory) -> None:
        link = await link_to(redis_server())
        first, second = await replies_of(link, Command.of("NOSUCH"), PING)
        assert isinstance(first, ReplyError)
        assert first.is_refusal
        assert second == b"PONG"
        link.close()

    async def test_serves_one_exchange_after_the_other(self, redis_server: RedisFactory) -> None:
        link = await link_to(redis_server())
        for number in range(3):
            assert await replies_of(link, Command.of("ECHO", str(number))) == [b"%d" % number]
        link.close()

    async def test_the_next_exchange_may_start_in_the_callback_of_the_last(
        self, redis_server: RedisFactory
    ) -> None:
        link = await link_to(redis_server())
        ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def again(outcome: object) -> None:
            link.exchange(PING.packed, 1, ended.set_result)

        link.exchange(PING.packed, 1, again)
        assert await asyncio.wait_for(ended, AMPLE_S) == [b"PONG"]
        link.close()

    async def test_a_second_one_at_the_same_time_is_a_mistake_of_ours(
        self, scripted_server: ScriptFactory
    ) -> None:
        link = await plain_link(scripted_server(answers()))
        link.exchange(PING.packed, 1, lambda outcome: None)
        with pytest.raises(errors.InternalError):
            link.exchange(PING.packed, 1, lambda outcome: None)
        link.close()

    async def test_reads_a_large_reply(self, redis_server: RedisFactory) -> None:
        link = await link_to(redis_server())
        large = b"x" * 3_000_000
        assert await replies_of(link, Command.of("ECHO", large), PING) == [large, b"PONG"]
        link.close()

    async def test_large_replies_are_read_in_pieces(
        self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pieces: list[int] = []
        take = ReplyReader.take

        def count(reader: ReplyReader, data: bytes) -> bool:
            pieces.append(len(data))
            return take(reader, data)

        monkeypatch.setattr(ReplyReader, "take", count)
        link = await link_to(redis_server())
        for _ in range(2):  # it goes on to receive after that
            assert await replies_of(link, Command.of("ECHO", b"x" * 3_000_000), PING) == [
                b"x" * 3_000_000,
                b"PONG",
            ]
        assert max(pieces) <= PIECE_BYTES
        link.close()

    async def test_what_a_server_sent_before_it_closed_is_read(self, scripted_server: ScriptFactory) -> None:
        reply = b"$200000\r\n" + b"x" * 200_000 + b"\r\n"
        link = await plain_link(scripted_server(lambda talk: (talk.command(), talk.send(reply))))
        assert await replies_of(link, PING) == [b"x" * 200_000]
        link.close()

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

    @pytest.mark.parametrize(
        "garbage", [b"hello\r\n", b"$x\r\n", b"*-7\r\n", b"\x00" * 9, b"*1\r\n" * 20_000]
    )
    async def test_bytes_that_are_not_resp_end_it(
        self, scripted_server: ScriptFactory, garbage: bytes
    ) -> None:
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
    async def test_a_hostile_reply_ends_it_at_once_and_costs_nothing(
        self, scripted_server: ScriptFactory, hostile: bytes
    ) -> None:
        link = await plain_link(scripted_server(answers(hostile)))
        held_s = [0.0]

        async def feel() -> None:
            while not link.closed:
                began_s = time.thread_time()
                await asyncio.sleep(0)
                held_s.append(time.thread_time() - began_s)

        with old_objects_left_alone():  # those of all tests before
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

    async def test_a_mistake_of_ours_while_reading_ends_it(
        self, scripted_server: ScriptFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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

        def fail(outcome: object) -> None:
            raise ZeroDivisionError

        link.exchange(PING.packed, 1, fail)
        await eventually(lambda: not link.exchanging, "the exchange ended")
        assert await replies_of(link, PING) == [b"PONG"]
        assert "internal error" in caplog.text
        link.close()

    async def test_an_http_server_is_called_one(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.ProtocolError
        assert "HTTP" in str(outcome)

    async def test_replies_beyond_the_limit_end_it(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(
            scripted_server(answers(b"$999999999999\r\n" + b"x" * 200_000)), limits=ReplyLimits(100_000)
        )
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.TooLargeError
        assert "1,600,000 bytes in all" in str(outcome)  # it cannot even be walked over
        assert link.closed

    @pytest.mark.parametrize("began", [b"$9999999\r\n", b"*99999\r\n", b"$10\r\nabc", b"+O"])
    async def test_a_reply_that_never_ends_is_ended_by_the_sweep(
        self, scripted_server: ScriptFactory, began: bytes
    ) -> None:
        server = scripted_server(answers(began))
        link = await plain_link(server)
        assert type(await outcome_of(link, PING, within_s=SCANT_S)) is errors.DeadlineError
        assert link.closed
        await eventually(lambda: server.finished, "the connection is closed")

    @pytest.mark.parametrize(
        "left", [b"$10\r\nabc", b"+OK\r\n+more", b"*2\r\n+a\r\n", b"+OK\r\n" * 2, b"gibberish\r\n"]
    )
    async def test_what_one_leaves_half_read_is_seen_by_no_other(
        self, scripted_server: ScriptFactory, left: bytes
    ) -> None:
        for _ in range(3):
            await outcome_of(await plain_link(scripted_server(answers(left))), PING, within_s=0.05)
            link = await plain_link(scripted_server(answers(b"$3\r\nown\r\n")))
            assert await replies_of(link, PING) == [b"own"]
            link.close()

    async def test_the_memory_of_a_large_one_is_not_kept(
        self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept: list[Any] = []
        monkeypatch.setattr(replies, "_idle_readers", kept)
        link = await link_to(redis_server(), set_client_name=False)
        await replies_of(link, Command.of("SETRANGE", "large", 1_000_000, "x"), PING)
        assert len(kept) == 1
        await replies_of(link, Command.of("GET", "large"))
        assert kept == []
        link.close()

    async def test_the_limit_is_per_exchange(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(
            scripted_server(answers(*[b"$600\r\n" + b"x" * 600 + b"\r\n"] * 3)), limits=ReplyLimits(1000)
        )
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

    async def test_what_waits_to_be_read_is_left_when_it_is_closed(
        self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = await link_to(redis_server())
        held = Held(monkeypatch, type(link).__module__)
        ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        large = Command.of("ECHO", b"x" * 3_000_000)
        link.exchange(large.packed, 1, ended.set_result)
        await until(lambda: held.steps)
        link.close()
        assert isinstance(await ended, errors.CancelledPollError)
        held.run()
        assert not held.steps


class TestRawExchange:
    async def test_gives_the_replies_as_they_came(self, redis_server: RedisFactory) -> None:
        link = await link_to(redis_server())
        commands = (PING, Command.of("SET", "k", b"\xff\x00"), Command.of("GET", "k"), Command.of("NOSUCH"))
        raw = await raw_replies_of(link, *commands)
        assert raw.whole
        ends = [0, *raw.ends]
        texts = [raw.data[begin:end] for begin, end in itertools.pairwise(ends)]
        assert texts[:3] == [b"+PONG\r\n", b"+OK\r\n", b"$2\r\n\xff\x00\r\n"]
        assert texts[3].startswith(b"-ERR unknown command")
        assert len(raw.data) == raw.ends[-1] == raw.received == link.received
        assert link.began_reply
        assert str(raw.decode()) == str(await replies_of(link, *commands))
        link.close()

    async def test_replies_that_come_byte_by_byte_are_whole(self, scripted_server: ScriptFactory) -> None:
        data = b"*2\r\n:1\r\n$2\r\nab\r\n+OK\r\n"

        def script(talk: Conversation) -> None:
            talk.command()
            for byte in data:
                talk.send(bytes([byte]))
            talk.silence()

        link = await plain_link(scripted_server(script))
        raw = await raw_replies_of(link, PING, PING)
        assert (raw.whole, raw.data, tuple(raw.ends)) == (True, data, (len(data) - 5, len(data)))
        assert raw.decode() == [[1, b"ab"], b"OK"]
        link.close()

    async def test_large_replies_are_read_in_pieces_and_not_kept_as_they_came(
        self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pieces: list[int] = []
        take = ReplyReader.take

        def count(reader: ReplyReader, data: bytes) -> bool:
            pieces.append(len(data))
            return take(reader, data)

        monkeypatch.setattr(ReplyReader, "take", count)
        link = await link_to(redis_server())
        large = b"x" * 3_000_000
        for _ in range(2):
            raw = await raw_replies_of(link, PING, Command.of("ECHO", large), PING)
            assert (raw.whole, raw.data, tuple(raw.ends)) == (False, b"", ())
            assert raw.received == link.received > len(large)
            assert raw.decode() == [b"PONG", large, b"PONG"]
        assert max(pieces) <= PIECE_BYTES
        assert (await raw_replies_of(link, PING)).whole
        link.close()

    async def test_a_reply_that_is_too_large_is_an_error_among_the_others(
        self, scripted_server: ScriptFactory
    ) -> None:
        large = b"$30000\r\n" + b"x" * 30_000 + b"\r\n"
        link = await plain_link(
            scripted_server(answers(b"+a\r\n", large, b":7\r\n", b"+PONG\r\n")), limits=ReplyLimits(10_000)
        )
        raw = await raw_replies_of(link, PING, PING, PING)
        first, lost, last = raw.decode()
        assert (raw.whole, raw.data, first, last) == (False, b"", b"a", 7)
        assert type(lost.as_target_error()) is errors.TooLargeError
        assert (await raw_replies_of(link, PING)).data == b"+PONG\r\n"
        link.close()

    @pytest.mark.parametrize(
        ("sent", "kind"),
        [
            (b"hello\r\n", errors.ProtocolError),
            (b"+a\r\n%1\r\n", errors.ProtocolError),
            (b"*2800000000\r\n", errors.TooLargeError),
        ],
    )
    async def test_what_is_no_reply_ends_it(
        self, scripted_server: ScriptFactory, sent: bytes, kind: type[TargetError]
    ) -> None:
        link = await plain_link(scripted_server(answers(sent)))
        assert type(await raw_outcome_of(link, PING, PING)) is kind
        assert link.closed

    async def test_a_server_that_hangs_up_in_the_middle_tells_how_many_commands_it_answered(
        self, scripted_server: ScriptFactory
    ) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"+PONG\r\n*2\r\n+a")
            talk.close()

        link = await plain_link(scripted_server(script))
        outcome = await raw_outcome_of(link, PING, PING)
        assert isinstance(outcome, errors.ResetError)
        assert (outcome.answered, outcome.is_within) == (1, True)
        assert "in the middle" in str(outcome)

    async def test_a_server_that_hangs_up_between_two_replies_says_so(
        self, scripted_server: ScriptFactory
    ) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"+PONG\r\n*1\r\n+a\r\n")
            talk.close()

        link = await plain_link(scripted_server(script))
        outcome = await raw_outcome_of(link, PING, PING, PING)
        assert isinstance(outcome, errors.ResetError)
        assert (outcome.answered, outcome.is_within) == (2, False)

    async def test_a_refusal_in_place_of_the_first_reply_is_the_reason(
        self, scripted_server: ScriptFactory
    ) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"-ERR max number of clients reached\r\n")
            talk.close()

        link = await plain_link(scripted_server(script))
        assert type(await raw_outcome_of(link, PING, PING)) is errors.MaxClientsError

    async def test_a_reply_too_many_closes_the_connection(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(b"+PONG\r\n+PONG\r\n")))
        assert (await raw_replies_of(link, PING)).data == b"+PONG\r\n"
        assert link.closed
        assert type(await raw_outcome_of(link, PING)) is errors.ProtocolError

    async def test_error_replies_show_no_secret(self, scripted_server: ScriptFactory) -> None:
        said = b"-ERR unknown command, with args beginning with: '%s'\r\n" % SECRET.encode()
        link = await link_to(scripted_server(answers(OK, said)), password=SECRET, set_client_name=False)
        [reply] = (await raw_replies_of(link, PING)).decode()
        assert reply.text.endswith("'***'")
        link.close()

    async def test_raw_and_other_exchanges_take_turns(self, redis_server: RedisFactory) -> None:
        link = await link_to(redis_server())
        for _ in range(3):
            assert (await raw_replies_of(link, PING)).data == b"+PONG\r\n"
            assert await replies_of(link, PING) == [b"PONG"]
        link.close()

    async def test_is_counted_like_any_other(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(b"+PONG\r\n")))
        await raw_replies_of(link, PING)
        assert (link.traffic.sent, link.traffic.received) == (len(PING.packed), len(b"+PONG\r\n"))
        link.close()


class TestErrorReplies:
    async def test_show_no_secret_of_the_target_and_are_judged_by_what_they_said(
        self, scripted_server: ScriptFactory
    ) -> None:
        said = b"-ERR unknown command 'INFO', with args beginning with: '%s'\r\n" % SECRET.encode()
        for password, shown in ((SECRET, "'***'"), ("command", f"'{SECRET}'")):
            server = scripted_server(answers(OK, said, b"*1\r\n" + said))
            link = await link_to(server, password=password, set_client_name=False)
            for [reply] in (await replies_of(link, PING), (await replies_of(link, PING))[0]):
                assert reply.is_refusal
                assert reply.text.endswith(shown)
                assert password not in f"{reply} {reply!r} {reply.as_target_error()}"
            link.close()

    async def test_are_short_lines_of_valid_text(self, scripted_server: ScriptFactory) -> None:
        link = await plain_link(scripted_server(answers(b"-ERR \xff\x1b[2J" + b"x" * 10_000 + b"\r\n")))
        [reply] = await replies_of(link, PING)
        assert reply.text.startswith("ERR \ufffd\\x1b[2Jxxx")
        assert len(reply.text) < 250
        link.close()


def proxy_or_tls(server: ScriptedServer) -> str:
    wants = "TLS at this port (rediss:// or valkeys://)"
    if server.certificates:
        wants = "a client certificate that it trusts (--tls-client-cert-file)"
    return (
        f"closed the connection before it answered: it may want {wants}, or be a proxy that does not take "
        "these commands or has no server behind it"
    )


class TestClosedByTheServer:
    async def test_before_a_reply(self, scripted_server: ScriptFactory) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.close()

        server = scripted_server(script)
        link = await plain_link(server)
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.ResetError
        assert str(outcome).endswith(proxy_or_tls(server))
        assert link.closed
        assert not link.began_reply

    async def test_right_after_connecting(self, scripted_server: ScriptFactory) -> None:
        server = scripted_server(Conversation.close)
        link = await plain_link(server)
        await eventually(lambda: link.closed, "the server hung up")
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.ResetError
        assert str(outcome).endswith(proxy_or_tls(server))

    async def test_at_a_command_after_one_that_it_answered(self, scripted_server: ScriptFactory) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"+PONG\r\n")
            talk.command()
            talk.close()

        link = await plain_link(scripted_server(script))
        assert await replies_of(link, PING) == [b"PONG"]
        assert str(await outcome_of(link, PING)).endswith(
            "before it answered: it may be a proxy that does not take these commands"
        )

    @pytest.mark.parametrize("ending", [Conversation.close, Conversation.reset])
    async def test_in_the_middle_of_a_reply(
        self, scripted_server: ScriptFactory, ending: Callable[[Conversation], None]
    ) -> None:
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

    async def test_while_idle_so_that_the_next_exchange_can_be_repeated_elsewhere(
        self, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        link = await link_to(server)
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

    async def test_a_refusal_that_comes_in_place_of_the_first_reply(
        self, scripted_server: ScriptFactory
    ) -> None:
        def script(talk: Conversation) -> None:
            talk.command()
            talk.send(b"-ERR max number of clients reached\r\n")
            talk.close()

        link = await plain_link(scripted_server(script))
        assert type(await outcome_of(link, PING, PING)) is errors.MaxClientsError

    async def test_a_server_without_a_free_client_says_so_to_the_dial(
        self, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        first = await link_to(server)
        assert await replies_of(first, Command.of("CONFIG", "SET", "maxclients", "1")) == [b"OK"]
        for to in (target_of(server), target_of(server, password=SECRET, db=3)):
            if server.certificates:  # it closes before the handshake
                said = await refused_dial(to, errors.ResetError, **trusting(server))
                assert "the server has no room for clients" in said
            else:
                assert "maxclients" in await refused_dial(to, errors.MaxClientsError)
        first.close()
