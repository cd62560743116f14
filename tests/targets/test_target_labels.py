"""The labels of every series of a target."""

from __future__ import annotations

import pytest

from exporter.targets.target import Target
from exporter.targets.target_labels import target_labels

TARGET = Target("redis://h:6379", "redis", "h", 6379, "", 0)


class TestTargetLabels:
    NAMED = Target(
        "redis://h:6379", "redis", "h", 6379, "", 0, alias="cache", labels=(("env", "prod"), ("team", "kiwi"))
    )

    @pytest.mark.parametrize("mode", ["auto", "always"])
    def test_address_alias_and_the_configured_ones(self, mode: str) -> None:
        assert target_labels(self.NAMED, mode) == (
            (b"addr", b"redis://h:6379"),
            (b"alias", b"cache"),
            (b"env", b"prod"),
            (b"team", b"kiwi"),
        )

    def test_no_alias_where_there_is_none(self) -> None:
        assert target_labels(TARGET, "auto") == ((b"addr", b"redis://h:6379"),)

    def test_never(self) -> None:
        assert target_labels(self.NAMED, "never") == ()

    def test_no_secret(self) -> None:
        target = Target("redis://h:6379", "redis", "h", 6379, "", 0, user="kiwi", password="plum")
        assert not {b"kiwi", b"plum"} & {value for _, value in target_labels(target, "always")}

    def test_values_are_escaped_and_cut(self) -> None:
        target = Target(
            "redis://h:6379", "redis", "h", 6379, "", 0, alias='a"\n' + "x" * 9, labels=(("env", "\ud800"),)
        )
        pairs = dict(target_labels(target, "auto", 5))
        assert pairs[b"alias"] == b'a\\"\\nxx'
        assert pairs[b"env"].decode()
