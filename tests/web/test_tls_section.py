"""The section of TLS: Go's words, what OpenSSL makes of them, and what it cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.web.config_file import read_web_config
from exporter.web.tls import ServerTls, make_context
from exporter.web.tls_section import CIPHERS, CURVES
from tests.servers import Certificates

PAIR = ("cert_file: server.crt", "key_file: server.key")


def read(folder: Path, *lines: str) -> ServerTls:
    """What a file of this section says."""
    file = folder / "web.yml"
    file.write_text("\n".join(["tls_server_config:", *(f"  {line}" for line in lines), ""]))
    found = read_web_config(str(file)).tls
    assert found is not None
    return found


def faults(folder: Path, *lines: str) -> list[str]:
    """The faults of such a file, without its folder."""
    with pytest.raises(ConfigError) as caught:
        read(folder, *lines)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


class TestWords:
    def test_a_certificate_and_a_key_are_enough(self, tmp_path: Path) -> None:
        found = read(tmp_path, *PAIR)
        assert (found.min_version, found.max_version) == ("TLS1.2", "TLS1.3")
        assert (found.asks_clients, found.ciphers, found.curve, found.has_own_order) == (
            False,
            None,
            "",
            True,
        )

    def test_files_are_beside_the_file_that_names_them(self, tmp_path: Path) -> None:
        found = read(tmp_path, "cert_file: tls/server.crt", "key_file: /run/server.key")
        assert (found.cert.name, found.key.name) == (f"{tmp_path}/tls/server.crt", "/run/server.key")
        assert str(found.cert) == (
            f"{tmp_path}/web.yml, line 2: tls_server_config: cert_file={tmp_path}/tls/server.crt"
        )

    def test_they_may_be_in_the_file_itself(self, tmp_path: Path) -> None:
        found = read(tmp_path, "cert: |", "  one", "key: two", "client_ca: three", *CHECKED)
        assert (found.cert.text, found.key.text) == ("one\n", "two")
        assert found.authorities is not None
        assert found.authorities.text == "three"
        assert "two" not in f"{found} {found.key}"

    @pytest.mark.parametrize(
        ("policy", "asks", "may_show_none"),
        [
            ("NoClientCert", False, False),
            ("VerifyClientCertIfGiven", True, True),
            ("RequireAndVerifyClientCert", True, False),
        ],
    )
    def test_policies_for_clients(self, tmp_path: Path, policy: str, asks: bool, may_show_none: bool) -> None:
        authorities = ["client_ca_file: ca.crt"] if asks else []
        found = read(tmp_path, *PAIR, f"client_auth_type: {policy}", *authorities)
        assert (found.asks_clients, found.clients_may_show_none) == (asks, may_show_none)

    def test_names_of_clients(self, tmp_path: Path) -> None:
        names = ("client_allowed_sans:", "- prometheus.example", "- 10.0.0.1")
        found = read(tmp_path, *PAIR, "client_ca_file: ca.crt", *CHECKED, *names)
        assert found.client_names == {"prometheus.example", "10.0.0.1"}

    @pytest.mark.parametrize("version", ["TLS10", "TLS11", "TLS12", "TLS13"])
    def test_versions(self, tmp_path: Path, version: str) -> None:
        found = read(tmp_path, *PAIR, f"min_version: {version}", f"max_version: {version}")
        expected = f"{version[:4]}.{version[4:]}"
        assert (found.min_version, found.max_version) == (expected, expected)

    def test_all_ciphers_and_curves_are_known_to_openssl(
        self, tmp_path: Path, certificates: Certificates
    ) -> None:
        pair = (f"cert_file: {certificates.server}", f"key_file: {certificates.server_key}")
        ciphers = ("cipher_suites:", *(f"- {name}" for name in CIPHERS))
        curves = ("curve_preferences:", *(f"- {name}" for name in CURVES))
        context = make_context(read(tmp_path, *pair, *ciphers, *curves))
        assert {each["name"] for each in context.get_ciphers()} >= set(filter(None, CIPHERS.values()))

    def test_some_ciphers_in_the_order_of_the_client(self, tmp_path: Path) -> None:
        ciphers = ("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]",)
        found = read(tmp_path, *PAIR, *ciphers, "prefer_server_cipher_suites: false")
        assert found.ciphers == ("ECDHE-RSA-AES128-GCM-SHA256",)
        assert not found.has_own_order

    @pytest.mark.parametrize(("go", "openssl"), CURVES.items())
    def test_one_curve(self, tmp_path: Path, go: str, openssl: str) -> None:
        assert read(tmp_path, *PAIR, "curve_preferences:", f"- {go}").curve == openssl


CHECKED = ("client_auth_type: RequireAndVerifyClientCert",)
NO_CERTIFICATE = "cert_file is missing: write cert_file and key_file, or leave TLS out"
NO_KEY = "key_file is missing: write cert_file and key_file, or leave TLS out"
MAY_SHOW_NONE = "a client may come without a certificate: write client_auth_type RequireAndVerifyClientCert"
NOT_ASKED = "no client is asked for a certificate: write client_auth_type too"
UNSIGNED = (
    "it takes certificates that nobody has signed, which OpenSSL does not: write RequireAndVerifyClientCert, "
    "and client_ca_file"
)


@pytest.mark.parametrize(
    ("lines", "number", "says"),
    [
        (["key_file: server.key"], 2, f"key_file: {NO_CERTIFICATE}"),
        (["cert_file: ''", "key_file: server.key"], 2, f"cert_file: {NO_CERTIFICATE}"),
        (["cert: ''", "key_file: server.key"], 2, f"cert: {NO_CERTIFICATE}"),
        (["min_version: TLS13"], 2, f"min_version: {NO_CERTIFICATE}"),
        (["cert_file: server.crt", "key_file: ''"], 2, f"cert_file: {NO_KEY}"),
        (["cert_file: server.crt", "key: ''"], 2, f"cert_file: {NO_KEY}"),
        ([*PAIR, "cert: text"], 4, "cert: cert_file is written too: keep one of them"),
        (
            [*PAIR, "client_auth_type: SomeClientCert"],
            4,
            "client_auth_type: SomeClientCert is not known: write one of NoClientCert, RequestClientCert, "
            "RequireAnyClientCert, RequireClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert",
        ),
        ([*PAIR, "client_auth_type: RequestClientCert"], 4, f"client_auth_type: {UNSIGNED}"),
        ([*PAIR, "client_auth_type: RequireAnyClientCert"], 4, f"client_auth_type: {UNSIGNED}"),
        ([*PAIR, "client_auth_type: RequireClientCert"], 4, f"client_auth_type: {UNSIGNED}"),
        (
            [*PAIR, *CHECKED],
            4,
            "client_auth_type: the authorities are missing that sign clients' certificates: write "
            "client_ca_file",
        ),
        ([*PAIR, "client_ca_file: ca.crt"], 4, f"client_ca_file: {NOT_ASKED}"),
        ([*PAIR, "client_ca: text"], 4, f"client_ca: {NOT_ASKED}"),
        ([*PAIR, "client_allowed_sans: [a]"], 4, f"client_allowed_sans: {MAY_SHOW_NONE}"),
        (
            [*PAIR, "client_auth_type: VerifyClientCertIfGiven", "client_allowed_sans: [a]"],
            5,
            f"client_allowed_sans: {MAY_SHOW_NONE}",
        ),
        (
            [*PAIR, "min_version: TLS111"],
            4,
            "min_version: TLS111 is not known: write one of TLS10, TLS11, TLS12, TLS13",
        ),
        (
            [*PAIR, "max_version: TLS12", "min_version: TLS13"],
            5,
            "min_version: it is above max_version: write an older version",
        ),
        (
            [*PAIR, "max_version: TLS12", "cipher_suites: [TLS_AES_128_GCM_SHA256]"],
            5,
            "cipher_suites: these are of TLS 1.3: write others too, or max_version: TLS13",
        ),
        (
            [*PAIR, "curve_preferences: [CurveP384, CurveP521]"],
            4,
            "curve_preferences: OpenSSL takes one curve or its own choice: write one, or leave this out",
        ),
        (
            [*PAIR, "curve_preferences: [CurveP999]"],
            4,
            "curve_preferences: CurveP999 is not known: write one of CurveP256, CurveP384, CurveP521, X25519",
        ),
        (
            [*PAIR, "prefer_server_cipher_suites: maybe"],
            4,
            "prefer_server_cipher_suites: write true or false",
        ),
        ([*PAIR, "min_versoin: TLS13"], 4, "unknown key min_versoin: did you mean min_version?"),
        (
            [*PAIR, "client_allowed_sans: a"],
            4,
            "client_allowed_sans: write a list of texts, each behind a dash",
        ),
    ],
)
def test_each_fault_has_its_line_and_says_what_to_write(
    tmp_path: Path, lines: list[str], number: int, says: str
) -> None:
    assert faults(tmp_path, *lines) == [f"web.yml, line {number}: tls_server_config: {says}"]


def test_an_unknown_cipher_is_a_fault(tmp_path: Path) -> None:
    [line] = faults(tmp_path, *PAIR, "cipher_suites:", "- TLS_ECDHE_RSA_WITH_RC4_128_SHA")
    assert line.startswith(
        "web.yml, line 4: tls_server_config: cipher_suites: TLS_ECDHE_RSA_WITH_RC4_128_SHA is not known: "
        "write one of TLS_AES_128_GCM_SHA256, "
    )
