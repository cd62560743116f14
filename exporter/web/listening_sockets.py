"""The sockets that clients come to: of a host and port, of a file, or those that systemd opened."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence

from exporter.errors import ConfigError
from exporter.options.values import FD, UNIX, split_listen_address
from exporter.systemd import given_sockets


class ListeningSockets:
    """The sockets of one address, and the file that one of them has. They do not listen yet."""

    def __init__(self, sockets: Sequence[socket.socket], file: str = "") -> None:
        self._sockets = sockets
        self._file = file
        self._inode = os.stat(file).st_ino if file else 0

    def __iter__(self) -> Iterator[socket.socket]:
        return iter(self._sockets)

    def close(self) -> None:
        """Close all, and remove the file unless another program has put its own there."""
        for each in self._sockets:
            each.close()
        if self._file:
            with contextlib.suppress(OSError):
                if os.stat(self._file).st_ino == self._inode:
                    os.unlink(self._file)


async def open_sockets(address: str, environ: Mapping[str, str]) -> ListeningSockets:
    """The sockets of `--web.listen-address`. OSError if it is not free, ValueError if its host is not a name,
    ConfigError if systemd handed none over."""
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX)
        return ListeningSockets([_of_path(path)], path)
    if address.startswith(FD):
        return ListeningSockets(_of_systemd(address, environ))
    return ListeningSockets(await _of_host(*split_listen_address(address)))


async def _of_host(host: str, port: int) -> list[socket.socket]:
    """Sockets on all addresses of a host, on every interface if it is empty. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    bound: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, socket_type, protocol, _, address in dict.fromkeys(found):
            try:
                listening = socket.socket(family, socket_type, protocol)
            except OSError as error:  # for example: this machine has no IPv6
                missing = error
                continue
            bound.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.setblocking(False)
            try:
                listening.bind(address)
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                missing = error
                bound.pop().close()
    except BaseException:
        for listening in bound:
            with contextlib.suppress(OSError):
                listening.close()
        raise
    if not bound:
        raise missing or OSError(errno.EADDRNOTAVAIL, "no such address")
    return bound


def _of_path(path: str) -> socket.socket:
    """A socket with this file. One that a program left behind when it was killed makes room. Raises
    OSError."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        try:
            listening.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_left_behind(path):
                raise
            os.unlink(path)
            listening.bind(path)
    except BaseException:
        listening.close()
        raise
    return listening


def _is_left_behind(path: str) -> bool:
    """Whether nobody listens at a socket's file. Raises OSError if it is no such file."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise FileExistsError(errno.EEXIST, "this file is there already, and it is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED


def _of_systemd(address: str, environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd opened for us, all or those of one name. Raises ConfigError."""
    given, name = given_sockets(environ), address.removeprefix(FD)
    taken = [each for each in given if name in ("", each.name)]
    if not taken:
        names = ", ".join(dict.fromkeys(each.name or "without a name" for each in given))
        raise ConfigError(
            f"--web.listen-address={address}: systemd has handed over no socket"
            + (f" of this name, but these: {names}" if given else "; start the .socket unit of this service")
        )
    sockets: list[socket.socket] = []
    for each in taken:
        try:
            sockets.append(_given(each.descriptor))
        except OSError as error:
            for other in sockets:
                other.close()
            raise ConfigError(
                f"--web.listen-address={address}: the descriptor {each.descriptor} cannot be used: "
                f"{error.strerror}"
            ) from None
    return sockets


def _given(descriptor: int) -> socket.socket:
    """A socket that is open and listens already. Raises OSError."""
    given = socket.socket(fileno=descriptor)
    if given.type != socket.SOCK_STREAM or not given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        given.detach()
        raise OSError(errno.EINVAL, "it does not listen; write ListenStream= and Accept=no")
    given.set_inheritable(False)
    given.setblocking(False)
    return given
