"""Servers as other servers name them."""

from __future__ import annotations

import pytest

from exporter.protocol.cluster import parse_nodes
from exporter.protocol.neighbours import NamedServer, attached_servers, node_as_named
from exporter.protocol.replication import AttachedReplica, Replication

MASTER = "m 10.0.0.1:7000@17000,One.Example master - 0 0 1 connected 0-5"


def test_a_master_with_slots_by_address_or_by_name() -> None:
    [node] = parse_nodes(MASTER)
    assert node_as_named(node, hostnames=False) == NamedServer(
        "10.0.0.1", 7000, "master", "m", has_slots=True
    )
    assert node_as_named(node, hostnames=True).host == "One.Example"


@pytest.mark.parametrize("flag", ["fail", "fail?"])
def test_a_replica_that_does_not_answer(flag: str) -> None:
    [node] = parse_nodes(f"r 10.0.0.2:7000@17000 slave,{flag} m 0 0 1 disconnected")
    assert node_as_named(node, hostnames=False) == NamedServer(
        "10.0.0.2", 7000, "slave", "r", "m", works=False
    )


def replication(role: str, master: tuple[str, int] = ("", 0), *ports: int) -> Replication:
    replicas = tuple(AttachedReplica("10.0.0.9", port, "online", 1) for port in ports)
    return Replication(role, "", 1, *master, replicas)


def test_a_master_names_its_replicas() -> None:
    assert attached_servers(replication("master", ("", 0), 1, 2)) == (
        NamedServer("10.0.0.9", 1, "slave"),
        NamedServer("10.0.0.9", 2, "slave"),
    )


def test_a_replica_names_its_master_and_its_own_replicas() -> None:
    found = attached_servers(replication("slave", ("10.0.0.1", 6379), 3))
    assert found == (NamedServer("10.0.0.1", 6379), NamedServer("10.0.0.9", 3, "slave"))


@pytest.mark.parametrize("master", [("", 6379), ("10.0.0.1", 0), ("10.0.0.1", 65536)])
def test_a_replica_whose_master_has_no_address_names_none(master: tuple[str, int]) -> None:
    assert attached_servers(replication("slave", master)) == ()
