"""Connects sockets to numeric addresses and to paths.

The event loop's own way looks up numeric addresses too, in a small pool of threads that also looks up names:
names that hang would block all connecting. Here only the kernel is asked.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any

KEEPALIVE_IDLE_S = 30
KEEPALIVE_PROBE_S = 10
KEEPALIVE_PROBES = 3
#: how often a unix socket is tried again whose server has no room for connections
BACKLOG_RETRY_S = 0.05

#: not EAGAIN: a TCP socket has no local port or route then, and will never be connected
_UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY)


async def connect_address(address: str, port: int) -> socket.socket:
    """A socket that is connected to a numeric address. Raises OSError. Nothing stays open after an error or a
    cancel."""
    [(family, _, _, _, place), *_] = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )
    return await _connect(family, place)


async def connect_path(path: str) -> socket.socket:
    """The same for the unix socket of a path."""
    return await _connect(socket.AF_UNIX, path)


async def _connect(family: int, place: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            _keep_alive(sock)
        number = sock.connect_ex(place)
        while family == socket.AF_UNIX and number == errno.EAGAIN:  # the server's queue is full
            await asyncio.sleep(BACKLOG_RETRY_S)
            number = sock.connect_ex(place)
        if number in _UNDER_WAY:
            await _wait_writable(sock)
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
    except BaseException:
        sock.close()
        raise
    return sock


async def _wait_writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    writable: asyncio.Future[None] = loop.create_future()
    loop.add_writer(sock.fileno(), lambda: None if writable.done() else writable.set_result(None))
    try:
        await writable
    finally:
        loop.remove_writer(sock.fileno())


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # not on every system
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_PROBE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
