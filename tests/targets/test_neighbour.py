"""Targets that another target names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.options.overrides import overrides_of
from exporter.targets.address import parse_address
from exporter.targets.neighbour import neighbour_address, neighbour_target
from exporter.targets.target import NodeFacts

SEED = replace(
    parse_address("rediss://seed:7000/2"),
    alias="first",
    labels=(("env", "x"),),
    user="u",
    password="p",
    overrides=overrides_of([("poll.interval", 2.0)]),
    discover="cluster",
)


@pytest.mark.parametrize(
    ("scheme", "host", "port", "address"),
    [
        ("redis", "10.0.0.1", 1, "redis://10.0.0.1:1"),
        ("rediss", "FD00::01", 7000, "rediss://[fd00::1]:7000"),
        ("redis", "::ffff:10.0.0.1", 1, "redis://10.0.0.1:1"),
        ("redis", "::FFFF:0a00:0001", 1, "redis://10.0.0.1:1"),
        ("redis", "::ffff:none", 1, ""),
        ("tcp", "Node.Example", 65535, "redis://node.example:65535"),
        ("redis", "", 7000, ""),
        ("redis", "two words", 7000, ""),
        ("redis", "10.0.0.1", 0, ""),
        ("redis", "10.0.0.1", 65536, ""),
    ],
)
def test_the_address_of_a_neighbour(scheme: str, host: str, port: int, address: str) -> None:
    assert neighbour_address(parse_address(f"{scheme}://seed"), host, port) == address


def test_a_neighbour_is_like_the_one_that_names_it_but_for_its_place_and_name() -> None:
    node = NodeFacts(cluster="c")
    found = neighbour_target(
        SEED, "rediss://n:7001", ("n", 7001), ("10.0.0.1",), source="discovered", node=node
    )
    assert (found.addr, found.host, found.port, found.db) == ("rediss://n:7001", "n", 7001, 0)
    assert (found.alias, found.source, found.addresses) == ("", "discovered", ("10.0.0.1",))
    assert (found.user, found.password, found.labels) == ("u", "p", (("env", "x"),))
    assert (found.overrides, found.discover, found.node) == (SEED.overrides, "cluster", node)


def test_a_neighbour_is_not_another_shards_because_its_seed_is() -> None:
    seed = replace(SEED, elsewhere=True)
    found = neighbour_target(seed, "rediss://n:7001", ("n", 7001), (), source="discovered")
    assert not found.elsewhere
