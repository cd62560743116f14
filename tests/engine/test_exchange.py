"""Exchanges over sockets in one epoll: both engines report the same of the same bytes, in whatever pieces
they come, with TLS and without."""

from __future__ import annotations

import gc
import os
import random
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import engine
from exporter.engine import plain as slow
from tests.engine.test_frames import AMPLE, ENGINES, TOKENS
from tests.open_files import open_files
from tests.servers import Certificates

pytestmark = pytest.mark.skipif(not slow.EPOLL, reason="this system has no epoll")

TURN_S = 60.0
#: of each exchanger: what its channels with TLS share
INCOMING: WeakKeyDictionary[Any, ssl.MemoryBIO] = WeakKeyDictionary()
INFOS = [
    path.read_bytes() for path in sorted((Path(__file__).parent.parent / "data").glob("*/info_all.txt"))[-4:]
]


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


@dataclass(frozen=True)
class Contexts:
    """Those of a client and of a server that speak this version of TLS."""

    client: ssl.SSLContext
    server: ssl.SSLContext


class SecretEnd:
    """The server's end of a socket with TLS, used like a socket."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.socket = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def encrypted(self, data: bytes) -> bytes:
        self.session.write(data)
        return self.outgoing.read()

    def send(self, data: bytes) -> int:
        self.socket.sendall(self.encrypted(data))
        return len(data)

    def recv(self, most: int) -> bytes:
        while True:
            try:
                return self.session.read(most)
            except ssl.SSLWantReadError:
                self.incoming.write(self.socket.recv(65_536))

    def setblocking(self, flag: bool) -> None:
        self.socket.setblocking(flag)

    def close(self) -> None:
        self.socket.close()


class Clear:
    """A session that changes nothing. `refusal` is what it says to what is to be sent."""

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.refusal: ssl.SSLError | None = None

    def write(self, data: bytes) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.outgoing.write(data)

    def read(self, most: int, buffer: memoryview | None = None) -> bytes | int:
        data = self.incoming.read(most)
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)


def is_sent(wire: Wire) -> bool:
    """Whether the server has got anything."""
    return bool(select.select([wire.server], [], [], 0)[0])


def shake_hands(end: SecretEnd, context: ssl.SSLContext, incoming: ssl.MemoryBIO) -> tuple[Any, ...]:
    """What `Channel.secure` wants. Tickets of sessions come after it, through the socket."""
    outgoing = ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing)
    is_done = {session: False, end.session: False}
    while not all(is_done.values()):
        for each, came, sent in ((session, incoming, end.outgoing), (end.session, end.incoming, outgoing)):
            if not is_done[each]:
                came.write(sent.read())
                try:
                    each.do_handshake()
                    is_done[each] = True
                except ssl.SSLWantReadError:
                    pass
    end.incoming.write(outgoing.read())
    early = incoming.read()
    end.socket.sendall(end.outgoing.read())
    return session, incoming, outgoing, early


@pytest.fixture(scope="session", params=["plain", "TLSv1_2", "TLSv1_3"])
def contexts(request: pytest.FixtureRequest, certificates: Certificates) -> Contexts | None:
    return None if request.param == "plain" else contexts_of(certificates, ssl.TLSVersion[request.param])


def contexts_of(certificates: Certificates, version: ssl.TLSVersion) -> Contexts:
    made = Contexts(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    made.client.check_hostname, made.client.verify_mode = False, ssl.CERT_NONE
    made.server.load_cert_chain(certificates.server, certificates.server_key)
    made.server.minimum_version = made.server.maximum_version = version
    return made


class Wire:
    """A channel of one engine, the other end of its socket, and what it has reported. `then` is called with
    each report. With `contexts` they speak TLS: all that have one exchanger share its `incoming`."""

    def __init__(
        self,
        kind: Any,
        exchanger: Any,
        limits: tuple[int, int, int] = AMPLE,
        contexts: Contexts | None = None,
    ) -> None:
        reports = self.reports = []  # type: list[tuple[Any, ...]]
        self.then: Callable[[tuple[Any, ...]], None] = lambda report: None

        def note(*report: Any) -> None:
            reports.append(report)
            self.then(report)

        class Noted(kind.Channel):  # type: ignore[misc]
            def answered(self, data: bytes, ends: tuple[int, ...]) -> None:
                note("answered", data, ends)

            def came(self, data: bytes) -> None:
                note("came", data)

            def ended(self) -> None:
                note("ended", self.take_held(), *filter(None, [self.failure]))

            def failed(self, error: Exception) -> None:
                note("failed", type(error))

        self.server: Any
        ours, self.server = socket.socketpair()
        ours.setblocking(False)
        self.channel = Noted()
        self.fd = ours.detach()
        self.channel.open(exchanger, self.fd, limits)
        if contexts is not None:
            self.server = SecretEnd(self.server, contexts.server)
            incoming = INCOMING.setdefault(exchanger, ssl.MemoryBIO())
            self.channel.secure(*shake_hands(self.server, contexts.client, incoming))

    def close(self) -> None:
        self.channel.shut()
        self.server.close()


@pytest.fixture(params=ENGINES, ids=lambda engine: str(engine.ENGINE))
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def exchanger(kind: Any) -> Iterator[Any]:
    made = kind.Exchanger(TURN_S)
    yield made
    made.close()


@pytest.fixture
def wire(kind: Any, exchanger: Any, contexts: Contexts | None) -> Iterator[Wire]:
    made = Wire(kind, exchanger, contexts=contexts)
    yield made
    made.close()


def is_readable(exchanger: Any) -> bool:
    return bool(select.select([exchanger.fileno()], [], [], 0)[0])


class TestExchange:
    def test_replies_that_are_all_there_are_reported_in_one_piece(self, wire: Wire, exchanger: Any) -> None:
        wire.channel.ask(b"PING PING\r\n", 2)
        assert wire.server.recv(100) == b"PING PING\r\n"
        exchanger.drain()
        assert wire.reports == []
        assert not wire.channel.began_reply
        wire.server.send(b"+PONG\r\n*1\r\n:1\r\n")
        exchanger.drain()
        assert wire.reports == [("answered", b"+PONG\r\n*1\r\n:1\r\n", (7, 15))]
        assert wire.channel.began_reply
        assert not is_readable(exchanger)

    def test_incomplete_ones_are_held_until_the_rest_has_come(self, wire: Wire, exchanger: Any) -> None:
        data = bulk(b"x" * 30_000) + b"+OK\r\n"
        wire.channel.ask(b"A", 2)
        for at in range(0, len(data), 1000):
            assert wire.reports == []
            wire.server.send(data[at : at + 1000])
            exchanger.drain()
        assert wire.reports == [("answered", data, (len(data) - 5, len(data)))]

    def test_what_nobody_asked_for_is_reported_as_it_is(self, wire: Wire, exchanger: Any) -> None:
        wire.server.send(b"-ERR max number of clients reached\r\n")
        exchanger.drain()
        assert wire.reports == [("came", b"-ERR max number of clients reached\r\n")]

    @pytest.mark.parametrize(
        "data",
        [
            b"+PONG\r\n+more\r\n",
            b"hello\r\n",
            b"*3000000\r\n",
            b">2\r\n+invalidate\r\n*0\r\n",
            bulk(b"x" * 2000),
        ],
    )
    def test_what_is_out_of_the_ordinary_is_handed_on_and_all_that_follows(
        self, kind: Any, exchanger: Any, contexts: Contexts | None, data: bytes
    ) -> None:
        wire = Wire(kind, exchanger, (1000, 1000, 1 << 20), contexts)
        wire.channel.ask(b"A", 1)
        for piece in (data[:3], data[3:], b"+later\r\n"):
            wire.server.send(piece)
            exchanger.drain()
        assert [kind for kind, *_ in wire.reports] == ["came"] * len(wire.reports)
        assert b"".join(data for _, data in wire.reports) == data + b"+later\r\n"
        assert wire.channel.take_held() == b""
        wire.channel.ask(b"A", 1)  # the next one begins as if nothing had been
        wire.server.send(b"+PONG\r\n")
        exchanger.drain()
        assert wire.reports[-1] == ("answered", b"+PONG\r\n", (7,))
        wire.close()

    @pytest.mark.parametrize("size", [65_536 - 11, 65_536 - 10, 70_000, 300_000])
    def test_large_replies_are_handed_on(self, wire: Wire, exchanger: Any, size: int) -> None:
        """What fills the buffer may have more behind it."""
        data = bulk(b"x" * size)
        wire.channel.ask(b"A", 1)
        wire.server.setblocking(False)
        sent = 0
        while sent < len(data):
            sent += wire.server.send(data[sent : sent + 50_000])
            exchanger.drain()
        if len(data) < 65_536:
            assert wire.reports == [("answered", data, (len(data),))]
        else:
            assert {report for report, *_ in wire.reports} <= {"came", "answered"}
            assert b"".join(report[1] for report in wire.reports) == data
            if len(data) > 65_536:
                assert {report for report, *_ in wire.reports} == {"came"}

    def test_the_end_is_reported_after_what_came_before_it(self, wire: Wire, exchanger: Any) -> None:
        wire.channel.ask(b"A", 2)
        wire.server.send(b"+PONG\r\n*2\r\n")
        wire.server.close()
        exchanger.drain()
        assert wire.reports[0] == ("ended", b"+PONG\r\n*2\r\n")

    def test_what_does_not_fit_into_the_socket_is_sent_later(self, wire: Wire, exchanger: Any) -> None:
        payload = bytes(range(256)) * 8192
        wire.channel.ask(payload, 1)
        wire.channel.send(b"the end")
        received = b""
        while len(received) < len(payload) + 7:
            received += wire.server.recv(1 << 16)
            exchanger.drain()
        assert received == payload + b"the end"
        exchanger.drain()
        assert not is_readable(exchanger)
        wire.server.send(b"+OK\r\n")
        exchanger.drain()
        assert wire.reports == [("answered", b"+OK\r\n", (5,))]

    def test_a_server_that_goes_away_while_it_is_sent_to_is_an_end(self, wire: Wire, exchanger: Any) -> None:
        wire.channel.ask(b"x" * (4 << 20), 1)
        wire.server.close()
        wire.then = lambda report: wire.channel.shut()
        exchanger.drain()
        assert wire.reports == [("ended", b"")]

    def test_what_is_not_watched_stays_in_the_socket(self, wire: Wire, exchanger: Any) -> None:
        wire.channel.unwatch()
        wire.server.send(b"abcdef")
        exchanger.drain()
        assert not is_readable(exchanger)
        assert wire.channel.has_more
        assert (wire.channel.receive(4), wire.channel.receive(4), wire.channel.receive(4)) == (
            b"abcd",
            b"ef",
            None,
        )
        assert not wire.channel.has_more
        wire.channel.watch()
        wire.server.send(b"gh")
        exchanger.drain()
        assert wire.reports == [("came", b"gh")]
        wire.server.close()
        assert wire.channel.receive(4) == b""

    def test_no_commands_are_a_mistake_of_ours(self, wire: Wire) -> None:
        with pytest.raises(ValueError, match="no commands"):
            wire.channel.ask(b"", 0)


class TestCallbacks:
    """What is reported may start, close and abort whatever there is."""

    def test_the_next_exchange_may_begin_in_one(self, wire: Wire, exchanger: Any) -> None:
        def again(report: tuple[Any, ...]) -> None:
            if len(wire.reports) < 5:
                wire.channel.ask(b"A", 1)
                wire.server.send(b"+%d\r\n" % len(wire.reports))

        wire.then = again
        wire.channel.ask(b"A", 1)
        wire.server.send(b"+0\r\n")
        exchanger.drain()
        assert [data for _, data, _ in wire.reports] == [b"+%d\r\n" % number for number in range(5)]

    @pytest.mark.parametrize("replaced", [False, True])
    def test_an_event_of_a_channel_that_was_closed_meanwhile_finds_nobody(
        self, kind: Any, exchanger: Any, contexts: Contexts | None, replaced: bool
    ) -> None:
        """Neither it nor the one that has its place and its number of the socket now."""
        wires = [Wire(kind, exchanger, contexts=contexts) for _ in range(10)]
        later: list[Wire] = []

        def close_all(report: tuple[Any, ...]) -> None:
            fds = {wire.fd for wire in wires}
            for wire in wires:
                wire.close()
            if replaced and not later:
                later.extend(Wire(kind, exchanger, contexts=contexts) for _ in range(10))
                assert fds & {wire.fd for wire in later}

        for wire in wires:
            wire.then = close_all
            wire.channel.ask(b"A", 1)
            wire.server.send(b"+OK\r\n")
        exchanger.drain()
        assert sum(len(wire.reports) for wire in wires) == 1
        assert [wire.reports for wire in later if wire.reports] == []
        assert exchanger.channels == len(later)
        for wire in later:
            wire.close()

    def test_the_exchanger_itself_may_be_closed_in_one(self, kind: Any, contexts: Contexts | None) -> None:
        exchanger = kind.Exchanger(TURN_S)
        wires = [Wire(kind, exchanger, contexts=contexts) for _ in range(3)]

        def close_all(report: tuple[Any, ...]) -> None:
            for wire in wires:
                wire.close()
            exchanger.close()

        for wire in wires:
            wire.then = close_all
            wire.server.send(b"x")
        exchanger.drain()
        assert sum(len(wire.reports) for wire in wires) == 1

    def test_an_error_in_one_is_reported_and_harms_no_other(
        self, kind: Any, exchanger: Any, contexts: Contexts | None
    ) -> None:
        wires = [Wire(kind, exchanger, contexts=contexts) for _ in range(3)]
        for wire in wires:
            wire.then = lambda report: 1 // (report[0] != "answered")
            wire.channel.ask(b"A", 1)
            wire.server.send(b"+OK\r\n")
        exchanger.drain()
        for wire in wires:
            assert [report[0] for report in wire.reports] == ["answered", "failed"]
            wire.close()

    def test_a_turn_ends_when_its_time_is_over_and_the_rest_comes_next(self, kind: Any) -> None:
        exchanger = kind.Exchanger(0.0)
        wires = [Wire(kind, exchanger) for _ in range(5)]
        for wire in wires:
            wire.channel.ask(b"A", 1)
            wire.server.send(b"+OK\r\n")
        for served in range(1, 6):
            assert is_readable(exchanger)
            exchanger.drain()
            assert sum(len(wire.reports) for wire in wires) == served
        assert not is_readable(exchanger)
        for wire in wires:
            wire.close()
        exchanger.close()


class TestClosing:
    def test_nothing_stays_open(self, kind: Any) -> None:
        before = open_files()
        exchanger = kind.Exchanger(TURN_S)
        wires = [Wire(kind, exchanger) for _ in range(5)]
        assert exchanger.channels == 5
        for wire in wires:
            wire.close()
            wire.close()  # a second time does nothing
        assert exchanger.channels == 0
        exchanger.close()
        assert not open_files() - before

    def test_what_nobody_holds_any_longer_is_closed(self, kind: Any, contexts: Contexts | None) -> None:
        before = open_files()
        exchanger = kind.Exchanger(TURN_S)
        wires = [Wire(kind, exchanger, contexts=contexts) for _ in range(5)]
        for wire in wires:
            wire.server.close()
            wire.channel.ask(b"A", 1)
        del wire, wires, exchanger
        gc.collect()
        assert not open_files() - before

    def test_a_forked_child_takes_nothing_from_its_parent(self, wire: Wire, exchanger: Any) -> None:
        if (pid := os.fork()) == 0:
            wire.channel.shut()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        wire.channel.ask(b"A", 1)
        wire.server.send(b"+OK\r\n")
        exchanger.drain()
        assert wire.reports == [("answered", b"+OK\r\n", (5,))]

    def test_a_closed_channel_does_nothing(self, wire: Wire) -> None:
        wire.close()
        wire.channel.watch()
        wire.channel.unwatch()
        assert (wire.channel.receive(9), wire.channel.has_more, wire.channel.take_held()) == (b"", False, b"")


class TestTls:
    @pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
    def wire(
        self, request: pytest.FixtureRequest, kind: Any, exchanger: Any, certificates: Certificates
    ) -> Iterator[Wire]:
        made = Wire(kind, exchanger, contexts=contexts_of(certificates, request.param))
        exchanger.drain()  # tickets
        yield made
        made.close()

    def test_a_record_may_be_cut_anywhere(self, wire: Wire, exchanger: Any) -> None:
        wire.channel.ask(b"A", 1)
        for byte in wire.server.encrypted(b"$10\r\n0123456789\r\n"):
            assert wire.reports == []
            wire.server.socket.send(bytes([byte]))
            exchanger.drain()
        assert wire.reports == [("answered", b"$10\r\n0123456789\r\n", (17,))]

    def test_a_part_of_a_record_is_nothing_yet(self, wire: Wire, exchanger: Any) -> None:
        wire.channel.ask(b"A", 1)
        record = wire.server.encrypted(b"+OK\r\n")
        wire.server.socket.send(record[:-1])
        exchanger.drain()
        assert not wire.channel.began_reply
        assert not wire.channel.has_more
        assert wire.channel.receive(9) is None
        wire.server.socket.send(record[-1:])
        assert wire.channel.has_more
        wire.server.send(b"+more\r\n")
        exchanger.drain()
        assert b"".join(report[1] for report in wire.reports) == b"+OK\r\n+more\r\n"

    def test_nothing_of_one_connection_is_read_by_another(
        self, wire: Wire, kind: Any, exchanger: Any, certificates: Certificates
    ) -> None:
        other = Wire(kind, exchanger, contexts=contexts_of(certificates, ssl.TLSVersion.TLSv1_3))
        for each in (wire, other):
            each.channel.ask(b"A", 1)
        ours, theirs = (
            each.server.encrypted(b"+%d\r\n" % number) for number, each in enumerate((wire, other))
        )
        wire.server.socket.send(ours[:9])
        other.server.socket.send(theirs[:12])
        exchanger.drain()
        wire.server.socket.send(b"\x00" * 40)
        exchanger.drain()
        other.server.socket.send(theirs[12:])
        exchanger.drain()
        assert [report for report, *_ in wire.reports] == ["ended"]
        assert other.reports == [("answered", b"+1\r\n", (4,))]
        other.close()

    def test_the_server_may_end_it_by_a_word(self, wire: Wire, exchanger: Any) -> None:
        wire.channel.ask(b"A", 1)
        with pytest.raises(ssl.SSLWantReadError):
            wire.server.session.unwrap()
        wire.server.socket.send(wire.server.outgoing.read())
        exchanger.drain()
        exchanger.drain()
        assert wire.reports == [("ended", b"")]
        assert wire.channel.receive(9) == b""

    @pytest.mark.parametrize("asked", [1, 2])
    def test_what_came_before_that_word_is_reported(self, wire: Wire, exchanger: Any, asked: int) -> None:
        wire.channel.ask(b"A", asked)
        wire.server.session.write(b"+PONG\r\n")
        with pytest.raises(ssl.SSLWantReadError):
            wire.server.session.unwrap()
        wire.server.socket.send(wire.server.outgoing.read())
        exchanger.drain()
        if asked == 1:
            assert wire.reports == [("answered", b"+PONG\r\n", (7,)), ("ended", b"")]
        else:
            assert wire.reports == [("ended", b"+PONG\r\n")]

    def test_an_end_that_was_seen_while_nobody_watched_is_reported_then(
        self, wire: Wire, exchanger: Any
    ) -> None:
        wire.channel.unwatch()
        with pytest.raises(ssl.SSLWantReadError):
            wire.server.session.unwrap()
        wire.server.socket.send(wire.server.outgoing.read())
        assert not wire.channel.has_more
        exchanger.drain()
        assert wire.reports == []
        wire.channel.watch()
        exchanger.drain()
        assert wire.reports == [("ended", b"")]

    def test_what_is_no_tls_is_an_end_with_its_error(self, wire: Wire, exchanger: Any) -> None:
        wire.channel.ask(b"A", 1)
        wire.server.send(b"+PO")
        wire.server.socket.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        exchanger.drain()
        [(report, data, failure)] = wire.reports
        assert (report, data) == ("ended", b"+PO")
        assert isinstance(failure, ssl.SSLError)
        assert wire.channel.failure is failure
        assert wire.server.recv(9) == b"A"
        with pytest.raises(ssl.SSLError):  # it was told so
            wire.server.recv(9)

    def test_what_is_asked_while_the_server_changes_the_keys_is_sent_after_that(
        self, kind: Any, exchanger: Any
    ) -> None:
        wire = Wire(kind, exchanger)
        clear = Clear()
        wire.channel.secure(clear, clear.incoming, clear.outgoing, b"")
        clear.refusal = ssl.SSLWantReadError()
        wire.channel.ask(b"A" * 10_000, 1)
        wire.channel.send(b"B")
        wire.server.send(b"+O")
        exchanger.drain()
        assert not is_sent(wire)
        clear.refusal = None
        wire.server.send(b"K\r\n")
        exchanger.drain()
        assert wire.server.recv(20_000) == b"A" * 10_000 + b"B"
        assert wire.reports == [("answered", b"+OK\r\n", (5,))]
        wire.close()

    def test_a_failure_to_send_is_reported_as_the_end(self, kind: Any, exchanger: Any) -> None:
        wire = Wire(kind, exchanger)
        clear = Clear()
        wire.channel.secure(clear, clear.incoming, clear.outgoing, b"")
        clear.refusal = ssl.SSLError("bad length")
        wire.channel.ask(b"A" * 10_000, 1)
        assert wire.reports == []  # never inside `ask`
        exchanger.drain()
        assert wire.reports == [("ended", b"", clear.refusal)]
        assert not is_sent(wire)
        wire.close()

    def test_large_replies_come_whole(self, wire: Wire, exchanger: Any) -> None:
        data = bulk(random.Random(1).randbytes(1_000_000))
        wire.channel.ask(b"A", 1)
        wire.then = lambda report: more.append(wire.channel.has_more)
        more: list[bool] = []
        for at in range(0, len(data), 90_000):
            wire.server.send(data[at : at + 90_000])
            exchanger.drain()
        assert b"".join(data for _, data in wire.reports) == data
        assert any(more)
        assert not more[-1]

    def test_it_needs_an_open_channel(self, wire: Wire) -> None:
        wire.close()
        assert not wire.channel.is_secured
        with pytest.raises(ValueError, match="not open"):
            wire.channel.secure(None, None, None, b"")


def reports_of(
    kind: Any, pieces: list[bytes], counts: list[int], limits: tuple[int, int, int], contexts: Contexts | None
) -> list[Any]:
    """What is reported of exchanges, one after the other, while these pieces come. `counts`: how many
    replies each awaits. With TLS each piece is a record or more, and is cut too."""
    exchanger = kind.Exchanger(TURN_S)
    wire = Wire(kind, exchanger, limits, contexts)
    waiting = list(reversed(counts))

    def ask_next(report: tuple[Any, ...]) -> None:
        if report[0] == "answered" and waiting:
            wire.channel.ask(b"A", waiting.pop())
        elif report[0] == "ended":
            wire.channel.shut()

    wire.then = ask_next
    wire.channel.ask(b"A", waiting.pop())
    for piece in pieces:
        if contexts is None:
            wire.server.sendall(piece)
        else:
            record = wire.server.encrypted(piece)
            cut = len(piece) * 7 % len(record)
            wire.server.socket.sendall(record[:cut])
            exchanger.drain()
            wire.server.socket.sendall(record[cut:])
        exchanger.drain()
    wire.server.close()
    exchanger.drain()
    wire.close()
    exchanger.close()
    return wire.reports


def pieces_of(data: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.sample(range(len(data) + 1), min(len(data), chance.randint(0, 6))))
    return [piece for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if (piece := data[a:b])]


def check(data: bytes, counts: list[int], chance: random.Random, contexts: Contexts | None) -> None:
    pieces = pieces_of(data, chance)
    assert_reported_alike(pieces, counts, chance.choice([AMPLE, (30, 4, 200), (60, 100, 90)]), contexts)


def assert_reported_alike(
    pieces: list[bytes], counts: list[int], limits: tuple[int, int, int], contexts: Contexts | None
) -> None:
    found = [reports_of(kind, pieces, counts, limits, contexts) for kind in ENGINES]
    assert all(each == found[0] for each in found)
    assert b"".join(report[1] for report in found[0]) == b"".join(pieces), "every byte is reported once"
    for report, answered, *ends in found[0]:
        if report == "answered":
            frames = engine.Frames()
            frames.expect(len(ends[0]), *limits)
            assert frames.scan(answered) == slow.DONE
            assert (frames.at, (frames.ends,)) == (len(answered), tuple(ends))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(TOKENS), max_size=30),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_whatever_comes_the_engines_report_the_same(
    contexts: Contexts | None, tokens: list[bytes], counts: list[int], chance: random.Random
) -> None:
    check(b"".join(tokens), counts, chance, contexts)


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_of_replies_of_servers_with_some_bytes_changed_too(
    contexts: Contexts | None, chance: random.Random
) -> None:
    data = bytearray(
        b"".join(bulk(chance.choice(INFOS)) + b":1\r\n*2\r\n+a\r\n$1\r\nb\r\n" for _ in range(2))
    )
    for _ in range(chance.randint(0, 3)):
        at = chance.choice([chance.randrange(len(data)), chance.randrange(8)])
        data[at : at + chance.randint(0, 2)] = chance.choice(
            [b"", b"\r", b"\n", b"9", b"*9", b"$-1", b"\x00"]
        )
    check(bytes(data), [3, 3], chance, contexts)
