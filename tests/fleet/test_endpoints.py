"""Addresses that lead to changing nodes of a cluster."""

from __future__ import annotations

import pytest

from exporter.fleet.endpoints import Endpoints
from exporter.fleet.seed_groups import SeedGroup, read_cluster
from exporter.fleet.slices import Slices
from tests.fleet.named import Naming, node

A, B = node("a", "10.0.0.1:7000"), node("b", "10.0.0.2:7000")


def answers_as(id: str, *, old: str = "") -> list[str]:
    return [
        node(each, f"10.0.0.{n}:7000", myself=each == id, flags=old if each != id else "")
        for n, each in enumerate("ab", 1)
    ]


class Setup:
    def __init__(self) -> None:
        self.seed = Naming("cluster.example:7000", "cluster")
        self.endpoints = Endpoints()

    async def poll(self, *lines: str) -> set[str]:
        self.seed.sees_nodes(*lines)
        assert self.seed.cluster is not None
        said = await read_cluster(self.seed.cluster, Slices(), hostnames=False)
        self.endpoints.note(SeedGroup("cluster", [self.seed.watched], [(self.seed.watched, said)]))
        return self.endpoints.addrs


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_one_that_answers_as_another_node_while_the_first_one_works(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    assert await setup.poll(*answers_as("a")) == set()
    assert await setup.poll(*answers_as("a")) == set()
    assert await setup.poll(*answers_as("b")) == {"redis://cluster.example:7000"}
    assert await setup.poll(*answers_as("a")) == {"redis://cluster.example:7000"}
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the target answers as changing nodes of its cluster"
    ]


async def test_not_a_node_that_has_a_new_id(setup: Setup) -> None:
    await setup.poll(*answers_as("a"))
    assert await setup.poll(node("c", "10.0.0.1:7000", myself=True), B) == set()


async def test_not_a_name_that_leads_elsewhere_after_its_server_failed(setup: Setup) -> None:
    await setup.poll(*answers_as("a"))
    assert await setup.poll(*answers_as("b", old="fail")) == set()


async def test_a_name_with_the_addresses_of_several_nodes(setup: Setup) -> None:
    setup.seed.connect("10.0.0.1", "10.0.0.1", "10.0.0.2")
    assert await setup.poll(*answers_as("a")) == {"redis://cluster.example:7000"}


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("10.0.0.1", "10.0.0.9"), ("10.0.0.1", "fd00::1")])
async def test_not_one_that_leads_to_one_node(setup: Setup, addresses: tuple[str, ...]) -> None:
    setup.seed.connect("10.0.0.1", *addresses)
    assert await setup.poll(*answers_as("a")) == set()


async def test_what_is_no_longer_configured_is_forgotten(setup: Setup) -> None:
    await setup.poll(*answers_as("a"))
    await setup.poll(*answers_as("b"))
    setup.endpoints.keep_only(set())
    assert setup.endpoints.addrs == set()
    assert await setup.poll(*answers_as("a")) == set()
