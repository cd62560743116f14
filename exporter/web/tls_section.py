"""The section `tls_server_config` of the web configuration file.

Its words are those of Go's crypto/tls. What OpenSSL cannot do through Python is refused: a setting that has
no effect is worse than none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from exporter import files, masks
from exporter.pem_files import PemFile
from exporter.web.config_section import ConfigSection
from exporter.web.tls import VERSIONS, ServerTls

FLAG = "web.config.file"
CLIENT_AUTH, CLIENT_NAMES = "client_auth_type", "client_allowed_sans"
KEYS = (
    *("cert", "key", "client_ca", "cert_file", "key_file", CLIENT_AUTH, "client_ca_file"),
    *(CLIENT_NAMES, "min_version", "max_version", "cipher_suites"),
    *("prefer_server_cipher_suites", "curve_preferences"),
)
#: Go's names of versions
_VERSIONS = {name.replace(".", ""): name for name in VERSIONS}
#: Go's names of cipher suites, and OpenSSL's; "" for those of TLS 1.3, which neither lets choose
CIPHERS = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
}
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}

_NOBODY, _IF_GIVEN, _ALWAYS, _UNCHECKED = "", "if given", "always", "unchecked"
#: Go's policies for certificates of clients
_CLIENTS = {
    "NoClientCert": _NOBODY,
    "RequestClientCert": _UNCHECKED,
    "RequireAnyClientCert": _UNCHECKED,
    "RequireClientCert": _UNCHECKED,
    "VerifyClientCertIfGiven": _IF_GIVEN,
    "RequireAndVerifyClientCert": _ALWAYS,
}
#: those with which a client may come without one
WITHOUT_CHECK = tuple(name for name, policy in _CLIENTS.items() if policy in (_NOBODY, _IF_GIVEN))


class TlsSection:
    """Reads the section. `shown` names the file in messages; files that it names are beside it, in
    `folder`."""

    def __init__(self, section: ConfigSection, shown: str, folder: str, limits: files.FileLimits) -> None:
        self._section = section
        self._shown = shown
        self._folder = folder
        self._limits = limits

    def read(self) -> ServerTls | None:
        """None if there is no certificate, or no key. Faults are noted in the section."""
        section = self._section
        section.check_keys(KEYS)
        cert, key = self._file("cert", "cert_file"), self._file("key", "key_file")
        authorities = self._file("client_ca", "client_ca_file", of_authorities=True)
        policy = section.choice(CLIENT_AUTH, _CLIENTS, _NOBODY)
        names = section.texts(CLIENT_NAMES)
        for key_of_fault, text in self._client_faults(policy, authorities, names):
            section.refuse(key_of_fault, text)
        ciphers, curves = (
            section.choices("cipher_suites", CIPHERS),
            section.choices("curve_preferences", CURVES),
        )
        oldest = section.choice("min_version", _VERSIONS, "TLS1.2")
        newest = section.choice("max_version", _VERSIONS, "TLS1.3")
        if oldest > newest:
            section.refuse("min_version", "it is above max_version: write an older version")
        if ciphers and not any(ciphers) and newest != "TLS1.3":
            section.refuse("cipher_suites", "these are of TLS 1.3: write others too, or max_version: TLS13")
        if 1 < len(set(curves)) < len(CURVES):
            section.refuse(
                "curve_preferences",
                "OpenSSL takes one curve or its own choice: write one, or leave this out",
            )
        if cert is None or key is None:
            missing = "cert_file" if cert is None else "key_file"
            present = next(iter(section))
            section.refuse(present, f"{missing} is missing: write cert_file and key_file, or leave TLS out")
            return None
        return ServerTls(
            cert,
            key,
            authorities,
            min_version=oldest,
            max_version=newest,
            asks_clients=policy in (_IF_GIVEN, _ALWAYS),
            clients_may_show_none=policy == _IF_GIVEN,
            client_names=frozenset(names),
            ciphers=tuple(filter(None, ciphers)) if ciphers else None,
            curve=curves[0] if len(set(curves)) == 1 else "",
            has_own_order=section.switch("prefer_server_cipher_suites", True),
            limits=self._limits,
        )

    def _file(self, text_key: str, file_key: str, *, of_authorities: bool = False) -> PemFile | None:
        """What one of two keys gives: the content, or the name of a file."""
        section = self._section
        text, name = section.text(text_key), section.text(file_key)
        if text and name:
            section.refuse(text_key, f"{file_key} is written too: keep one of them")
        if name:
            name = os.path.join(self._folder, name)
            place = f"{section.place(file_key, self._shown)}={masks.mask(name)}"
            return PemFile(FLAG, name, of_authorities, place)
        if text:
            return PemFile(FLAG, "", of_authorities, section.place(text_key, self._shown), text)
        return None

    def _client_faults(
        self, policy: str, authorities: PemFile | None, names: tuple[str, ...]
    ) -> Iterator[tuple[str, str]]:
        if policy == _UNCHECKED:
            yield (
                CLIENT_AUTH,
                "it takes certificates that nobody has signed, which OpenSSL does not: write "
                "RequireAndVerifyClientCert, and client_ca_file",
            )
        elif policy == _ALWAYS and authorities is None:
            yield (
                CLIENT_AUTH,
                "the authorities are missing that sign clients' certificates: write client_ca_file",
            )
        elif policy == _NOBODY and authorities is not None:
            key = "client_ca_file" if self._section.has("client_ca_file") else "client_ca"
            yield key, "no client is asked for a certificate: write client_auth_type too"
        if names and policy != _ALWAYS:
            yield (
                CLIENT_NAMES,
                "a client may come without a certificate: write client_auth_type RequireAndVerifyClientCert",
            )
