"""Where a node may be dialled: what its name is looked up to, and what the rule lets through."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exporter.connection.dialer import Dialer
from exporter.connection.neighbourhood import Neighbourhood
from exporter.connection.node_addresses import ADDRESSES_MAX, NodeAddresses, parse_node
from exporter.connection.resolver import Resolver
from exporter.errors import DnsError, NotAllowedError
from exporter.targets.address import parse_address

TARGET = parse_address("redis://127.0.0.1:7000")
NEAR = Neighbourhood(TARGET.host, (TARGET.host,))


def finder(*addresses: str) -> tuple[NodeAddresses, list[str]]:
    """One whose resolver finds these for every name, and the names that were looked up."""
    looked_up: list[str] = []

    def look_up(host: str) -> Sequence[str]:
        looked_up.append(host)
        return addresses

    return NodeAddresses(Dialer(resolver=Resolver(look_up=look_up))), looked_up


async def test_a_numeric_address_is_not_looked_up() -> None:
    addresses, looked_up = finder()
    assert await addresses.find(TARGET, NEAR, "127.0.0.9", 7001) == ("127.0.0.9",)
    assert looked_up == []


async def test_of_the_addresses_of_a_name_the_first_that_are_near() -> None:
    found = [f"127.0.0.{number}" for number in range(1, ADDRESSES_MAX + 3)]
    addresses, looked_up = finder("10.0.0.1", *found)
    assert await addresses.find(TARGET, NEAR, "n.test", 7001) == tuple(found[: ADDRESSES_MAX - 1])
    assert looked_up == ["n.test"]


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("10.0.0.1", "the node 10.0.0.1:7001 is not dialled: --discover.allow does not allow its address"),
        ("fd00::1", "the node [fd00::1]:7001 is not dialled"),
        ("n.test", "the node n.test (10.0.0.2):7001 is not dialled"),
        ("0x7f.1", "the node '0x7f.1' cannot be dialled"),
    ],
)
async def test_others_are_refused(host: str, says: str) -> None:
    addresses, _ = finder("10.0.0.2")
    with pytest.raises(NotAllowedError) as caught:
        await addresses.find(TARGET, NEAR, host, 7001)
    assert str(caught.value).startswith(says)


async def test_without_a_connection_the_target_s_own_name_is_looked_up() -> None:
    addresses, looked_up = finder("10.0.0.1")
    target = parse_address("redis://seed.test:7000")
    assert await addresses.find_for(target, "10.0.0.9", 7001) == ("10.0.0.9",)
    assert looked_up == ["seed.test"]
    with pytest.raises(NotAllowedError, match=r"--discover\.allow"):
        await addresses.find_for(target, "192.0.2.1", 7001)


async def test_the_nodes_of_a_socket_s_server_are_on_this_machine() -> None:
    addresses, _ = finder()
    target = parse_address("unix:///run/redis.sock")
    assert await addresses.find_for(target, "127.0.0.1", 7001) == ("127.0.0.1",)
    with pytest.raises(NotAllowedError):
        await addresses.find_for(target, "10.0.0.9", 7001)


async def test_a_name_without_an_address_is_a_failure_of_dns() -> None:
    def look_up(host: str) -> Sequence[str]:
        raise OSError("no such name")

    addresses = NodeAddresses(Dialer(resolver=Resolver(look_up=look_up)))
    with pytest.raises(DnsError, match=r"^n\.test:7001: "):
        await addresses.find(TARGET, NEAR, "n.test", 7001)


async def test_a_refusal_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    addresses, _ = finder()
    for port in (1, 1, 2):
        with pytest.raises(NotAllowedError):
            await addresses.find(TARGET, NEAR, "10.0.0.1", port)
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("h:6379", ("h", 6379)),
        ("10.0.0.1:7000", ("10.0.0.1", 7000)),
        ("[::1]:7", ("::1", 7)),
        ("::1:7", ("::1", 7)),
    ],
)
def test_a_node_is_host_and_port(text: str, parts: tuple[str, int]) -> None:
    assert parse_node(text) == parts


@pytest.mark.parametrize("text", ["", "h", ":1", "h:", "h:0", "h:65536", "h:x", "h:-1"])
def test_what_is_no_node(text: str) -> None:
    with pytest.raises(ValueError, match="is no host:port"):
        parse_node(text)
