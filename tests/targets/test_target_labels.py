"""The labels of every series of a target."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.targets.address import parse_address
from exporter.targets.target import NodeFacts, Target
from exporter.targets.target_labels import instance_of, target_labels

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

    def test_what_discovery_knows_under_names_that_are_not_configured(self) -> None:
        node = NodeFacts("c", "s", node_id="n", shown=("cluster", "shard", "master_name"))
        target = replace(self.NAMED, labels=(("shard", "mine"),), node=node)
        others = ((b"shard", b"mine"), (b"cluster", b"c"))
        assert target_labels(target, "auto")[2:] == others
        assert target_labels(target, "instance")[1:] == others
        assert target_labels(target, "never") == ()

    def test_no_alias_where_there_is_none(self) -> None:
        assert target_labels(TARGET, "auto") == ((b"addr", b"redis://h:6379"),)

    def test_never(self) -> None:
        assert target_labels(self.NAMED, "never") == ()

    def test_instance_stands_in_place_of_address_and_alias(self) -> None:
        assert target_labels(self.NAMED, "instance") == (
            (b"instance", b"h:6379"),
            (b"env", b"prod"),
            (b"team", b"kiwi"),
        )

    def test_a_configured_instance_is_there_once(self) -> None:
        target = Target("redis://h:6379", "redis", "h", 6379, "", 0, labels=(("instance", 'my"own'),))
        assert target_labels(target, "instance") == ((b"instance", b'my\\"own'),)

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


class TestInstance:
    @pytest.mark.parametrize(
        ("address", "instance"),
        [
            ("redis://User:pw@Host", "host:6379"),
            ("rediss://10.0.0.1:7000/0", "10.0.0.1:7000"),
            ("valkey://h:1/3", "h:1/3"),
            ("redis://[2001:DB8::1]:6380", "[2001:db8::1]:6380"),
            ("unix:///run/redis.sock", "/run/redis.sock"),
            ("unix:///run/redis.sock?db=2", "/run/redis.sock?db=2"),
        ],
    )
    def test_is_the_address_as_prometheus_writes_one(self, address: str, instance: str) -> None:
        assert instance_of(parse_address(address)) == instance

    @pytest.mark.parametrize(
        ("alias", "own", "by", "instance"),
        [
            ("cache", "", "address", "h:6379"),
            ("cache", "", "alias", "cache"),
            ("", "", "alias", "h:6379"),
            ("cache", "mine", "address", "mine"),
            ("cache", "mine", "alias", "mine"),
        ],
    )
    def test_is_the_alias_or_what_is_configured(self, alias: str, own: str, by: str, instance: str) -> None:
        target = Target("redis://h:6379", "redis", "h", 6379, "", 0, alias, (("instance", own),))
        assert instance_of(target, by) == instance
