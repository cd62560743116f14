"""Which configured target a named server is."""

from __future__ import annotations

from exporter.fleet.configured_servers import ConfiguredServers
from exporter.protocol.neighbours import NamedServer
from tests.fleet.named import Naming, node


def known(*targets: Naming) -> ConfiguredServers:
    configured = ConfiguredServers()
    for each in targets:
        configured.add(each.watched)
    return configured


def found(configured: ConfiguredServers, server: NamedServer, run_id: str = "") -> str:
    watched = configured.find(server, run_id)
    return watched.target.addr if watched is not None else ""


def test_by_its_address_in_any_spelling() -> None:
    configured = known(Naming("redis://[fd00::1]:7000/3"))
    assert found(configured, NamedServer("FD00::0001", 7000)) == "redis://[fd00::1]:7000/3"
    assert found(configured, NamedServer("fd00::1", 7001)) == ""


def test_by_the_address_behind_its_name() -> None:
    named = Naming("seed.example:7000")
    assert found(known(named), NamedServer("10.0.0.1", 7000)) == ""
    named.connect("10.0.0.1")
    assert found(known(named), NamedServer("10.0.0.1", 7000)) == "redis://seed.example:7000"


def test_by_its_id_in_the_cluster_which_counts_most() -> None:
    own, other = Naming("tunnel:1"), Naming("10.0.0.1:7000")
    own.sees_nodes(node("a", "10.0.0.1:7000", myself=True))
    assert found(known(other, own), NamedServer("10.0.0.1", 7000, id="a")) == "redis://tunnel:1"
    assert found(known(other, own), NamedServer("10.0.0.1", 7000, id="b")) == "redis://10.0.0.1:7000"


def test_by_the_run_of_the_server_while_it_is_up() -> None:
    target = Naming("tunnel:1")
    target.runs("master", run_id="r1")
    assert found(known(target), NamedServer("10.0.0.1", 7000), "r1") == "redis://tunnel:1"
    assert found(known(target), NamedServer("10.0.0.1", 7000)) == ""
    target.up = False
    assert found(known(target), NamedServer("10.0.0.1", 7000), "r1") == ""


def test_a_socket_has_no_place() -> None:
    assert found(known(Naming("unix:///tmp/s")), NamedServer("", 0)) == ""
