"""Connecting: names, addresses, sockets, deadlines."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter import errors
from exporter.connection.dial_plan import same_for_all
from exporter.connection.dialer import Dialer, _of_all
from exporter.connection.resolver import Resolver
from exporter.connection.settings import DialSettings
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.connection.dialling import (
    AMPLE_S,
    OK,
    PING,
    SCANT_S,
    RedisFactory,
    ScriptFactory,
    dial,
    eventually,
    keepalive_due_s,
    plain_link,
    refused_dial,
    replies_of,
    target,
)
from tests.servers import Certificates, Conversation, answers

pytestmark = [
    pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"]),
    pytest.mark.usefixtures("each_connection_kind"),
]


class TestConnecting:
    async def test_nothing_listens(self) -> None:
        port = free_port()
        assert f"127.0.0.1:{port}" in await refused_dial(target(port), errors.RefusedError)

    async def test_tries_every_address_of_a_name(
        self, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def resolve(host: str, port: int, *, trusted: bool = True) -> tuple[str, ...]:
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

    @pytest.mark.usefixtures("connects_in_time")
    async def test_a_server_that_takes_connections_and_is_silent(self, redis_server: RedisFactory) -> None:
        server = redis_server()
        server.pause()
        assert "no answer before the deadline" in await refused_dial(
            target(server.port), errors.SilenceError, SCANT_S
        )

    @pytest.mark.usefixtures("connects_in_time")
    @pytest.mark.parametrize("scheme", ["redis", "rediss"])
    async def test_a_dial_that_ran_out_of_time_leaves_no_connection(
        self, scripted_server: ScriptFactory, scheme: str
    ) -> None:
        server = scripted_server(Conversation.silence)
        kind = errors.SilenceError if scheme == "redis" else errors.DeadlineError
        await refused_dial(target(server.port, scheme=scheme), kind, SCANT_S)
        await eventually(lambda: server.finished == server.accepted == 1, "the connection is closed")

    @pytest.mark.parametrize("scheme", ["redis", "rediss"])
    async def test_a_dial_that_was_cancelled_leaves_no_connection(
        self, scripted_server: ScriptFactory, scheme: str
    ) -> None:
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
        assert "no such socket" in await refused_dial(
            self.target(directory / "none.sock"), errors.RefusedError
        )
        (directory / "file").touch()
        assert "no server listens" in await refused_dial(self.target(directory / "file"), errors.RefusedError)
        assert "too long" in await refused_dial(self.target(directory / ("x" * 200)), errors.RefusedError)


async def test_other_settings_hold_for_new_connections(
    redis_server: RedisFactory, certificates: Certificates
) -> None:
    server = redis_server(certificates=certificates)
    place = parse_address(f"rediss://localhost:{server.port}")
    dialer = Dialer(DialSettings(ca_file=certificates.other_ca))
    with pytest.raises(errors.TlsError):
        await dialer.dial(place, time.monotonic() + AMPLE_S)
    dialer.change(same_for_all(DialSettings(ca_file=certificates.ca)))
    link = await dialer.dial(place, time.monotonic() + AMPLE_S)
    link.close()
