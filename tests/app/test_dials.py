"""How targets are dialled, by their options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.app.dials import dial_settings, plan_dials
from exporter.connection.replies import ReplyLimits
from exporter.connection.settings import DialSettings
from exporter.errors import ConfigError
from exporter.options.commandline import parse
from exporter.options.overrides import overrides_of
from exporter.options.table import Options
from exporter.options.values import parse_allowance
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.servers import Certificates

ONE = parse_address("redis://one")


def with_own(**values: object) -> Target:
    """A target with its own values, by flag (`_` for `-`)."""
    pairs = [(flag.replace("_", "-"), value) for flag, value in values.items()]
    return replace(ONE, overrides=overrides_of(pairs))


def test_by_default_the_settings_are_the_defaults() -> None:
    assert dial_settings(Options()) == DialSettings(file_limits=Options().files)


@pytest.mark.parametrize(
    ("flags", "changes"),
    [
        ("--set-client-name=false", {"set_client_name": False}),
        ("--ping-on-connect", {"ping": True}),
        ("--tls-ca-cert-file=/ca", {"ca_file": "/ca"}),
        (
            "--tls-client-cert-file=/cert --tls-client-key-file=/key",
            {"cert_file": "/cert", "key_file": "/key"},
        ),
        ("--tls-server-name=kiwi", {"server_name": "kiwi"}),
        ("--skip-tls-verification", {"skip_verification": True}),
        ("--discover.allow=10.0.0.0/8", {"allowance": parse_allowance("10.0.0.0/8")}),
        ("--scrape.allow=10.0.0.0/8", {"scrape_allow": parse_allowance("10.0.0.0/8")}),
        ("--reply.max-bytes=7", {"limits": ReplyLimits(bytes_max=7)}),
        ("--reply.max-elements=7", {"limits": ReplyLimits(elements_max=7)}),
    ],
)
def test_settings_are_those_of_the_options(flags: str, changes: dict[str, Any]) -> None:
    assert dial_settings(parse(flags.split(), {})) == replace(dial_settings(Options()), **changes)


def test_a_target_has_settings_of_its_own() -> None:
    own = with_own(ping_on_connect=True, set_client_name=False, skip_tls_verification=True)
    allowed = replace(ONE, overrides=overrides_of([("discover.allow", parse_allowance("10.0.0.0/8"))]))
    small = replace(ONE, overrides=overrides_of([("reply.max-bytes", 7), ("reply.max-elements", 8)]))
    plan = plan_dials(parse([], {}), [ONE, own, allowed, small], None)
    settings = plan.settings_of(own)
    assert (settings.ping, settings.set_client_name, settings.skip_verification) == (True, False, True)
    assert plan.settings_of(allowed).allowance == parse_allowance("10.0.0.0/8")
    assert (plan.settings_of(small).limits.bytes_max, plan.settings_of(small).limits.elements_max) == (7, 8)
    assert plan.settings_of(ONE) == dial_settings(Options())
    assert plan.contexts == ()


def test_contexts_are_made_for_the_targets_that_use_tls(certificates: Certificates) -> None:
    tls = replace(with_own(tls_ca_cert_file=certificates.ca), scheme="rediss")
    plain = replace(ONE, scheme="rediss")
    plan = plan_dials(parse([], {}), [tls, plain, replace(plain, alias="again")], None)
    assert len(plan.contexts) == 2


def test_every_file_that_cannot_be_used_is_named_once_with_a_target(tmp_path: Path) -> None:
    none, other = (str(tmp_path / name) for name in ("none.pem", "other.pem"))
    targets = [with_own(tls_ca_cert_file=name) for name in (none, none, other)]
    targets[2] = replace(targets[2], alias="orders")
    with pytest.raises(ConfigError) as caught:
        plan_dials(parse([], {}), targets, None)
    why = "cannot be read: No such file or directory"
    assert caught.value.problems == (
        f"redis://one:6379: --tls-ca-cert-file={none} {why}",
        f"orders: --tls-ca-cert-file={other} {why}",
    )
