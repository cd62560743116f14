"""HTTPS of the HTTP endpoint."""

from __future__ import annotations

import ipaddress
import ssl
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

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
    """The settings of HTTPS. If it `asks_clients`, each must show a certificate that one of the `authorities`
    has signed (None: of those that this system trusts), or none if `clients_may_show_none`. `client_names`:
    a certificate must be for one of them; empty for any. `ciphers` are for TLS before 1.3 (None: OpenSSL's
    choice), `curve` is the only one for keys of connections ("" for OpenSSL's choice). `has_own_order`: of
    the ciphers that both sides have, the first one here is taken."""

    cert: PemFile
    key: PemFile
    authorities: PemFile | None = None
    min_version: str = "TLS1.2"
    max_version: str = "TLS1.3"
    asks_clients: bool = False
    clients_may_show_none: bool = False
    client_names: frozenset[str] = frozenset()
    ciphers: tuple[str, ...] | None = None
    curve: str = ""
    has_own_order: bool = True
    limits: files.FileLimits = files.DEFAULT


def tls_of_flags(
    cert_file: str,
    key_file: str,
    ca_file: str = "",
    min_version: str = "TLS1.2",
    limits: files.FileLimits = files.DEFAULT,
) -> ServerTls:
    """What the flags say. With `ca_file`, a client must show a certificate that one of these authorities has
    signed."""
    return ServerTls(
        PemFile("tls-server-cert-file", cert_file),
        PemFile("tls-server-key-file", key_file),
        PemFile("tls-server-ca-cert-file", ca_file, of_authorities=True) if ca_file else None,
        min_version=min_version,
        asks_clients=bool(ca_file),
        limits=limits,
    )


class ServerContext:
    """Serves with `context`. Call `freshen` before each handshake: it waits for a check of the files for
    `LOOK_S` at most, then the handshake goes on with what was read before.

    At start, a ConfigError names a file that cannot be used. Later, the files that were read before stay in
    use.
    """

    def __init__(self, settings: ServerTls) -> None:
        given = [file for file in (settings.cert, settings.key, settings.authorities) if file is not None]
        self.settings = settings
        self._fresh = FreshContext(given, lambda: make_context(settings), settings.limits)
        self.context = self._fresh.newest
        self.context.sni_callback = self._before_handshake  # called at each handshake, also without a name

    @property
    def expiries(self) -> Mapping[PemFile, float]:
        """When the certificates of each file end, in Unix time."""
        return self._fresh.expiries

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client with this certificate may come in. It is checked already, but for its names."""
        allowed = self.settings.client_names
        return not allowed or not allowed.isdisjoint(names_of(certificate or {}))

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


def names_of(certificate: Mapping[str, Any]) -> Iterator[str]:
    """For whom a certificate is, as Python describes it: names of hosts, addresses, e-mail addresses and
    URIs."""
    for kind, name in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            yield name
        elif kind == "IP Address":
            with suppress(ValueError):
                yield str(ipaddress.ip_address(name.strip()))


def make_context(settings: ServerTls) -> ssl.SSLContext:
    """Raises ConfigError for a file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the operator chose an old version
        context.minimum_version = VERSIONS[settings.min_version]
        context.maximum_version = VERSIONS[settings.max_version]
    _set_ciphers(context, settings)
    if settings.curve:
        context.set_ecdh_curve(settings.curve)
    context.options |= ssl.OP_NO_RENEGOTIATION  # a client could have handshakes without an end
    load_pair(context, settings.cert, settings.key, settings.limits.max_bytes)
    if settings.asks_clients:
        if settings.authorities is not None:
            load_authorities(context, settings.authorities, settings.limits.max_bytes)
        else:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        trust_each(context)
        context.verify_mode = ssl.CERT_OPTIONAL if settings.clients_may_show_none else ssl.CERT_REQUIRED
        # a resumed session shows no certificate, and would outlive the authority that signed it
        context.options |= ssl.OP_NO_TICKET
    return context


def _set_ciphers(context: ssl.SSLContext, settings: ServerTls) -> None:
    """Those of TLS before 1.3: later ones cannot be chosen."""
    is_old = settings.min_version in ("TLS1.0", "TLS1.1")
    if settings.ciphers:
        context.set_ciphers(":".join([*settings.ciphers, *(["@SECLEVEL=0"] if is_old else [])]))
    elif settings.ciphers is not None:  # only those of TLS 1.3 were written
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    elif is_old:
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # OpenSSL 3 serves old versions at this level only
    if not settings.has_own_order:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
