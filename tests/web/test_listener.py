"""The door itself: crowds of connections, TLS handshakes that do not end, and the end of the program."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import ssl

import pytest

from exporter.errors import ConfigError
from exporter.web import guard as guards
from exporter.web.listener import DRAIN_S, cannot_listen, shown
from exporter.web.visit import Visit
from tests.servers import Certificates
from tests.store_fixture import PATIENCE_S, until
from tests.web.door import GET, Door, Opened

#: what the end must not wait for takes longer than this: see HttpLimits
STOP_S = 5.0


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "SWEEP_S", 0.02)


@pytest.fixture
def context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    return context


async def fetch(door: Door, certificates: Certificates | None = None, address: str = "127.0.0.1") -> bytes:
    """One answer, with TLS where there are certificates."""
    trusted = None
    if certificates is not None:
        trusted = ssl.create_default_context(cafile=certificates.ca)
        trusted.check_hostname = False
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", door.port, ssl=trusted, local_addr=(address, 0)
    )
    writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    answer = await reader.read()
    writer.close()
    return answer


class TestCrowds:
    @pytest.mark.parametrize(
        "half",
        [b"", b"GET /ok HTTP/1.1\r\n", GET, b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"],
        ids=["silent", "half", "idle", "slow"],
    )
    async def test_of_one_address_let_the_scraper_of_that_address_in(
        self, opened: Opened, half: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("exporter.web.activity.SLOW_S", 0.05)
        door = await opened(places=30, places_per_address=20)
        for _ in range(60):
            await door.client(half, buffer=4096)
            if b"big" in half:
                await asyncio.sleep(0.005)
        assert (await fetch(door)).endswith(b"ok")
        assert len(door.guard) <= 20
        assert door.count("evicted") >= 40

    async def test_of_one_address_leave_room_for_others(self, opened: Opened) -> None:
        door = await opened(places=30, places_per_address=20)
        waiting = [await door.client(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(20)]
        await until(lambda: len(door.guard) == 20)
        assert (await door.ask(GET)).startswith(b"HTTP/1.1 503 ")
        assert (await fetch(door, address="127.0.0.2")).endswith(b"ok")
        door.let_go.set()
        assert (await waiting[0].read()).endswith(b"waited")
        assert door.count("evicted") == 0

    async def test_of_two_addresses_leave_a_third_its_place_and_its_idle_connection(
        self, opened: Opened
    ) -> None:
        door = await opened(places=20, places_per_address=10)
        scraper = await door.client(GET, address="127.0.0.3")
        assert (await scraper.read()).endswith(b"ok")
        for number in range(30):
            await door.client(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", address=f"127.0.0.{1 + number % 2}")
        await until(lambda: len(door.guard) + door.count("refused") == 31)
        await scraper.send(GET)
        assert (await scraper.read()).endswith(b"ok")
        assert (await fetch(door, address="127.0.0.3")).endswith(b"ok")

    async def test_one_being_answered_is_never_the_one_to_go(self, opened: Opened) -> None:
        door = await opened(places=10, places_per_address=10)
        waiting = await door.client(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: len(door.guard) == 1)
        for _ in range(100):
            await door.client(b"GET")
        door.let_go.set()
        assert (await waiting.read()).endswith(b"waited")


class TestTls:
    async def test_answers(self, opened: Opened, context: ssl.SSLContext, certificates: Certificates) -> None:
        door = await opened(context=context)
        assert (await fetch(door, certificates)).endswith(b"ok")
        await until(lambda: len(door.guard) == 0)

    @pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
    async def test_a_handshake_that_does_not_come_is_ended(
        self, opened: Opened, context: ssl.SSLContext, sent: bytes
    ) -> None:
        door = await opened(context=context, request_s=0.1)
        assert b"HTTP" not in await door.ask(sent)
        await until(lambda: door.count("handshake"))
        assert (door.count("handshake"), len(door.guard)) == (1, 0)

    @pytest.mark.parametrize(
        ("sent", "why"),
        [(b"GET / HTTP/1.1\r\n\r\n", ": http request"), (b"\x16\x03\x01", "")],
    )
    async def test_the_log_says_whose_handshake_failed_and_why(
        self,
        opened: Opened,
        context: ssl.SSLContext,
        caplog: pytest.LogCaptureFixture,
        sent: bytes,
        why: str,
    ) -> None:
        door = await opened(context=context, request_s=0.1)
        await door.ask(sent)
        await until(lambda: door.count("handshake"))
        (line,) = (each for each in caplog.records if each.name == "exporter.web.incidents")
        assert line.getMessage().endswith(f"(--web.request-timeout){why}")
        assert line.__dict__["client"] == "127.0.0.1"

    async def test_a_certificate_that_a_client_lacks_is_said(
        self, opened: Opened, certificates: Certificates, caplog: pytest.LogCaptureFixture
    ) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
        context.load_cert_chain(certificates.server, certificates.server_key)
        context.verify_mode = ssl.CERT_REQUIRED
        door = await opened(context=context)
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # or an answer without a byte
            await fetch(door, certificates)
        await until(lambda: door.count("handshake"))
        assert ": peer did not return a certificate" in caplog.text

    async def test_a_crowd_that_does_not_shake_hands_lets_the_scraper_in(
        self, opened: Opened, context: ssl.SSLContext, certificates: Certificates
    ) -> None:
        door = await opened(context=context, places=20, places_per_address=20)
        crowd = [await door.client() for _ in range(50)]
        assert (await fetch(door, certificates)).endswith(b"ok")
        assert len(door.guard) <= 20
        assert await crowd[0].rest() == b""
        assert door.count("handshake") == 0  # an eviction is counted as one only

    async def test_who_makes_room_at_the_door_holds_no_file(
        self, opened: Opened, context: ssl.SSLContext
    ) -> None:
        """All come in one turn of the loop, so most are turned out before their handshake began."""
        door = await opened(context=context, places=20, places_per_address=20)
        before = len(os.listdir("/proc/self/fd"))
        crowd = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(60)]
        gc.disable()  # it would close them sooner or later
        try:
            await until(lambda: door.count("evicted") >= 40)
            await until(lambda: len(os.listdir("/proc/self/fd")) - before <= 60 + 20)
        finally:
            gc.enable()
            for client in crowd:
                client.close()

    async def test_who_makes_room_holds_no_file_however_long_its_farewell_takes(
        self, opened: Opened, context: ssl.SSLContext, certificates: Certificates
    ) -> None:
        door = await opened(context=context, places=50, places_per_address=5, request_s=60.0)
        trusted = ssl.create_default_context(cafile=certificates.ca)
        trusted.check_hostname = False

        clients: list[ssl.SSLSocket] = []

        def crowd() -> None:
            """Clients that send a part of a request, and never read."""
            for _ in range(25):
                client = trusted.wrap_socket(socket.socket())  # not connected: else a reset would lose it
                clients.append(client)
                client.settimeout(PATIENCE_S)
                client.connect(("127.0.0.1", door.port))
                client.sendall(b"GET /ok HTTP/1.1\r\n")

        before = len(os.listdir("/proc/self/fd"))
        try:
            await asyncio.to_thread(crowd)
            await until(lambda: door.count("evicted") == 20)
            await until(lambda: len(os.listdir("/proc/self/fd")) - before < 25 + 10)
        finally:
            for client in clients:
                client.close()

    async def test_who_leaves_during_the_handshake_frees_its_place(
        self, opened: Opened, context: ssl.SSLContext
    ) -> None:
        door = await opened(context=context)
        for _ in range(10):
            (await door.client(b"\x16")).reset()
        await until(lambda: len(door.guard) == 0)

    async def test_a_reader_that_does_not_read_is_given_up(
        self, opened: Opened, context: ssl.SSLContext, certificates: Certificates
    ) -> None:
        door = await opened(context=context, write_s=0.2)
        trusted = ssl.create_default_context(cafile=certificates.ca)
        trusted.check_hostname = False
        client = await door.client(buffer=4096)
        _, writer = await asyncio.open_connection(
            sock=client.socket.dup(), ssl=trusted, server_hostname="x", limit=1000
        )
        writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: door.count("write_stalled") == 1)
        writer.transport.abort()


class TestStop:
    async def test_waits_for_an_answer_that_is_taken(self) -> None:
        async with Door(big=b"x" * 5_000_000) as door:
            client = await door.client(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await client.read(1000)
            reading = asyncio.ensure_future(client.rest())
            stopping = asyncio.ensure_future(door.listener.stop())
            assert len(await reading) > 4_990_000
            await stopping

    async def test_does_not_wait_for_those_who_hold_it_up(self) -> None:
        async with Door() as door:
            for sent in (
                b"",
                b"GET",
                GET,
                b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
            ):
                for _ in range(5):
                    await door.client(sent, buffer=4096)
            await until(lambda: len(door.guard) == 25)
            began = asyncio.get_running_loop().time()
            await door.listener.stop()
            assert asyncio.get_running_loop().time() - began < STOP_S
            assert len(door.guard) == 0

    async def test_readers_that_keep_taking_do_not_hold_it_up(self) -> None:
        async with Door(big=b"x" * 40_000_000) as door:
            client = await door.client(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n", buffer=65536)

            async def sip() -> None:
                try:
                    while await client.read(65536):
                        await asyncio.sleep(0.01)
                except ConnectionResetError:
                    pass

            sipping = asyncio.ensure_future(sip())
            await until(lambda: any(visitor.moves for visitor in door.guard if isinstance(visitor, Visit)))
            began = asyncio.get_running_loop().time()
            await door.listener.stop()
            assert 0.9 * DRAIN_S <= asyncio.get_running_loop().time() - began < STOP_S
            await sipping


async def test_an_address_that_is_taken_is_told_as_such(opened: Opened) -> None:
    door, other = await opened(), Door()
    with pytest.raises(OSError, match="in use") as caught:
        await other.listener.start(f"127.0.0.1:{door.port}")
    assert "another program uses this address; choose another one" in str(cannot_listen(":1", caught.value))
    assert isinstance(cannot_listen(":1", caught.value), ConfigError)
    assert "write another path, in a folder that exists" in str(
        cannot_listen("unix:/no/s", FileNotFoundError())
    )


async def test_every_interface_is_ipv4_and_ipv6() -> None:
    door = Door()
    await door.listener.start(":0")
    families = {4 if "." in shown(address) else 6 for address in door.listener.addresses}
    await door.listener.stop()
    assert families == ({4, 6} if socket.has_ipv6 else {4})


async def test_an_answer_names_no_software_and_no_other_kind_than_its_own(opened: Opened) -> None:
    head = (await fetch(await opened())).partition(b"\r\n\r\n")[0].lower()
    assert b"\r\nserver:" not in head
    assert b"\r\nx-content-type-options: nosniff" in head
