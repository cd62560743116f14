"""TLS to a server."""

from __future__ import annotations

import ssl

import pytest

from exporter import errors
from exporter.connection.dialer import Dialer
from exporter.connection.settings import DialSettings
from exporter.protocol.command import Command
from tests.connection.dialling import (
    SCANT_S,
    SECRET,
    RedisFactory,
    ScriptFactory,
    dial,
    needs_tls_server,
    refused_dial,
    replies_of,
    target,
)
from tests.servers import Certificates, Conversation, answers

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


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

    @needs_tls_server
    async def test_an_unknown_ca_is_not_trusted_unless_told(
        self, redis_server: RedisFactory, certificates: Certificates
    ) -> None:
        to = target(redis_server(certificates=certificates).port, scheme="rediss")
        assert "cannot be trusted" in await refused_dial(to, errors.TlsError, ca_file=certificates.other_ca)
        assert "cannot be trusted" in await refused_dial(to, errors.TlsError)
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
        with pytest.raises((errors.TlsError, errors.ResetError), match="certificate"):
            await dial(to, ca_file=certificates.ca)

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
        assert "may want TLS" in await refused_dial(
            to, errors.ResetError
        )  # Redis 7.0 hangs up without a word
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
    async def test_files_that_cannot_be_used_are_the_operators_mistake(
        self, files: dict[str, str], part: str
    ) -> None:
        with pytest.raises(errors.ConfigError, match=part):
            _ = Dialer(DialSettings(**files)).context  # type: ignore[arg-type]

    async def test_a_file_with_something_else_in_it(self, certificates: Certificates) -> None:
        with pytest.raises(errors.ConfigError, match="cannot be used"):
            _ = Dialer(DialSettings(ca_file=certificates.client_key)).context
        with pytest.raises(errors.ConfigError, match="key values mismatch"):
            _ = Dialer(DialSettings(cert_file=certificates.client, key_file=certificates.server_key)).context
