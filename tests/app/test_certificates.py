"""Which certificates the exporter shows the end of."""

from __future__ import annotations

import time

from exporter.app.build import configure
from exporter.app.certificates import expiries
from exporter.options.commandline import parse
from exporter.targets.address import parse_address
from tests.servers import Certificates


def test_those_of_targets_and_of_its_own_endpoint(certificates: Certificates) -> None:
    files = {
        "tls-ca-cert-file": certificates.ca,
        "tls-client-cert-file": certificates.client,
        "tls-client-key-file": certificates.client_key,
        "tls-server-cert-file": certificates.server,
        "tls-server-key-file": certificates.server_key,
        "tls-server-ca-cert-file": certificates.ca,
    }
    options = parse([f"--{flag}={name}" for flag, name in files.items()], {})
    found = expiries(configure(options, [parse_address("rediss://one")]))
    assert found.keys() == {(flag, name) for flag, name in files.items() if "key" not in flag}
    for end in found.values():
        assert isinstance(end, float | int)
        assert 0 < end - time.time() <= 2 * 24 * 3600


def test_without_tls_there_are_none() -> None:
    assert expiries(configure(parse([], {}), [parse_address("redis://one")])) == {}
