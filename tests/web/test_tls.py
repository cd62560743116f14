"""HTTPS of our own endpoint: real handshakes."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from exporter import pem_files
from exporter.errors import ConfigError
from exporter.pem_files import PemFile
from exporter.web import tls
from exporter.web.entrance import EntranceRules
from exporter.web.tls import ServerContext, ServerTls, make_context, names_of, tls_of_flags
from tests.servers import PATIENCE_S, Certificates, make_certificates
from tests.web.door import GET, Door


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pem_files, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def waits_for_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake waits until the files have been looked at, however busy the machine is."""
    monkeypatch.setattr(tls, "LOOK_S", PATIENCE_S)


#: an option of OpenSSL 3: let clients renegotiate, as OpenSSL 1.1 does
CLIENTS_RENEGOTIATE = 1 << 8

Shake = Callable[[ServerContext, ssl.SSLContext], Awaitable[tuple[str, str]]]


@pytest.fixture
async def shake() -> AsyncIterator[Shake]:
    """Serves with a context, and shakes hands with it: the serial number of the server's certificate, and
    the version of TLS."""
    servers: list[asyncio.Server] = []

    async def run(serving: ServerContext, client: ssl.SSLContext) -> tuple[str, str]:
        await serving.freshen()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving.context)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="localhost"
        )
        try:
            if await reader.read() != b"hello":  # with TLS 1.3 a client is refused after the handshake
                raise ConnectionError("refused")
            connection = writer.get_extra_info("ssl_object")
            return connection.getpeercert()["serialNumber"], connection.version()
        finally:
            writer.transport.abort()

    yield run
    for server in servers:
        server.close()


def client_of(
    certificates: Certificates, newest: ssl.TLSVersion | None = None, *, shown: bool = False
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates.ca)
    context.check_hostname = False
    if newest is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    if shown:
        context.load_cert_chain(certificates.client, certificates.client_key)
    return context


def settings_of(certificates: Certificates, **more: Any) -> ServerTls:
    return tls_of_flags(certificates.server, certificates.server_key, **more)


async def test_it_serves(shake: Shake, certificates: Certificates) -> None:
    _, version = await shake(ServerContext(settings_of(certificates)), client_of(certificates))
    assert version == "TLSv1.3"


@pytest.mark.parametrize("authority", ["", "ca"])
@pytest.mark.parametrize(
    ("least", "newest", "version"),
    [
        ("TLS1.2", ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        ("TLS1.3", ssl.TLSVersion.TLSv1_2, None),
        ("TLS1.2", ssl.TLSVersion.TLSv1_1, None),
        ("TLS1.0", ssl.TLSVersion.TLSv1_1, "TLSv1.1"),
    ],
)
async def test_the_oldest_version_is_obeyed_with_client_certificates_too(
    shake: Shake,
    certificates: Certificates,
    authority: str,
    least: str,
    newest: ssl.TLSVersion,
    version: str | None,
) -> None:
    serving = ServerContext(
        settings_of(certificates, ca_file=certificates.ca if authority else "", min_version=least)
    )
    client = client_of(certificates, newest, shown=bool(authority))
    if version is None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shake(serving, client)
    else:
        assert (await shake(serving, client))[1] == version


async def test_a_client_without_a_certificate_is_refused_where_one_is_wanted(
    shake: Shake, certificates: Certificates
) -> None:
    serving = ServerContext(settings_of(certificates, ca_file=certificates.ca))
    await shake(serving, client_of(certificates, shown=True))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shake(serving, client_of(certificates))


@pytest.mark.parametrize("anchor", ["issuing_ca", "issued"])
async def test_every_certificate_of_the_authorities_file_is_an_anchor(
    shake: Shake, certificates: Certificates, anchor: str
) -> None:
    """An issuing authority that is not self-signed, or a client's own certificate."""
    client = client_of(certificates)
    client.load_cert_chain(certificates.issued, certificates.issued_key)
    await shake(ServerContext(settings_of(certificates, ca_file=getattr(certificates, anchor))), client)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shake(ServerContext(settings_of(certificates, ca_file=certificates.other_ca)), client)


@pytest.mark.usefixtures("waits_for_looks")
async def test_a_certificate_that_was_replaced_is_served_from_the_next_handshake_on(
    shake: Shake, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (make_certificates(folder) for folder in folders)
    serving = ServerContext(settings_of(first))
    before, _ = await shake(serving, client_of(first))
    Path(first.server_key).write_text("half a file")
    assert (await shake(serving, client_of(first)))[0] == before
    shutil.copy(second.server, first.server)
    shutil.copy(second.server_key, first.server_key)
    for _ in range(2):
        assert (await shake(serving, client_of(second)))[0] != before


async def test_a_fifo_in_place_of_a_file_leaves_the_one_there_was(
    shake: Shake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    own = make_certificates(tmp_path)
    serving = ServerContext(settings_of(own))
    before, _ = await shake(serving, client_of(own))
    Path(own.server_key).unlink()
    os.mkfifo(own.server_key)
    for _ in range(2):
        assert (await asyncio.wait_for(shake(serving, client_of(own)), PATIENCE_S))[0] == before
    async with asyncio.timeout(PATIENCE_S):
        while not caplog.messages:
            await asyncio.sleep(0.01)
    assert caplog.messages[0] == "the files that were read before stay in use"
    assert "it is a FIFO, not a regular file" in vars(caplog.records[0])["err"]


async def test_a_share_that_hangs_holds_one_handshake_up_for_a_moment(
    shake: Shake, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = ServerContext(settings_of(certificates))
    may_end = threading.Event()
    looks, stamps = [], pem_files._stamps

    def hang(names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        looks.append(names)
        may_end.wait(PATIENCE_S)
        return stamps(names)

    monkeypatch.setattr(pem_files, "_stamps", hang)
    try:
        for _ in range(5):
            await asyncio.wait_for(shake(serving, client_of(certificates)), PATIENCE_S / 2)
        assert len(looks) == 1
    finally:
        may_end.set()


async def test_of_many_handshakes_one_a_second_looks_and_the_loop_goes_on(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share that answers in 20 ms."""
    monkeypatch.setattr(pem_files, "LOOK_EVERY_S", 60.0)
    serving = ServerContext(settings_of(certificates))
    looks, stamps = [], pem_files._stamps

    def slow(names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        if names:
            looks.append(names)
        time.sleep(0.02)
        return stamps(names)

    monkeypatch.setattr(pem_files, "_stamps", slow)
    async with Door(serving.context, freshen=serving.freshen) as door:
        trusted = client_of(certificates)
        for _ in range(3):
            connections = (
                asyncio.open_connection("127.0.0.1", door.port, ssl=trusted, server_hostname="localhost")
                for _ in range(10)
            )
            for _, writer in await asyncio.gather(*connections):
                writer.transport.abort()
    assert len(looks) == 1


async def test_the_loop_does_not_wait_for_a_look(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = ServerContext(settings_of(certificates))
    may_end = threading.Event()
    stamps = pem_files._stamps
    monkeypatch.setattr(pem_files, "_stamps", lambda names: may_end.wait(PATIENCE_S) and stamps(names))
    asyncio.get_running_loop().call_soon(may_end.set)  # a loop that waits never comes to it
    monkeypatch.setattr(tls, "LOOK_S", PATIENCE_S)
    await asyncio.wait_for(serving.freshen(), PATIENCE_S / 2)


@pytest.mark.usefixtures("waits_for_looks")
async def test_a_certificate_that_was_replaced_is_served_after_a_second_however_rare_handshakes_are(
    shake: Shake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (make_certificates(folder) for folder in folders)
    serving = ServerContext(settings_of(first))
    before, _ = await shake(serving, client_of(first))
    monkeypatch.setattr(pem_files, "LOOK_EVERY_S", 0.3)
    await shake(serving, client_of(first))
    shutil.copy(second.server, first.server)
    shutil.copy(second.server_key, first.server_key)
    await asyncio.sleep(0.3)
    assert (await shake(serving, client_of(second)))[0] != before


async def test_who_leaves_during_a_look_holds_no_file(certificates: Certificates) -> None:
    looking = asyncio.Event()

    async def look() -> None:
        looking.set()
        await asyncio.sleep(PATIENCE_S)

    serving = ServerContext(settings_of(certificates))
    async with Door(serving.context, freshen=look, request_s=0.1) as door:
        client = await door.client(b"\x16")
        await looking.wait()
        assert await client.rest() == b""
        assert (door.count("handshake"), len(door.guard)) == (1, 0)


@pytest.mark.usefixtures("waits_for_looks")
async def test_an_authority_that_was_replaced_lets_nobody_in_any_more(shake: Shake, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (make_certificates(folder) for folder in folders)
    authority = tmp_path / "clients.crt"
    shutil.copy(first.ca, authority)
    serving = ServerContext(settings_of(first, ca_file=str(authority)))
    old, new = client_of(first, shown=True), client_of(first)
    new.load_cert_chain(second.client, second.client_key)
    await shake(serving, old)
    shutil.copy(second.ca, authority)
    for _ in range(2):
        await shake(serving, new)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shake(serving, old)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("authority", ["", "ca"])
def test_with_client_certificates_each_connection_shows_one(
    certificates: Certificates, version: ssl.TLSVersion, authority: str
) -> None:
    """No session is taken up again: it would stay when the authority goes."""
    serving = ServerContext(settings_of(certificates, ca_file=certificates.ca if authority else ""))
    client = client_of(certificates, version, shown=bool(authority))
    session = None
    reused = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        with ThreadPoolExecutor(1) as pool, ours, theirs:
            server = pool.submit(_greet, serving.context, ours)
            with client.wrap_socket(theirs, session=session) as connection:
                assert connection.recv(5) == b"hello"
                reused.append(connection.session_reused)
                session = connection.session
            server.result(PATIENCE_S)
    assert reused == [False, not authority]


def _greet(context: ssl.SSLContext, plain: socket.socket) -> None:
    with context.wrap_socket(plain, server_side=True) as connection:
        connection.sendall(b"hello")
        connection.recv(1)


async def test_no_client_may_have_a_second_handshake(certificates: Certificates) -> None:
    """It could have them without an end, and each costs as much as the first."""
    serving = ServerContext(settings_of(certificates))
    serving.context.options |= CLIENTS_RENEGOTIATE
    async with Door(serving.context, request_s=PATIENCE_S) as door:
        client = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-connect", f"127.0.0.1:{door.port}", "-tls1_2", "-msg"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"R\n")  # renegotiate
        said = b""
        async with asyncio.timeout(PATIENCE_S):
            while b"no_renegotiation" not in said and (more := await client.stdout.read(65536)):
                said += more
        client.stdin.write(b"Q\n")  # the end
        said += await asyncio.wait_for(client.stdout.read(), PATIENCE_S)
        await client.wait()
    assert said.count(b"<<< TLS 1.2, Handshake [length 0010], Finished") == 1
    assert b"RENEGOTIATING" in said
    assert b"<<< TLS 1.2, Alert [length 0002], warning no_renegotiation" in said


def test_a_key_with_a_password_is_told(certificates: Certificates, tmp_path: Path) -> None:
    key = tmp_path / "encrypted.key"
    command = [
        "openssl",
        "pkey",
        "-in",
        certificates.server_key,
        "-aes256",
        "-passout",
        "pass:kiwi",
        "-out",
        str(key),
    ]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(
        ConfigError, match=f"^--tls-server-key-file={key} is encrypted: write a key without a password$"
    ):
        ServerContext(tls_of_flags(certificates.server, str(key)))


def test_files_that_cannot_be_used(certificates: Certificates, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for settings, flag in (
        (
            tls_of_flags("/no/such/file", certificates.server_key),
            "^--tls-server-cert-file=/no/such/file cannot be read: No such file",
        ),
        (
            tls_of_flags(certificates.server, "/no/such/file"),
            "^--tls-server-key-file=/no/such/file cannot be read: No such file",
        ),
        (tls_of_flags(str(junk), certificates.server_key), "--tls-server-cert-file="),
        (tls_of_flags(certificates.server, certificates.client_key), "the key does not fit the certificate"),
        (
            settings_of(certificates, ca_file="/no/such/file"),
            "--tls-server-ca-cert-file=/no/such/file cannot be read: No such file",
        ),
        (settings_of(certificates, ca_file=str(junk)), "--tls-server-ca-cert-file="),
    ):
        with pytest.raises(ConfigError, match=flag):
            ServerContext(settings)


def inline(*files: str) -> list[PemFile]:
    return [PemFile("web.config.file", "", place="web.yml", text=Path(file).read_text()) for file in files]


class TestWhatTheFileSays:
    """More than the flags can say."""

    async def test_certificate_key_and_authorities_may_be_in_the_file_itself(
        self, shake: Shake, certificates: Certificates
    ) -> None:
        cert, key, authority = inline(certificates.server, certificates.server_key, certificates.ca)
        serving = ServerContext(ServerTls(cert, key, authority, asks_clients=True))
        await shake(serving, client_of(certificates, shown=True))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shake(serving, client_of(certificates))
        assert {file.place for file in serving.expiries} == {"web.yml"}

    @pytest.mark.parametrize("part", [0, 1, 2])
    def test_a_text_that_is_none_is_refused_without_its_bytes(
        self, certificates: Certificates, part: int
    ) -> None:
        found = inline(certificates.server, certificates.server_key, certificates.ca)
        found[part] = dataclasses.replace(found[part], text="-----BEGIN s3cret é-----")
        cert, key, authority = found
        with pytest.raises(ConfigError, match=r"web\.yml") as caught:
            ServerContext(ServerTls(cert, key, authority, asks_clients=True))
        assert "s3cret" not in str(caught.value)

    async def test_the_newest_version(self, shake: Shake, certificates: Certificates) -> None:
        settings = dataclasses.replace(settings_of(certificates), max_version="TLS1.2")
        assert (await shake(ServerContext(settings), client_of(certificates)))[1] == "TLSv1.2"

    async def test_a_client_that_shows_nothing_may_be_let_in_but_none_that_shows_a_wrong_one(
        self, shake: Shake, certificates: Certificates
    ) -> None:
        settings = settings_of(certificates, ca_file=certificates.ca)
        serving = ServerContext(dataclasses.replace(settings, clients_may_show_none=True))
        await shake(serving, client_of(certificates))
        await shake(serving, client_of(certificates, shown=True))
        stranger = client_of(certificates)
        stranger.load_cert_chain(certificates.issued, certificates.issued_key)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shake(serving, stranger)

    @pytest.mark.parametrize("own_order", [True, False])
    async def test_ciphers_are_those_and_their_order_is_whose_it_should_be(
        self, certificates: Certificates, own_order: bool
    ) -> None:
        ours = ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256")
        serving = dataclasses.replace(settings_of(certificates), ciphers=ours, has_own_order=own_order)
        client = client_of(certificates, ssl.TLSVersion.TLSv1_2)
        client.set_ciphers(":".join(reversed(ours)))
        assert cipher_of(make_context(serving), client) == ours[0 if own_order else 1]

    def test_a_client_without_such_a_cipher_is_refused(self, certificates: Certificates) -> None:
        serving = dataclasses.replace(settings_of(certificates), ciphers=("ECDHE-ECDSA-AES256-GCM-SHA384",))
        client = client_of(certificates, ssl.TLSVersion.TLSv1_2)
        client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with pytest.raises((ssl.SSLError, OSError)):
            cipher_of(make_context(serving), client)

    def test_ciphers_of_tls_1_3_alone_leave_no_older_version(self, certificates: Certificates) -> None:
        context = make_context(dataclasses.replace(settings_of(certificates), ciphers=()))
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3

    @pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", "secp521r1", "X25519"])
    def test_one_curve(self, certificates: Certificates, curve: str) -> None:
        context = make_context(dataclasses.replace(settings_of(certificates), curve=curve))
        assert cipher_of(context, client_of(certificates))
        other = client_of(certificates)
        other.set_ecdh_curve("secp384r1" if curve != "secp384r1" else "prime256v1")
        with pytest.raises((ssl.SSLError, OSError)):
            cipher_of(context, other)

    @pytest.mark.parametrize(
        ("name", "is_let_in"),
        [
            ("localhost", True),
            ("redis.test", True),
            ("127.0.0.1", True),
            ("LOCALHOST", False),
            ("other", False),
        ],
    )
    async def test_a_certificate_has_to_be_for_an_allowed_name(
        self, certificates: Certificates, name: str, is_let_in: bool
    ) -> None:
        settings = settings_of(certificates, ca_file=certificates.issuing_ca)
        tls = ServerContext(dataclasses.replace(settings, client_names=frozenset({name, "nobody"})))
        client = client_of(certificates)
        client.load_cert_chain(certificates.issued, certificates.issued_key)
        async with Door(admission=EntranceRules(tls=tls)) as door:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", door.port, ssl=client, server_hostname="localhost"
            )
            writer.write(GET)
            try:
                found = await asyncio.wait_for(reader.read(12), PATIENCE_S)
            except ConnectionError:
                found = b""
            writer.transport.abort()
            assert found == (b"HTTP/1.1 200" if is_let_in else b"")
            assert (door.count("certificate_name"), door.answered) == ((0, 1) if is_let_in else (1, 0))


def test_a_certificate_is_for_hosts_addresses_mail_and_uris() -> None:
    certificate = {
        "subject": ((("commonName", "not this one"),),),
        "subjectAltName": (
            ("DNS", "prometheus.example"),
            ("IP Address", "10.0.0.1"),
            ("IP Address", "0:0:0:0:0:0:0:1\n"),
            ("IP Address", "<invalid>"),
            ("email", "ops@example"),
            ("URI", "spiffe://example/prometheus"),
            ("DirName", ((("commonName", "nor this"),),)),
        ),
    }
    assert list(names_of(certificate)) == [
        "prometheus.example", "10.0.0.1", "::1", "ops@example", "spiffe://example/prometheus"
    ]  # fmt: skip
    assert list(names_of({})) == []


def cipher_of(serving: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """The cipher of a connection between the two."""
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as pool, ours, theirs:
        server = pool.submit(_greet, serving, ours)
        try:
            with client.wrap_socket(theirs) as connection:
                assert connection.recv(5) == b"hello"
                cipher = connection.cipher()
        finally:
            theirs.close()
            server.exception(PATIENCE_S)
    assert cipher is not None
    return cipher[0]
