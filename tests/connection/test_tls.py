"""TLS to a server."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter import engine, errors, pem_files
from exporter.connection import burst, dialer
from exporter.connection.dialer import Dialer
from exporter.connection.link import Connection
from exporter.connection.settings import DialSettings
from exporter.connection.tls import ClientHandshake, client_context
from exporter.pem_files import trust_each
from exporter.protocol.command import Command
from exporter.targets.target import Target
from tests.connection.dialling import (
    AMPLE_S,
    PING,
    SCANT_S,
    SECRET,
    RedisFactory,
    ScriptFactory,
    dial,
    eventually,
    needs_tls_server,
    outcome_of,
    refused_dial,
    replies_of,
    target,
)
from tests.servers import PATIENCE_S, Certificates, Conversation, ScriptedServer, answers, make_certificates

pytestmark = [
    pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"]),
    pytest.mark.usefixtures("each_connection_kind"),
]

VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name
)


class TestTls:
    @needs_tls_server
    async def test_verifies_the_server_by_name_and_by_address(
        self, redis_server: RedisFactory, certificates: Certificates
    ) -> None:
        port = redis_server(certificates=certificates).port
        for host in ("localhost", "127.0.0.1"):
            link = await dial(target(port, host, "rediss", db=2), ca_file=certificates.ca)
            assert await replies_of(link, Command.of("ECHO", "x" * 100_000)) == [b"x" * 100_000]
            link.close()

    @needs_tls_server
    async def test_a_server_name_stands_in_for_the_host(
        self, redis_server: RedisFactory, certificates: Certificates
    ) -> None:
        to = target(redis_server(certificates=certificates).port, scheme="valkeys")
        (await dial(to, ca_file=certificates.ca, server_name="redis.test")).close()
        text = await refused_dial(to, errors.TlsError, ca_file=certificates.ca, server_name="other.test")
        assert "other.test" in text
        assert text.endswith("': connect by a name that it has, or write one in --tls-server-name")

    @needs_tls_server
    async def test_an_unknown_ca_is_not_trusted_unless_told(
        self, redis_server: RedisFactory, certificates: Certificates
    ) -> None:
        to = target(redis_server(certificates=certificates).port, scheme="rediss")
        for ca_file in (certificates.other_ca, ""):
            said = await refused_dial(to, errors.TlsError, ca_file=ca_file)
            assert "cannot be trusted" in said
            assert said.endswith(": name its authority in --tls-ca-cert-file")
        (await dial(to, skip_verification=True)).close()

    @needs_tls_server
    async def test_client_certificate(self, redis_server: RedisFactory, certificates: Certificates) -> None:
        to = target(
            redis_server("--tls-auth-clients", "yes", certificates=certificates).port, scheme="rediss"
        )
        (
            await dial(
                to, ca_file=certificates.ca, cert_file=certificates.client, key_file=certificates.client_key
            )
        ).close()
        # TLS 1.3 refuses after the handshake: the alert, or a reset that overtakes it.
        with pytest.raises((errors.TlsError, errors.ResetError), match="--tls-client-cert-file"):
            await dial(to, ca_file=certificates.ca)

    @pytest.mark.usefixtures("connects_in_time")
    async def test_at_a_port_that_speaks_none(
        self, redis_server: RedisFactory, scripted_server: ScriptFactory
    ) -> None:
        # Redis waits for the end of a line that does not come.
        text = await refused_dial(target(redis_server().port, scheme="rediss"), errors.DeadlineError, SCANT_S)
        assert "does this port speak TLS?" in text

        def answer_in_clear(talk: Conversation) -> None:
            talk.receive()
            talk.send(b"-ERR unknown command\r\n")
            talk.silence()

        assert "not speak TLS" in await refused_dial(
            target(scripted_server(answer_in_clear).port, scheme="rediss"), errors.TlsError
        )

        def hang_up(talk: Conversation) -> None:
            talk.receive()

        assert "not speak TLS" in await refused_dial(
            target(scripted_server(hang_up).port, scheme="rediss"), errors.ResetError
        )

    @needs_tls_server
    async def test_a_plain_dial_to_a_tls_port(
        self, redis_server: RedisFactory, scripted_server: ScriptFactory, certificates: Certificates
    ) -> None:
        to = target(redis_server(certificates=certificates).port, password=SECRET)
        said = await refused_dial(to, errors.ResetError)  # Redis 7.0 hangs up without a word
        assert "it may want TLS at this port (rediss:// or valkeys://), or be a proxy" in said
        alert = scripted_server(answers(b"\x15\x03\x03\x00\x02\x02\x46"))
        assert "speaks TLS" in await refused_dial(target(alert.port), errors.TlsError)

    @needs_tls_server
    @pytest.mark.parametrize("anchor", ["issuing_ca", "issued"])
    async def test_every_certificate_of_the_file_is_an_anchor(
        self, redis_server: RedisFactory, certificates: Certificates, anchor: str
    ) -> None:
        """An issuing authority that is not self-signed, or the server's own certificate."""
        shown = replace(certificates, server=certificates.issued, server_key=certificates.issued_key)
        to = target(tls_port(redis_server, shown), "localhost", "rediss")
        (await dial(to, ca_file=getattr(certificates, anchor))).close()
        # the root alone is not enough: the server does not show the authority between
        assert "cannot be trusted" in await refused_dial(to, errors.TlsError, ca_file=certificates.ca)
        text = await refused_dial(
            to, errors.TlsError, ca_file=getattr(certificates, anchor), server_name="other.test"
        )
        assert "other.test" in text
        assert text.endswith("': connect by a name that it has, or write one in --tls-server-name")

    @needs_tls_server
    async def test_an_authority_without_the_usual_extensions_is_trusted(
        self, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        """Python 3.13 asks for those: the same chain must not fail there."""
        plain = make_certificates(tmp_path, "plain_ca")
        to = target(tls_port(redis_server, plain), "localhost", "rediss")
        dialer = Dialer(DialSettings(ca_file=plain.ca))
        (await dial_by(dialer, to)).close()
        context = dialer._plan.context_of(dialer.settings_of(to))
        context.newest.verify_flags |= ssl.VERIFY_X509_STRICT
        with pytest.raises(errors.TlsError, match="not marked critical"):
            await dial_by(dialer, to)
        trust_each(context.newest)
        (await dial_by(dialer, to)).close()

    @pytest.mark.parametrize("name", ["", "localhost..", "redis.test."])
    async def test_a_trailing_dot_of_a_name_stays_out_of_tls(
        self, certificates: Certificates, name: str
    ) -> None:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certificates.server, certificates.server_key)
        asked: list[str | None] = []
        serving.sni_callback = lambda connection, name, context: asked.append(name)
        server = await asyncio.start_server(
            lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=serving
        )
        async with server:
            to = target(server.sockets[0].getsockname()[1], "localhost.", "rediss")
            settings = DialSettings(set_client_name=False, ca_file=certificates.ca, server_name=name)
            deadline = time.monotonic() + AMPLE_S
            (await Dialer(settings).dial(to, deadline, addresses=["127.0.0.1"])).close()
        assert asked == [name.rstrip(".") or "localhost"]

    async def test_only_the_given_cas_are_trusted(self, certificates: Certificates) -> None:
        context = client_context(DialSettings(ca_file=certificates.ca)).newest
        assert context.cert_store_stats()["x509_ca"] == 1

    @pytest.mark.parametrize(
        ("files", "part"),
        [
            (
                {"ca_file": "/nonexistent/ca.pem"},
                "^--tls-ca-cert-file=/nonexistent/ca.pem cannot be read: No such file",
            ),
            (
                {"cert_file": "/nonexistent/client.pem", "key_file": "/nonexistent/key.pem"},
                "^--tls-client-cert-file=/nonexistent/client.pem cannot be read: No such file",
            ),
            (
                {"key_file": "key.pem"},
                "^--tls-client-key-file=key.pem is set alone: set --tls-client-cert-file",
            ),
            (
                {"cert_file": "c.pem"},
                "^--tls-client-cert-file=c.pem is set alone: set .*--tls-client-key-file",
            ),
        ],
    )
    async def test_files_that_cannot_be_used_are_the_operators_mistake(
        self, files: dict[str, str], part: str
    ) -> None:
        with pytest.raises(errors.ConfigError, match=part):
            client_context(DialSettings(**files))  # type: ignore[arg-type]

    async def test_a_file_with_something_else_in_it(self, certificates: Certificates) -> None:
        with pytest.raises(errors.ConfigError, match="cannot be used"):
            client_context(DialSettings(ca_file=certificates.client_key))
        with pytest.raises(errors.ConfigError, match="the key does not fit the certificate"):
            client_context(DialSettings(cert_file=certificates.client, key_file=certificates.server_key))


class TestRecords:
    """What comes of them, and when."""

    @VERSIONS
    async def test_each_byte_may_come_alone(
        self, scripted_server: ScriptFactory, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        def script(talk: Conversation) -> None:
            end = SecretEnd(talk, certificates, version, piece_bytes=1)
            for _ in range(2):
                end.do(end.session.read, 100)
                end.do(end.session.write, b"+PONG\r\n")
            talk.silence()

        link = await secret_link(scripted_server(script), certificates)
        for _ in range(2):
            assert await replies_of(link, PING) == [b"PONG"]
        assert link.traffic.received == 2 * len(b"+PONG\r\n")
        link.close()

    @VERSIONS
    async def test_an_end_by_a_word_is_seen_while_it_is_idle(
        self, scripted_server: ScriptFactory, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        def script(talk: Conversation) -> None:
            end = SecretEnd(talk, certificates, version)
            end.do(end.session.read, 100)
            end.do(end.session.write, b"+PONG\r\n")
            with suppress(ssl.SSLWantReadError):
                end.session.unwrap()
            end.flush()
            talk.silence()  # the socket stays open

        link = await secret_link(scripted_server(script), certificates)
        assert await replies_of(link, PING) == [b"PONG"]
        await eventually(lambda: link.closed, "the link noticed")
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.ResetError
        assert str(outcome).endswith("the server closed the idle connection")
        assert not link.began_reply

    @VERSIONS
    async def test_what_is_no_record_ends_it(
        self, scripted_server: ScriptFactory, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        def script(talk: Conversation) -> None:
            end = SecretEnd(talk, certificates, version)
            end.do(end.session.read, 100)
            end.do(end.session.write, b"$100\r\nabc")
            talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            talk.silence()

        link = await secret_link(scripted_server(script), certificates)
        outcome = await outcome_of(link, PING)
        assert type(outcome) is errors.TlsError
        assert str(outcome).endswith("TLS failed: wrong version number: this port does not speak TLS")
        assert link.closed

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("K", "KeyUpdate"),
            ("k", "KeyUpdate"),
        ],
        ids=["key update that is asked back", "key update"],
    )
    async def test_keys_may_change_in_the_middle(
        self, certificates: Certificates, change: str, said: str
    ) -> None:
        server = OpenSslServer(certificates, "-tls1_3")
        try:
            await asyncio.to_thread(server.wait_for, "ACCEPT")
            link = await secret_link(server, certificates)
            for number in range(3):
                asking = asyncio.create_task(replies_of(link, Command.of(f"PING{number}")))
                await asyncio.to_thread(server.wait_for, f"PING{number}")
                server.write(change)
                await asyncio.to_thread(server.wait_for, said)
                server.write(f"+PONG{number}")
                assert await asking == [b"PONG%d" % number]
            link.close()
        finally:
            server.close()

    async def test_no_handshake_follows_the_first_one(self, certificates: Certificates) -> None:
        """A server could ask for them without an end, and each costs as much as the first."""
        server = OpenSslServer(certificates, "-tls1_2")
        try:
            await asyncio.to_thread(server.wait_for, "ACCEPT")
            link = await secret_link(server, certificates)
            asking = asyncio.create_task(outcome_of(link, PING))
            await asyncio.to_thread(server.wait_for, "PING")
            server.write("R")
            await asyncio.to_thread(server.wait_for, "no_renegotiation")
            assert type(await asking) is errors.TlsError  # this server ends it then
            assert link.closed
        finally:
            server.close()


@pytest.mark.skipif(not engine.EPOLL, reason="this system has no epoll")
async def test_what_comes_with_the_end_of_the_handshake_is_read(
    scripted_server: ScriptFactory, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop reads it with what comes next."""
    monkeypatch.setattr(dialer, "CORE", True)

    def script(talk: Conversation) -> None:
        end = SecretEnd(talk, certificates, ssl.TLSVersion.TLSv1_2)
        end.do(end.session.do_handshake, flush=False)
        end.do(end.session.write, b"-ERR max number of clients reached\r\n")
        talk.silence()

    link = await secret_link(scripted_server(script), certificates)
    assert type(await outcome_of(link, PING)) is errors.MaxClientsError


@pytest.mark.skipif(not engine.EPOLL, reason="this system has no epoll")
async def test_no_connection_has_a_memory_of_its_own_for_what_has_come(
    scripted_server: ScriptFactory, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ClientHandshake] = []

    def note(context: ssl.SSLContext, name: str) -> ClientHandshake:
        made.append(ClientHandshake(context, name))
        return made[-1]

    monkeypatch.setattr(burst, "ClientHandshake", note)
    monkeypatch.setattr(dialer, "CORE", True)

    def script(talk: Conversation) -> None:
        end = SecretEnd(talk, certificates, ssl.TLSVersion.TLSv1_3)
        end.do(end.session.read, 100)
        end.do(end.session.write, b"$60000\r\n" + b"x" * 60_000 + b"\r\n")
        talk.silence()

    server = scripted_server(script)
    links = [await secret_link(server, certificates) for _ in range(3)]
    for link in links:
        assert await replies_of(link, PING) == [b"x" * 60_000]
    assert len({id(each.incoming) for each in made}) == 1
    assert made[0].incoming.pending == 0
    for link in links:
        link.close()


class SecretEnd:
    """The server's end of TLS, with each record in hand."""

    def __init__(
        self,
        talk: Conversation,
        certificates: Certificates,
        version: ssl.TLSVersion,
        piece_bytes: int = 65536,
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server, certificates.server_key)
        context.minimum_version = context.maximum_version = version
        self._talk = talk
        self._piece_bytes = piece_bytes
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def do(self, step: Callable[..., object], *args: object, flush: bool = True) -> None:
        """Take a step of the session, the handshake before it too."""
        while True:
            try:
                step(*args)
            except ssl.SSLWantReadError:
                self.flush()
                self._incoming.write(self._talk.receive())
            else:
                break
        if flush:
            self.flush()

    def flush(self) -> None:
        data = self._outgoing.read()
        for at in range(0, len(data), self._piece_bytes):
            self._talk.send(data[at : at + self._piece_bytes])


class OpenSslServer:
    """`openssl s_server`: lines that are written to it go to the client, or change the keys."""

    def __init__(self, certificates: Certificates, version: str) -> None:
        self.port = free_port()
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", version, "-crlf", "-msg"]
        command += ["-cert", certificates.server, "-key", certificates.server_key]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._said = b""

    def wait_for(self, text: str) -> None:
        assert self._process.stdout is not None
        while text.encode() not in self._said:
            is_there, _, _ = select.select([self._process.stdout], [], [], AMPLE_S)
            piece = os.read(self._process.stdout.fileno(), 65536) if is_there else b""
            assert piece, f"it says no {text!r}: {self._said!r}"
            self._said += piece
        self._said = self._said.partition(text.encode())[2]

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


async def secret_link(server: ScriptedServer | OpenSslServer, certificates: Certificates) -> Connection:
    """A link that sent nothing yet."""
    return await dial(target(server.port, scheme="rediss"), ca_file=certificates.ca, set_client_name=False)


@needs_tls_server
class TestRenewal:
    """The files of a target change while the exporter runs."""

    @pytest.fixture(autouse=True)
    def looks_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pem_files, "LOOK_EVERY_S", 0.0)
        monkeypatch.setattr("exporter.connection.dialer.LOOK_S", PATIENCE_S)

    async def test_the_next_dial_uses_the_new_files(self, redis_server: RedisFactory, tmp_path: Path) -> None:
        old, new, live = generations(tmp_path)
        copy(old, live)
        dialer = Dialer(live_settings(live))
        to = target(tls_port(redis_server, old, "--tls-auth-clients", "yes"), scheme="rediss")
        after = target(tls_port(redis_server, new, "--tls-auth-clients", "yes"), scheme="rediss")
        (await dial_by(dialer, to)).close()
        with pytest.raises(errors.TlsError):
            await dial_by(dialer, after)
        copy(new, live)
        (await dial_by(dialer, after)).close()
        with pytest.raises(errors.TlsError):
            await dial_by(dialer, to)

    async def test_half_of_a_pair_keeps_the_old_one_and_is_told_once(
        self, redis_server: RedisFactory, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "exporter.pem_files")
        old, new, live = generations(tmp_path)
        copy(old, live)
        dialer = Dialer(live_settings(live))
        to = target(tls_port(redis_server, old, "--tls-auth-clients", "yes"), scheme="rediss")
        after = target(tls_port(redis_server, new, "--tls-auth-clients", "yes"), scheme="rediss")
        (await dial_by(dialer, to)).close()
        shutil.copy(new.client, live.client)
        for _ in range(3):
            (await dial_by(dialer, to)).close()
        [line] = caplog.records
        assert line.message == "the files that were read before stay in use"
        why = f"--tls-client-key-file={live.client_key} cannot be used: the key does not fit the certificate"
        assert vars(line)["err"].endswith(why)
        copy(new, live)
        (await dial_by(dialer, after)).close()
        assert caplog.messages[1:] == [f"read again: {live.ca}, {live.client}, {live.client_key}"]

    async def test_a_file_that_is_gone_keeps_what_was_read(
        self, redis_server: RedisFactory, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        old, _, live = generations(tmp_path)
        copy(old, live)
        dialer = Dialer(live_settings(live))
        to = target(tls_port(redis_server, old), scheme="rediss")
        (await dial_by(dialer, to)).close()
        Path(live.ca).unlink()
        for _ in range(2):
            (await dial_by(dialer, to)).close()
        [line] = caplog.records
        why = f"--tls-ca-cert-file={live.ca} cannot be read: No such file or directory"
        assert vars(line)["err"] == why

    async def test_a_check_that_hangs_leaves_the_dial_most_of_its_time(
        self, redis_server: RedisFactory, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dialer = Dialer(DialSettings(ca_file=certificates.ca))
        to = target(tls_port(redis_server, certificates), scheme="rediss")
        (await dial_by(dialer, to)).close()
        may_end, stamps = threading.Event(), pem_files._stamps
        monkeypatch.setattr(pem_files, "_stamps", lambda names: may_end.wait(AMPLE_S) and stamps(names))
        try:
            for _ in range(2):
                (await dial_by(dialer, to, within_s=4.0)).close()
        finally:
            may_end.set()


async def dial_by(dialer: Dialer, to: Target, within_s: float = AMPLE_S) -> Connection:
    return await dialer.dial(to, time.monotonic() + within_s)


def tls_port(redis_server: RedisFactory, certificates: Certificates, *args: str) -> int:
    """Of a server that is not asked before it is dialled: it may trust others than its own client."""
    port: int = redis_server(*args, certificates=certificates).port
    return port


def generations(directory: Path) -> tuple[Certificates, Certificates, Certificates]:
    """Old files, new ones, and the names of those in use."""
    made = []
    for name in ("old", "new"):
        (directory / name).mkdir()
        made.append(make_certificates(directory / name))
    old, new = made
    (directory / "live").mkdir()
    names = {field.name: str(directory / "live" / field.name) for field in fields(old)}
    return old, new, Certificates(**names)


def copy(made: Certificates, live: Certificates) -> None:
    for name in ("ca", "client", "client_key"):
        shutil.copy(getattr(made, name), getattr(live, name))


def live_settings(live: Certificates) -> DialSettings:
    return DialSettings(ca_file=live.ca, cert_file=live.client, key_file=live.client_key)


@pytest.mark.parametrize(
    ("bits", "digest", "refusal"),
    [
        (2048, "sha256", ""),
        (1024, "sha256", ""),
        (768, "sha256", "key too weak"),
        (2048, "sha1", "digest algorithm too weak"),
    ],
)
async def test_short_keys_are_trusted_as_far_as_other_programs_do(
    tmp_path: Path, bits: int, digest: str, refusal: str
) -> None:
    ca, ca_key, cert, key = (str(tmp_path / name) for name in ("ca", "ca.key", "cert", "key"))
    named = ["-subj", "/CN=old.test", "-addext", "subjectAltName=DNS:old.test", "-nodes", "-days", "2"]
    made = ["openssl", "req", "-x509", "-newkey"]
    for command in (
        [*made, "rsa:2048", "-keyout", ca_key, "-out", ca, *named],
        [
            *made,
            f"rsa:{bits}",
            "-keyout",
            key,
            "-out",
            cert,
            *named,
            f"-{digest}",
            "-CA",
            ca,
            "-CAkey",
            ca_key,
        ],
    ):
        subprocess.run(command, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    server.load_cert_chain(cert, key)
    client = client_context(DialSettings(ca_file=ca)).newest
    assert client.get_ciphers() == ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).get_ciphers()
    if not refusal:
        shake_hands(server, client)
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match=refusal):
            shake_hands(server, client)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """In memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname="old.test"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for side in sides * 3:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert sides[0].version() is not None
