"""Plain scrapes, which are answered without aiohttp: no client can tell which of the two has answered."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import logging
import re
import socket
import ssl
import threading
from typing import NamedTuple

import bcrypt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.web import connection as connections
from exporter.web import guard as guards
from exporter.web import password_checks
from exporter.web.answers import CommonHeaders
from exporter.web.auth import auth_of
from exporter.web.body_writer import LoopShare
from exporter.web.entrance import EntranceRules
from exporter.web.scrape_connection import WAITING_MAX
from tests.servers import Certificates
from tests.store_fixture import PATIENCE_S, gunzip_one, until
from tests.web.door import GET, Door, Opened, page_of, scrape
from tests.web.test_request_head import mutated

LOOPS = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
METRICS = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized"
HASH = bcrypt.hashpw(b"p", bcrypt.gensalt(4)).decode()
OK = b"HTTP/1.1 200 OK"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large"
MISTAKES = (b"HTTP/1.1 400 Bad Request", TOO_LARGE)
CLOSING = METRICS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "SWEEP_S", 0.02)
    monkeypatch.setattr(connections, "LINGER_S", 0.2)


def answers_in(data: bytes) -> list[tuple[bytes, dict[str, str], bytes]]:
    """Status line, headers but the date, and body of each answer."""
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = dict(line.decode().split(": ", 1) for line in lines)
        assert len(headers) == len(lines)
        headers.pop("Date", "")
        length = int(headers.get("Content-Length", "0"))
        found.append((status, headers, rest[:length]))
        data = rest[length:]
    return found


def statuses(data: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", data)]


class TestPages:
    @LOOPS
    @pytest.mark.parametrize("size", [1000, 400_000, 6_000_000])
    async def test_a_compressed_page_comes_whole(self, opened: Opened, size: int) -> None:
        door = await opened()
        door.page = page_of(size)
        [(status, headers, body)] = answers_in(await door.ask(CLOSING))
        assert status == OK
        assert gunzip_one(body) == b"".join(door.page.plain)
        assert headers["Content-Encoding"] == "gzip"
        assert door.handed_over == 0

    @LOOPS
    @pytest.mark.parametrize("size", [1000, 6_000_000])
    async def test_so_does_a_plain_one(self, opened: Opened, size: int) -> None:
        door = await opened()
        door.page = page_of(size)
        sent = CLOSING.replace(b"gzip", b"identity")
        [(_, headers, body)] = answers_in(await door.ask(sent))
        assert body == b"".join(door.page.plain)
        assert "Content-Encoding" not in headers
        assert door.handed_over == 0
        assert not door.page.plain.held_bytes

    async def test_many_on_one_connection(self, opened: Opened) -> None:
        door = await opened()
        client = await door.client()
        for _ in range(5):
            await client.send(METRICS)
            [(status, _, _)] = answers_in(await client.read())
            assert status == OK
        assert (door.handed_over, len(door.guard)) == (0, 1)

    async def test_each_is_timed(self, opened: Opened) -> None:
        door = await opened()
        await door.ask(scrape("ok") + scrape("page") + CLOSING)
        assert sum(door.own_series.request_seconds("scrape").counts) == 2
        assert sum(door.own_series.request_seconds("metrics").counts) == 1


class TestHandingOver:
    @LOOPS
    @pytest.mark.parametrize(
        "sent",
        [
            [GET + METRICS],
            [METRICS + GET],
            [METRICS[:9], METRICS[9:] + METRICS],
            [METRICS + METRICS[:30], METRICS[30:]],
            [METRICS + b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"],
            [b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + METRICS],
        ],
    )  # fmt: skip
    async def test_what_follows_is_answered_too(self, opened: Opened, sent: list[bytes]) -> None:
        door = await opened(idle_s=5.0)
        client = await door.client()
        await until(lambda: len(door.guard) == 1)
        for piece in sent:
            await client.send(piece)
            await door.take_in()
        client.socket.shutdown(1)
        received = await client.rest()
        assert statuses(received) == [200, 200]
        assert door.handed_over == 1
        await until(lambda: len(door.guard) == 0)

    async def test_a_connection_keeps_its_place(self, opened: Opened) -> None:
        door = await opened(idle_s=0.3)
        client = await door.client(METRICS)
        await client.read()
        [visit] = door.guard
        await client.send(GET)
        await client.read()
        assert list(door.guard) == [visit]
        assert await client.rest() == b""
        assert door.count("idle") == 1

    async def test_what_waits_behind_an_answer_is_handed_over_when_its_turn_comes(
        self, opened: Opened
    ) -> None:
        door = await opened()
        client = await door.client(scrape("wait") + GET + METRICS)
        await until(lambda: door.answered == 1)
        assert door.handed_over == 0
        door.let_go.set()
        client.socket.shutdown(1)
        assert [body for _, _, body in answers_in(await client.rest())][:2] == [b"waited", b"ok"]
        assert door.answered == 3


class TestWaiting:
    @LOOPS
    async def test_requests_behind_it_wait_and_then_come_in_order(self, opened: Opened) -> None:
        door = await opened()
        client = await door.client(scrape("wait") + scrape("one") + scrape("two"))
        await until(lambda: door.answered == 1)
        await client.send(scrape("three", "Connection: close"))
        door.let_go.set()
        bodies = [body for _, _, body in answers_in(await client.rest())]
        assert bodies == [b"waited", b"one", b"two", b"three"]
        assert door.handed_over == 0

    @LOOPS
    async def test_no_more_is_read_while_many_wait(self, opened: Opened) -> None:
        door = await opened()
        client = await door.client(scrape("wait"))
        await until(lambda: door.answered == 1)
        count = 4 * WAITING_MAX // len(scrape("more"))
        sending = asyncio.ensure_future(
            client.send(scrape("more") * count + scrape("end", "Connection: close"))
        )
        [visit] = door.guard
        await until(lambda: not visit.wire.is_reading())  # type: ignore[attr-defined]
        assert door.answered == 1
        door.let_go.set()
        answers = answers_in(await client.rest())
        assert [body for _, _, body in answers] == [b"waited", *[b"more"] * count, b"end"]
        await sending

    @LOOPS
    async def test_others_have_their_turn_between_many_that_came_at_once(self, opened: Opened) -> None:
        door = await opened()
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        door.bodies.share = LoopShare(0.0002)
        client = await door.client()
        count = WAITING_MAX // len(scrape("more"))
        others = asyncio.ensure_future(take_turns())
        await client.send(scrape("more") * count + scrape("end", "Connection: close"))
        before = turns
        answers = answers_in(await client.rest())
        others.cancel()
        assert [body for _, _, body in answers] == [*[b"more"] * count, b"end"]
        assert turns > before + 10

    async def test_a_client_that_leaves_meanwhile_harms_nobody(
        self, opened: Opened, caplog: pytest.LogCaptureFixture
    ) -> None:
        door = await opened()
        client = await door.client(scrape("wait") + METRICS)
        await until(lambda: door.answered == 1)
        client.reset()
        await until(lambda: len(door.guard) == 0)
        door.let_go.set()
        await until(lambda: not door.listener._answers)
        assert (door.answered, caplog.records) == (1, [])

    @LOOPS
    async def test_nothing_is_waited_for_that_a_client_wanted_who_has_left(self, opened: Opened) -> None:
        """Its place is free again, so there might be any number of them."""
        door = await opened()
        client = await door.client(scrape("wait"))
        await until(lambda: len(door.listener._answers) == 1)
        client.reset()
        await until(lambda: not door.listener._answers)
        assert (len(door.guard), door.count("internal")) == (0, 0)

    @LOOPS
    @pytest.mark.parametrize("aiohttp_alone", [False, True])
    async def test_nor_is_the_check_of_a_password_but_its_outcome_is_remembered(
        self, opened: Opened, monkeypatch: pytest.MonkeyPatch, aiohttp_alone: bool
    ) -> None:
        """A scraper with a short timeout needs it the next time."""
        let_go, asked = threading.Event(), []

        def slow(password: bytes, password_hash: bytes) -> bool:
            asked.append(password)
            return let_go.wait(PATIENCE_S)

        monkeypatch.setattr(password_checks, "matches", slow)
        door = await opened(aiohttp_alone=aiohttp_alone, auth=auth_of("u", password_hash=HASH))
        signed = METRICS.replace(b"\r\n\r\n", b"\r\nAuthorization: Basic dTpw\r\n\r\n")
        before = asyncio.all_tasks()
        for _ in range(20):
            client = await door.client(signed)
            await until(lambda: asked and len(door.guard) == 1 and len(asyncio.all_tasks()) > len(before))
            client.reset()
            await until(lambda: len(door.guard) == 0)
        await until(lambda: asyncio.all_tasks() <= before)
        let_go.set()
        closing = signed.replace(b"gzip", b"gzip\r\nConnection: close")
        assert (await door.ask(closing)).startswith(OK)
        assert (asked, door.count("internal")) == ([b"p"], 0)

    async def test_a_stop_does_not_wait_for_it(self) -> None:
        async with Door() as door:
            await door.client(scrape("wait"))
            await until(lambda: door.answered == 1)
            await door.listener.stop()
            await until(lambda: not door.listener._answers)
            assert len(door.guard) == 0

    async def test_it_is_given_up_in_the_end(self, opened: Opened) -> None:
        door = await opened(answer_s=0.1)
        assert await door.ask(scrape("wait")) == b""
        assert door.count("answer_timeout") == 1

    @pytest.mark.parametrize(
        ("sent", "reason"), [(scrape("wait"), "answer_timeout"), (b"GET /metr", "request_timeout")]
    )
    async def test_so_it_is_after_a_time_of_rest(self, opened: Opened, sent: bytes, reason: str) -> None:
        """While all connections are idle, they are looked at less often."""
        door = await opened(answer_s=0.1, request_s=0.1)
        client = await door.client(METRICS)
        await until(lambda: door.guard._is_calm)
        await client.send(sent)
        await until(lambda: door.count(reason) == 1)


class TestReadersThatDoNotRead:
    @LOOPS
    @pytest.mark.parametrize("encoding", [b"gzip", b"identity"])
    async def test_they_are_given_up_and_hold_nothing(self, opened: Opened, encoding: bytes) -> None:
        door = await opened(write_s=0.15)
        door.page = page_of(12_000_000)
        await door.client(METRICS.replace(b"gzip", encoding), buffer=4096)
        await until(lambda: door.page in door.bodies._readers)
        await until(lambda: door.count("write_stalled") == 1)
        await until(lambda: not door.bodies._readers and not door.listener._answers)
        assert len(door.guard) == 0
        assert not door.page.plain.held_bytes

    async def test_many_small_answers_that_nobody_reads_are_given_up(self, opened: Opened) -> None:
        door = await opened(write_s=0.15)
        client = await door.client(buffer=4096)
        assert await client.is_closed_while_sending(METRICS * 100)
        assert door.count("write_stalled") == 1
        assert door.handed_over == 0

    async def test_readers_of_the_oldest_page_make_room_for_newer_ones(self, opened: Opened) -> None:
        size = 12_000_000
        door = await opened(old_pages_bytes=size)
        for number in range(6):
            door.page = page_of(size + number)
            await door.client(METRICS, buffer=4096)
            await until(lambda: door.page in door.bodies._readers)
        await until(lambda: door.count("old_page") >= 3)

    async def test_who_reads_slowly_but_gets_on_gets_all(self, opened: Opened) -> None:
        door = await opened(write_s=0.8)
        door.page = page_of(12_000_000)
        client = await door.client(CLOSING, buffer=65536)
        data = b""
        while piece := await client.read(500_000):
            data += piece
            await asyncio.sleep(0.002)
        [(_, _, body)] = answers_in(data)
        assert gzip.decompress(body) == b"".join(door.page.plain)
        assert door.count("write_stalled") == 0


class TestHalfClosed:
    @LOOPS
    @pytest.mark.parametrize("what", ["ok", "wait", "page"])
    async def test_who_sends_no_more_is_answered_and_then_closed(self, opened: Opened, what: str) -> None:
        door = await opened()
        door.page = page_of(6_000_000)
        client = await door.client(scrape(what, "Accept-Encoding: gzip"))
        client.socket.shutdown(1)
        asyncio.get_running_loop().call_later(0.05, door.let_go.set)
        assert statuses(await client.rest()) == [200]
        await until(lambda: len(door.guard) == 0)

    @LOOPS
    async def test_all_that_was_asked_before_is_answered(self, opened: Opened) -> None:
        door = await opened()
        client = await door.client(scrape("a") * 100)
        client.socket.shutdown(1)
        assert statuses(await client.rest()) == [200] * 100
        assert door.handed_over == 0


@LOOPS
async def test_ten_thousand_scrapes_at_once_on_one_connection_are_all_answered(opened: Opened) -> None:
    door = await opened()
    client = await door.client()
    sending = asyncio.ensure_future(client.send(scrape("a") * 9_999 + scrape("b", "Connection: close")))
    assert statuses(await client.rest()) == [200] * 10_000
    await sending


async def test_a_mistake_of_ours_is_500_with_its_kind_and_place_in_the_log(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    door = await opened()
    answer = await door.ask(scrape("wrong&x=c2VjcmV0"))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"\r\n\r\nInternal Server Error\n")
    assert "ValueError at door.py:" in caplog.text
    assert "c2VjcmV0" not in caplog.text
    assert "Traceback" not in caplog.text
    assert door.count("internal") == 1
    assert len(door.guard) == 0


async def test_connections_without_a_place_are_told_so(opened: Opened) -> None:
    door = await opened(places=2, places_per_address=2)
    for _ in range(2):
        await door.client(scrape("wait"))
    await until(lambda: door.answered == 2)
    assert statuses(await door.ask(METRICS)) == [503]
    assert door.count("refused") == 1


class TestTls:
    @LOOPS
    @pytest.mark.parametrize("encoding", [b"gzip", b"identity"])
    @pytest.mark.parametrize("size", [1000, 3_000_000])
    async def test_pages_come_whole_one_after_the_other(
        self, opened: Opened, certificates: Certificates, size: int, encoding: bytes
    ) -> None:
        door = await opened(context=server_context(certificates))
        door.page = page_of(size)
        reader, writer = await connected(door, certificates)
        writer.write(METRICS.replace(b"gzip", encoding) + CLOSING.replace(b"gzip", encoding))
        answers = answers_in(await reader.read())
        writer.close()
        assert len(answers) == 2
        for _, _, body in answers:
            text = gunzip_one(body) if encoding == b"gzip" else body
            assert text == b"".join(door.page.plain)
        assert door.handed_over == 0
        await until(lambda: len(door.guard) == 0)

    @LOOPS
    async def test_what_is_not_plain_is_handed_over(self, opened: Opened, certificates: Certificates) -> None:
        door = await opened(context=server_context(certificates))
        reader, writer = await connected(door, certificates)
        writer.write(scrape("wait") + GET + CLOSING)
        await until(lambda: door.answered == 1)
        door.let_go.set()
        assert statuses(await reader.read()) == [200] * 3
        writer.close()
        assert door.handed_over == 1
        await until(lambda: len(door.guard) == 0)

    @LOOPS
    @pytest.mark.parametrize("encoding", [b"gzip", b"identity"])
    async def test_a_reader_that_does_not_read_is_given_up(
        self, opened: Opened, certificates: Certificates, encoding: bytes
    ) -> None:
        door = await opened(context=server_context(certificates), write_s=0.2)
        door.page = page_of(12_000_000)
        client = await door.client(buffer=4096)
        _, writer = await connected(door, certificates, client.socket.dup())
        writer.write(METRICS.replace(b"gzip", encoding))
        await until(lambda: door.page in door.bodies._readers)
        await until(lambda: door.count("write_stalled") == 1)
        await until(lambda: not door.bodies._readers and not door.listener._answers)
        writer.transport.abort()


def server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    return context


async def connected(
    door: Door, certificates: Certificates, sock: socket.socket | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client over TLS, which takes little ahead of its reader."""
    trusted = ssl.create_default_context(cafile=certificates.ca)
    trusted.check_hostname = False
    if sock is None:
        return await asyncio.open_connection("127.0.0.1", door.port, ssl=trusted)
    return await asyncio.open_connection(sock=sock, ssl=trusted, server_hostname="x", limit=1000)


class TestBothWays:
    """The same requests, to a door that has both protocols and to one that has aiohttp alone."""

    @pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n", b"Connection: keep-alive\r\n"])
    @pytest.mark.parametrize(
        "sent",
        [
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n",
            b"GET /metrics? HTTP/1.1\r\nHost: x\r\n",
            *(
                b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: " + encoding + b"\r\n"
                for encoding in (b"gzip", b"gzip;q=0", b"*", b"br, GZIP ;q=0.5", b"identity", b"")
            ),
            b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n",
            b"GET /metrics HTTP/1.0\r\n",
            b"GET /scrape?target=ok HTTP/1.1\r\nHost: x\r\n",
            b"GET /scrape?target=%c3%a4 HTTP/1.1\r\nHost: x\r\n",
            b"GET /scrape?target=page HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n",
            b"GET /scrape?target=wrong HTTP/1.1\r\nHost: x\r\n",
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\n",
            b"POST /metrics HTTP/1.1\r\nHost: x\r\n",
            b"GET /metrics HTTP/1.1\r\n",
        ],
    )
    async def test_status_headers_and_body_are_the_same(
        self, opened: Opened, sent: bytes, connection: bytes
    ) -> None:
        found = []
        for alone in (False, True):
            door = await opened(aiohttp_alone=alone)
            client = await door.client(sent + connection + b"\r\n")
            client.socket.shutdown(1)
            found.append(answers_in(await client.rest()) if sent[:4] != b"HEAD" else await client.rest())
        if sent[:4] != b"HEAD":
            assert found[0] == found[1]
        assert found[0]

    @pytest.mark.parametrize(
        "sent", [METRICS, scrape("ok"), METRICS.replace(b"Host", b"Expect: x\r\nHost"), GET]
    )
    async def test_headers_of_the_operator_are_the_same(self, opened: Opened, sent: bytes) -> None:
        given = {"Strict-Transport-Security": "max-age=60", "X-Frame-Options": "deny"}
        found = []
        for alone in (False, True):
            admission = EntranceRules(headers=CommonHeaders(given))
            door = await opened(aiohttp_alone=alone, admission=admission)
            client = await door.client(sent)
            client.socket.shutdown(1)
            found.append(answers_in(await client.rest()))
        assert found[0] == found[1]
        [(_, headers, _)] = found[0]
        assert given.items() <= headers.items()
        assert headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize("hashed", [False, True])
    @pytest.mark.parametrize(
        "sent", [b"", b"Basic dTpw", b"Basic dTpx", b"Basic eDpw", b"Basic !", b"Bearer x"]
    )
    async def test_sign_ins_are_the_same(self, opened: Opened, sent: bytes, hashed: bool) -> None:
        found, refused = [], []
        for alone in (False, True):
            auth = auth_of("u", password_hash=HASH) if hashed else auth_of("u", "p")
            door = await opened(aiohttp_alone=alone, auth=auth)
            header = b"Authorization: " + sent + b"\r\n" if sent else b""
            client = await door.client(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n" + METRICS)
            await until(lambda door=door: len(door.incidents.refused) == 2 - (sent == b"Basic dTpw"))  # type: ignore[misc]
            client.socket.shutdown(1)
            found.append(answers_in(await client.rest()))
            refused.append([(each.status, each.address, each.path) for each in door.incidents.refused])
            assert door.handed_over == int(alone)
        assert found[0] == found[1]
        assert refused[0] == refused[1]
        assert [status for status, _, _ in found[0]] == (
            [OK if sent == b"Basic dTpw" else UNAUTHORIZED, UNAUTHORIZED]
        )

    @settings(max_examples=150, deadline=None)
    @example([METRICS, METRICS, b"\r\n\r\nET /metrics HTTP/1.1\r\n\r\n"], [57, 58, 114])
    @example([b"GET /scrape?target=ok\r\nHost: x\r\n\r\n"], [])
    @given(
        st.lists(st.one_of(mutated(), st.just(METRICS)), min_size=1, max_size=4),
        st.lists(st.integers(0, 800), max_size=3),
    )
    def test_whatever_is_sent_in_whatever_pieces(self, requests: list[bytes], cuts: list[int]) -> None:
        data = b"".join(requests)
        edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        pieces = [data[begin:stop] for begin, stop in itertools.pairwise(edges)]
        logging.getLogger("exporter.web.incidents").disabled = True
        try:
            ours, of_aiohttp = (asyncio.run(_ask(pieces, alone=alone)) for alone in (False, True))
        finally:
            logging.getLogger("exporter.web.incidents").disabled = False
        assert_answered_alike(data, ours, of_aiohttp)

    @pytest.mark.parametrize("behind", [b"\xff\xff\xff\xff", b"x" * 10_000, METRICS, b"\r\n\r\n"])
    def test_nothing_is_read_behind_a_request_that_closes(self, behind: bytes) -> None:
        """aiohttp answers a mistake in place of all requests of the same piece."""
        pieces = [METRICS + CLOSING + behind]
        ours, of_aiohttp = (asyncio.run(_ask(pieces, alone=alone)) for alone in (False, True))
        assert [(answer.status, answer.closes) for answer in ours.answers] == ([(OK, False), (OK, True)])
        assert not any(ours.counts.values())
        assert_answered_alike(pieces[0], ours, of_aiohttp)


class Answer(NamedTuple):
    """Status line, whether the connection ends behind it, and body."""

    status: bytes
    closes: bool
    body: bytes


class Exchange(NamedTuple):
    """What was answered on one connection, and what was counted for it, by reason."""

    answers: list[Answer]
    counts: dict[str, int]


def assert_answered_alike(data: bytes, ours: Exchange, of_aiohttp: Exchange) -> None:
    """No request is answered twice, left out, or read from the bytes of another. Before a mistake, more may
    be answered than by aiohttp, which leaves out what came in one piece with the mistake. So it does even if
    the mistake is behind a request that closes, where nothing is to be read."""
    if ours.answers == of_aiohttp.answers:
        assert ours.counts == of_aiohttp.counts
        return
    before, [*its_before, mistake] = ours.answers, of_aiohttp.answers
    assert mistake.status in MISTAKES
    if before[-1].closes and before[-1].status == OK:
        reason = "too_large" if mistake.status == TOO_LARGE else "malformed"
        assert of_aiohttp.counts == {**ours.counts, reason: ours.counts[reason] + 1}
    else:
        *before, our_mistake = before
        assert our_mistake == mistake
        assert ours.counts == of_aiohttp.counts
    assert before[: len(its_before)] == its_before
    assert {answer.status for answer in before} == {OK}
    assert len(before) <= data.count(b"\r\n\r\n")


async def _ask(pieces: list[bytes], *, alone: bool) -> Exchange:
    async with Door(aiohttp_alone=alone) as door:
        client = await door.client()
        try:
            for piece in pieces:
                await client.send(piece)
                await door.take_in()
            client.socket.shutdown(1)
        except OSError:
            pass  # it is closed already
        data = await client.rest()
        await until(lambda: len(door.guard) == 0)
        answers = read_answers(data)
        assert door.answered == sum(b" 200 " in answer.status for answer in answers)  # HTTP/0.9 too
        return Exchange(answers, door.incidents.counts)


def read_answers(data: bytes) -> list[Answer]:
    return [
        Answer(status, headers.get("Connection") == "close", body)
        for status, headers, body in answers_in(data)
    ]
