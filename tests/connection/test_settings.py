"""The settings of dials, and what they are by themselves."""

from __future__ import annotations

import dataclasses

import pytest

from exporter import files
from exporter.connection.replies import DEFAULT_LIMITS, ReplyLimits
from exporter.connection.settings import DialSettings
from exporter.options.table import Options
from exporter.options.values import parse_allowance


def test_by_themselves_they_are_those_of_the_flags() -> None:
    settings, options = DialSettings(), Options()
    assert settings.set_client_name is options.redis.set_client_name
    assert settings.ping is options.redis.ping_on_connect
    assert settings.skip_verification is options.redis.skip_tls_verification
    assert settings.allowance is options.redis.discover_allow
    assert (settings.ca_file, settings.cert_file, settings.key_file, settings.server_name) == ("", "", "", "")
    limits = (options.poll.reply_max_bytes, options.poll.reply_max_elements)
    assert (settings.limits.bytes_max, settings.limits.elements_max) == limits
    assert settings.limits is DEFAULT_LIMITS
    assert settings.file_limits is files.DEFAULT


def test_what_makes_other_connections() -> None:
    settings = DialSettings()
    other = dataclasses.replace(settings, allowance=parse_allowance("10.0.0.0/8"))
    assert settings.connects_as(other, tls=True)
    for other in (
        DialSettings(ping=True),
        DialSettings(set_client_name=False),
        DialSettings(limits=ReplyLimits(7)),
    ):
        assert not settings.connects_as(other, tls=False)
    for other in (
        DialSettings(ca_file="/ca"),
        DialSettings(server_name="redis"),
        DialSettings(skip_verification=True),
    ):
        assert (settings.connects_as(other, tls=True), settings.connects_as(other, tls=False)) == (
            False,
            True,
        )


def test_they_are_fixed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DialSettings().ping = True  # type: ignore[misc]
