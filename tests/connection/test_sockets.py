"""Connected sockets: made without any look-up, closed when they are given up."""

from __future__ import annotations

import asyncio
import errno
import socket
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from bench.ports import free_port
from exporter.connection.dialer import Dialer
from exporter.connection.sockets import connect_address, connect_path
from exporter.targets.target import Target
from tests.open_files import open_files
from tests.servers import HOST, PATIENCE_S, Conversation, FullServer, ScriptedServer, answers

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


async def test_connects_to_a_numeric_address(scripted_server: Callable[..., ScriptedServer]) -> None:
    server = scripted_server(Conversation.silence)
    with await connect_address(HOST, server.port) as sock:
        assert sock.getpeername() == (HOST, server.port)


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system has no such times")
async def test_a_peer_that_is_gone_is_noticed_within_a_minute(
    scripted_server: Callable[..., ScriptedServer],
) -> None:
    """By the kernel: nobody sends anything over a connection that waits for its next turn."""
    server = scripted_server(Conversation.silence)
    with await connect_address(HOST, server.port) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle, apart, probes = (
            sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
    assert idle + apart * probes <= 60


async def test_a_refusal_is_an_error_and_nothing_stays_open() -> None:
    port = free_port()  # the first one takes a socket of its own
    before = open_files("socket")
    with pytest.raises(ConnectionRefusedError):
        await connect_address(HOST, port)
    assert not open_files("socket") - before


async def test_a_connect_that_is_given_up_leaves_nothing_open(full_server: FullServer) -> None:
    before = open_files("socket")
    connecting = asyncio.create_task(connect_address(HOST, full_server.port))
    await asyncio.sleep(0.05)
    assert not connecting.done()
    assert (open_files("socket") - before).total() == 1
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert not open_files("socket") - before


async def test_a_name_is_not_looked_up() -> None:
    with pytest.raises(socket.gaierror):
        await connect_address("localhost", free_port())


async def test_a_unix_socket_whose_queue_is_full_is_waited_for() -> None:
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        path = f"{directory}/s"
        listener.bind(path)
        listener.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(path)
        connecting = asyncio.create_task(connect_path(path))
        await asyncio.sleep(0.05)
        assert not connecting.done()
        listener.setblocking(False)
        accepted = []
        while not connecting.done():
            try:
                accepted.append(listener.accept()[0])
            except BlockingIOError:
                await asyncio.sleep(0.01)
        (await connecting).close()
        for each in (*waiting, *accepted):
            each.close()


class NoPort(socket.socket):
    """As the kernel answers where no local port is left."""

    def connect_ex(self, address: Any) -> int:
        return errno.EAGAIN


async def test_a_connect_for_which_the_system_has_no_resources_fails_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "socket", NoPort)
    before = open_files("socket")
    with pytest.raises(BlockingIOError):
        await asyncio.wait_for(connect_address(HOST, 1), PATIENCE_S)
    assert not open_files("socket") - before


async def test_a_whole_dial_asks_no_resolver(
    scripted_server: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither ours nor the event loop's, whose pool a few names that hang can fill."""

    async def ask(*args: Any, **more: Any) -> Any:
        raise AssertionError("a resolver was asked")

    loop = asyncio.get_running_loop()
    if (
        type(loop).__module__ != "uvloop"
    ):  # that of uvloop cannot be replaced; the whole-process test has hanging names
        monkeypatch.setattr(loop, "getaddrinfo", ask)
    monkeypatch.setattr("exporter.connection.resolver.Resolver._begin", ask)
    server = scripted_server(answers(b"+OK\r\n"))
    link = await Dialer().dial(
        Target("redis://h:1", "redis", HOST, server.port, "", 0), asyncio.get_running_loop().time() + 20
    )
    link.close()
