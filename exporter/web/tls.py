"""HTTPS of the HTTP endpoint."""

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

#: how long a handshake waits for a check of the files, and how long its result is good
LOOK_S, LOOK_EVERY_S = 0.03, 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The settings of HTTPS. With `ca_file`, a client must show a certificate that one of these authorities
    has signed."""

    cert_file: str
    key_file: str
    ca_file: str = ""
    min_version: str = "TLS1.2"
    limits: files.FileLimits = files.DEFAULT


class ServerContext:
    """Serves with `context`. Call `freshen` before each handshake: at most once in `LOOK_EVERY_S` it checks
    the files, and reads all of them again when one has changed. It does so in a thread, because a network
    share may hang. The handshake waits for `LOOK_S` at most, then goes on with the files that were read
    before.

    At start, a ConfigError names a file that cannot be used. Later, the files that were read before stay in
    use.
    """

    def __init__(self, settings: ServerTls) -> None:
        self._settings = settings
        self._read, self._newest = _fetch(settings)
        self.context = self._newest
        self._look: asyncio.Future[None] | None = None
        self._looked_at = -math.inf
        self.context.sni_callback = self._before_handshake  # called at each handshake, also without a name

    def _look_again(self) -> None:
        """Read files that have changed. Runs in a thread, one at a time."""
        stamps = _stamps(self._settings)
        if stamps and stamps != self._read:
            self._read = stamps
            try:
                self._newest = make_context(self._settings)
                log.info("the certificate %s was read again", self._settings.cert_file)
            except ConfigError as error:
                log.warning("the files that were read before stay in use", extra={"err": str(error)})

    async def freshen(self) -> None:
        """Check the files, unless that was done a short time ago; handshakes share one check."""
        now = time.monotonic()
        is_over = self._look is None or self._look.done()  # after one that hangs, no second one begins
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
        """The handshake is running: this gives it the files of the newest context, not its versions."""
        if self._newest is not self.context:
            connection.context = self._newest


def _stamps(settings: ServerTls) -> tuple[tuple[int, int, int], ...]:
    """For each file, what changes when it is replaced; nothing while a file is missing."""
    try:
        found = [os.stat(file) for file in (settings.cert_file, settings.key_file, settings.ca_file) if file]
    except OSError:
        return ()
    return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found)


def _fetch(settings: ServerTls) -> tuple[tuple[tuple[int, int, int], ...], ssl.SSLContext]:
    """The stamps of the files, and the context from them. Raises ConfigError for a file that cannot be
    used."""
    try:
        return files.within(lambda: (_stamps(settings), make_context(settings)), settings.limits.timeout_s)
    except files.FileError as error:
        raise ConfigError(
            f"--tls-server-cert-file={settings.cert_file} and the files beside it cannot be read: {error}"
        ) from None


def make_context(settings: ServerTls) -> ssl.SSLContext:
    """Raises ConfigError for a file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the operator chose an old version
        context.minimum_version = VERSIONS[settings.min_version]
    if settings.min_version in ("TLS1.0", "TLS1.1"):
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # OpenSSL 3 serves them at this level only
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
            # OpenSSL itself would wait for a FIFO, and read a device without end
            files.read(file, settings.limits.max_bytes)
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
    # a resumed session shows no certificate, and would outlive the authority that signed it
    context.options |= ssl.OP_NO_TICKET


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM form").replace("_", " ").lower()
    return error.strerror or str(error)
