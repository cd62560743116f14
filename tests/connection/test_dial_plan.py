"""Which settings and which TLS context a target is dialled with."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.connection.dial_plan import DialPlan, same_for_all
from exporter.connection.settings import DialSettings
from exporter.errors import ConfigError
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.servers import Certificates

ONE = parse_address("rediss://one")
OTHER = replace(ONE, overrides=(("ping-on-connect", True),))


def plan_of(ca_file: str, before: DialPlan | None = None) -> DialPlan:
    """Targets with settings of their own are pinged."""
    return DialPlan(lambda target: DialSettings(ping=bool(target.overrides), ca_file=ca_file), before)


def test_targets_with_equal_overrides_share_settings() -> None:
    asked: list[Target] = []

    def settings_of(target: Target) -> DialSettings:
        asked.append(target)
        return DialSettings(ping=bool(target.overrides))

    plan = DialPlan(settings_of)
    assert plan.settings_of(ONE) is plan.settings_of(replace(ONE, addr="again"))
    assert (plan.settings_of(ONE).ping, plan.settings_of(OTHER).ping) == (False, True)
    assert asked == [ONE, OTHER]


def test_equal_settings_of_tls_share_a_context(certificates: Certificates) -> None:
    plan = plan_of(certificates.ca)
    context = plan.context_of(plan.settings_of(ONE))
    assert context is plan.context_of(plan.settings_of(OTHER))
    assert plan.contexts == (context,)
    assert context.newest.verify_mode is ssl.CERT_REQUIRED
    assert context.newest.check_hostname
    assert context.newest.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_later_plan_reads_only_other_files(certificates: Certificates, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(Path(certificates.ca).read_bytes())
    before = plan_of(str(file))
    context = before.context_of(before.settings_of(ONE))
    file.unlink()
    later = plan_of(str(file), before)
    assert later.contexts == ()
    assert later.context_of(later.settings_of(OTHER)) is context
    other = plan_of(certificates.other_ca, later)
    assert other.context_of(other.settings_of(ONE)) is not context


def test_a_file_that_cannot_be_used_is_named() -> None:
    plan = same_for_all(DialSettings(ca_file="/none.pem"))
    with pytest.raises(ConfigError, match=r"--tls-ca-cert-file=/none\.pem cannot be read"):
        plan.context_of(plan.settings_of(ONE))
