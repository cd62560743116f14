"""One watched server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.targets.address import parse_address
from exporter.targets.target import Target


class TestTarget:
    @pytest.mark.parametrize(
        ("scheme", "tls"),
        [
            ("redis", False),
            ("valkey", False),
            ("unix", False),
            ("tcp", False),
            ("rediss", True),
            ("valkeys", True),
        ],
    )
    def test_tls_is_a_matter_of_the_scheme(self, scheme: str, tls: bool) -> None:
        assert Target(f"{scheme}://h:1", scheme, "h", 1, "", 0).tls is tls

    def test_its_text_holds_no_secret(self) -> None:
        shown = repr(Target("redis://h:1", "redis", "h", 1, "", 0, user="kiwi", password="plum"))
        assert "kiwi" not in shown
        assert "plum" not in shown


def test_a_target_does_not_show_its_credentials() -> None:
    assert "kiwi" not in repr(parse_address("redis://watcher:kiwi@h"))


def test_a_variant_has_a_key_of_its_own() -> None:
    target = parse_address("redis://user:s3cret@h/1")
    assert target.key == target.addr == "redis://h:6379/1"
    variant = replace(target, variant="x")
    assert variant.key != target.key
    assert variant.addr == target.addr
