"""HTTPS of the exporter's own endpoint."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import ssl
import time
import warnings
from dataclasses import dataclass

from exporter import files
from exporter.errors import ConfigError

VERSIONS = {
    "TLS1.0": ssl.TLSVersion.TLSv1,
    "TLS1.1": ssl.TLSVersion.TLSv1_1,
    "TLS1.2": ssl.TLSVersion.TLSv1_2,
    "TLS1.3": ssl.TLSVersion.TLSv1_3,
}

#: how long a handshake waits for a look at the files, and how long what it found is good
LOOK_S, LOOK_EVERY_S = 0.03, 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What to serve HTTPS with. With `ca_file` a client must show a certificate that one of those
    authorities has signed."""

    cert_file: str
    key_file: str
    ca_file: str = ""
    min_version: str = "TLS1.2"
    limits: files.FileLimits = files.DEFAULT


class ServerContext:
    """`context` serves. `freshen` comes before each handshake: it looks at the files, at most once in
    `LOOK_EVERY_S`, and reads all of them again when one has changed: in a thread, for a share may hang. The
    loop goes on meanwhile. The handshake waits for `LOOK_S`, and goes on with the files there were.

    A ConfigError names a file that cannot be used at the start; later on such files are left for the ones
    there were.
    """

    def __init__(self, settings: ServerTls) -> None:
        self._settings = settings
        self._read, self._newest = _fetch(settings)
        self.context = self._newest
        self._look: asyncio.Future[None] | None = None
        self._looked_at = -math.inf
        self.context.sni_callback = (
            self._before_handshake
        )  # asked at every handshake, with a server name or without

    def _look_again(self) -> None:
        """Take up files that have changed. Runs in a thread, once at a time."""
        stamps = _stamps(self._settings)
        if stamps and stamps != self._read:
            self._read = stamps
            try:
                self._newest = make_context(self._settings)
                log.info("the certificate %s was read again", self._settings.cert_file)
            except ConfigError as error:
                log.warning("%s: what was read before is kept", error)

    async def freshen(self) -> None:
        """Look at the files if nobody did so lately; who comes meanwhile waits for the same look."""
        now = time.monotonic()
        is_over = (
            self._look is None or self._look.done()
        )  # one that hangs is waited for when it began, and no second one begun
        if is_over and now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            try:
                self._look = asyncio.wrap_future(files.start(self._look_again))
            except files.FileError:
                return
        rest_s = self._looked_at + LOOK_S - now
        if self._look is not None and not self._look.done() and rest_s > 0:
            await asyncio.wait([self._look], timeout=rest_s)

    def _before_handshake(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        """The handshake is under way: this gives it the files of another context, not its versions."""
        if self._newest is not self.context:
            connection.context = self._newest


def _stamps(settings: ServerTls) -> tuple[tuple[int, int, int], ...]:
    """Of each file what changes when it is replaced; nothing while one is missing."""
    try:
        found = [os.stat(file) for file in (settings.cert_file, settings.key_file, settings.ca_file) if file]
    except OSError:
        return ()
    return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found)


def _fetch(settings: ServerTls) -> tuple[tuple[tuple[int, int, int], ...], ssl.SSLContext]:
    """What the files are like, and the context that they make. ConfigError for a file that cannot be used."""
    try:
        return files.within(lambda: (_stamps(settings), make_context(settings)), settings.limits.timeout_s)
    except files.FileError as error:
        raise ConfigError(
            f"--tls-server-cert-file={settings.cert_file} and the files beside it cannot be read: {error}"
        ) from None


def make_context(settings: ServerTls) -> ssl.SSLContext:
    """ConfigError for a file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # whoever asks for an old version knows
        context.minimum_version = VERSIONS[settings.min_version]
    if settings.min_version in ("TLS1.0", "TLS1.1"):
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # OpenSSL 3 serves them at no other level
    _load_own(context, settings)
    if settings.ca_file:
        _load_authorities(context, settings.ca_file, settings.limits.max_bytes)
    return context


def _load_own(context: ssl.SSLContext, settings: ServerTls) -> None:
    cert, key = f"--tls-server-cert-file={settings.cert_file}", f"--tls-server-key-file={settings.key_file}"

    def refuse() -> str:
        raise ConfigError(f"{key} is encrypted: write a key without a password")

    for flag, file in ((cert, settings.cert_file), (key, settings.key_file)):
        try:
            files.read(
                file, settings.limits.max_bytes
            )  # OpenSSL would wait for a FIFO, and read a device without an end
        except files.FileError as error:
            raise ConfigError(f"{flag} cannot be read: {error}") from None
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file, password=refuse)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{cert} and {key} cannot be used: {_why(error)}") from None


def _load_authorities(context: ssl.SSLContext, file: str, max_bytes: int) -> None:
    try:
        files.read(file, max_bytes)
        context.load_verify_locations(file)
    except files.FileError as error:
        raise ConfigError(f"--tls-server-ca-cert-file={file} cannot be used: {error}") from None
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--tls-server-ca-cert-file={file} cannot be used: {_why(error)}") from None
    context.verify_mode = ssl.CERT_REQUIRED
    # a session that is taken up again shows no certificate, and would outlive the authority that signed it
    context.options |= ssl.OP_NO_TICKET


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM form").replace("_", " ").lower()
    return error.strerror or str(error)
