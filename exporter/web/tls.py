"""HTTPS of the HTTP endpoint."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from exporter import files
from exporter.pem_files import FreshContext, PemFile, load_authorities, load_pair, trust_each

VERSIONS = {
    "TLS1.0": ssl.TLSVersion.TLSv1,
    "TLS1.1": ssl.TLSVersion.TLSv1_1,
    "TLS1.2": ssl.TLSVersion.TLSv1_2,
    "TLS1.3": ssl.TLSVersion.TLSv1_3,
}

#: how long a handshake waits for a check of the files
LOOK_S = 0.03


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The settings of HTTPS. With `ca_file`, a client must show a certificate that one of these authorities
    has signed."""

    cert_file: str
    key_file: str
    ca_file: str = ""
    min_version: str = "TLS1.2"
    limits: files.FileLimits = files.DEFAULT

    @property
    def cert(self) -> PemFile:
        return PemFile("tls-server-cert-file", self.cert_file)

    @property
    def key(self) -> PemFile:
        return PemFile("tls-server-key-file", self.key_file)

    @property
    def ca(self) -> PemFile:
        return PemFile("tls-server-ca-cert-file", self.ca_file, of_authorities=True)


class ServerContext:
    """Serves with `context`. Call `freshen` before each handshake: it waits for a check of the files for
    `LOOK_S` at most, then the handshake goes on with what was read before.

    At start, a ConfigError names a file that cannot be used. Later, the files that were read before stay in
    use.
    """

    def __init__(self, settings: ServerTls) -> None:
        given = [file for file in (settings.cert, settings.key, settings.ca) if file.name]
        self._fresh = FreshContext(given, lambda: make_context(settings), settings.limits)
        self.context = self._fresh.newest
        self.context.sni_callback = self._before_handshake  # called at each handshake, also without a name

    @property
    def expiries(self) -> Mapping[PemFile, float]:
        """When the certificates of each file end, in Unix time."""
        return self._fresh.expiries

    async def freshen(self) -> None:
        """Check the files, unless that was done a short time ago; handshakes share one check."""
        await self._fresh.freshen(LOOK_S)

    def renew(self) -> None:
        """Read files that have changed. ConfigError if they cannot be used."""
        self._fresh.renew()

    def _before_handshake(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        """The handshake is running: this gives it the files of the newest context, not its versions."""
        if self._fresh.newest is not self.context:
            connection.context = self._fresh.newest


def make_context(settings: ServerTls) -> ssl.SSLContext:
    """Raises ConfigError for a file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the operator chose an old version
        context.minimum_version = VERSIONS[settings.min_version]
    if settings.min_version in ("TLS1.0", "TLS1.1"):
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # OpenSSL 3 serves them at this level only
    load_pair(context, settings.cert, settings.key, settings.limits.max_bytes)
    if settings.ca_file:
        load_authorities(context, settings.ca, settings.limits.max_bytes)
        trust_each(context)
        context.verify_mode = ssl.CERT_REQUIRED
        # a resumed session shows no certificate, and would outlive the authority that signed it
        context.options |= ssl.OP_NO_TICKET
    return context
