"""The TLS side of connections to servers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from weakref import WeakKeyDictionary

from exporter.connection.settings import DialSettings
from exporter.errors import ConfigError
from exporter.pem_files import FreshContext, PemFile, load_authorities, load_pair, trust_each

#: how long a dial waits for a check of the files
LOOK_S = 1.0
#: received at once in a handshake
HANDSHAKE_BYTES = 16384

#: of each loop: where its connections put what has come, for SSL to take. It is empty whenever others run.
_incoming: WeakKeyDictionary[asyncio.AbstractEventLoop, ssl.MemoryBIO] = WeakKeyDictionary()


def client_context(settings: DialSettings) -> FreshContext:
    """What `settings` say about TLS. Raises ConfigError for a file that cannot be used."""
    ca = PemFile("tls-ca-cert-file", settings.ca_file, of_authorities=True)
    cert = PemFile("tls-client-cert-file", settings.cert_file)
    key = PemFile("tls-client-key-file", settings.key_file)
    if bool(key.name) != bool(cert.name):
        raise ConfigError(
            f"{key if key.name else cert} is set alone: set --tls-client-cert-file and --tls-client-key-file"
        )

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # Debian's Python leaves that to a file of OpenSSL
        context.options |= ssl.OP_NO_RENEGOTIATION  # a server could ask for handshakes without an end
        trust_each(context)
        _take_short_keys(context)
        max_bytes = settings.file_limits.max_bytes
        if ca.name:  # only these are trusted, not the system's too
            load_authorities(context, ca, max_bytes)
        else:
            context.load_default_certs()
        if cert.name:
            load_pair(context, cert, key, max_bytes)
        if settings.skip_verification:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    return FreshContext([file for file in (ca, cert, key) if file.name], make, settings.file_limits)


def _take_short_keys(context: ssl.SSLContext) -> None:
    """Trust RSA keys of 1,024 bits too, as other programs do: Python's level 2 wants 2,048. Signatures with
    SHA-1 stay refused, and the ciphers stay as they are."""
    ciphers = [str(each["name"]) for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
    context.set_ciphers(":".join([*ciphers, "@SECLEVEL=1"]))


class ClientHandshake:
    """TLS that begins over a connected socket. `session` reads from `incoming`, which all connections of the
    running event loop share, and writes to `outgoing`."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.incoming = _incoming.setdefault(self._loop, ssl.MemoryBIO())
        self.outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name or None)

    async def run(self, sock: socket.socket) -> bytes:
        """What came after it, still encrypted. Raises OSError."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its end and the first command are small
        came = b""
        while True:
            try:
                has_ended, rest = self._step(came)
            except ssl.SSLError:
                with suppress(OSError):
                    sock.send(self.outgoing.read())  # why, for the log of the server
                raise
            if self.outgoing.pending:
                await self._loop.sock_sendall(sock, self.outgoing.read())
            if has_ended:
                return rest
            came = await self._loop.sock_recv(sock, HANDSHAKE_BYTES)
            if not came:
                raise ConnectionResetError("the server closed the connection")

    def _step(self, came: bytes) -> tuple[bool, bytes]:
        """Whether the handshake has ended, and what has come that is no part of it."""
        has_ended = True
        self.incoming.write(came)
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            has_ended = False
        finally:
            rest = self.incoming.read()
        return has_ended, rest
