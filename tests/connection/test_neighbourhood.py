"""Where nodes may be: every rule as a row, none of them dialled."""

from __future__ import annotations

import pytest

from exporter.connection.neighbourhood import Neighbourhood, admitted, read_host
from exporter.options.values import parse_allowance

PUBLIC = Neighbourhood("203.0.113.7", ("203.0.113.7",))
PRIVATE = Neighbourhood("10.1.2.3", ("10.1.2.3",))
NAMED = Neighbourhood("seed.example", ("203.0.113.7", "2001:db8:1:2::7"))
LOCAL = Neighbourhood("127.0.0.1", ("127.0.0.1",))
UNIQUE_LOCAL = Neighbourhood("fd00::1", ("fd00::1",))
SOCKET = Neighbourhood("", ())


def allowing(text: str, seed: Neighbourhood = LOCAL) -> Neighbourhood:
    return Neighbourhood(seed.host, seed.addresses, parse_allowance(text))


LEADING_TO_LINK_LOCAL = (
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "2001:0:102:304::5601:5601",
    "::169.254.169.254",
)
TRANSLATED = Neighbourhood("64:ff9b::c633:6401", ("64:ff9b::c633:6401",))

ROWS = [
    # the rule of what is near
    (PUBLIC, "203.0.113.7", True),
    (PUBLIC, "203.0.113.250", True),
    (PUBLIC, "203.0.112.7", False),
    (PUBLIC, "10.0.0.1", False),
    (PUBLIC, "127.0.0.1", False),
    (PUBLIC, "::1", False),
    (PUBLIC, "2001:db8::1", False),
    (PUBLIC, "::ffff:203.0.113.9", True),
    (PUBLIC, "::ffff:10.0.0.1", False),
    (NAMED, "203.0.113.9", True),
    (NAMED, "2001:db8:1:2:ffff::1", True),
    (NAMED, "2001:db8:1:3::1", False),
    # private networks
    (PRIVATE, "10.255.255.255", True),
    (PRIVATE, "172.16.0.1", True),
    (PRIVATE, "172.31.255.255", True),
    (PRIVATE, "172.32.0.1", False),
    (PRIVATE, "192.168.77.1", True),
    (PRIVATE, "fd12:3456::1", True),
    (PRIVATE, "192.169.0.1", False),
    (PRIVATE, "11.0.0.1", False),
    (PRIVATE, "100.64.0.1", False),
    (PRIVATE, "127.0.0.1", False),
    (PRIVATE, "8.8.8.8", False),
    (UNIQUE_LOCAL, "fd99::5", True),
    (UNIQUE_LOCAL, "10.0.0.1", True),
    (UNIQUE_LOCAL, "2001:db8::1", False),
    # loopback is a network of its own
    (LOCAL, "127.0.0.2", True),
    (LOCAL, "127.1.0.1", False),
    (LOCAL, "10.0.0.1", False),
    (LOCAL, "::1", False),
    (Neighbourhood("localhost", ("127.0.0.1", "::1")), "::1", True),
    (Neighbourhood("localhost", ("127.0.0.1", "::1")), "::2", False),
    (Neighbourhood("0.0.0.0", ("0.0.0.0",)), "127.0.0.1", True),
    (Neighbourhood("::", ("::",)), "::1", True),
    (SOCKET, "127.0.0.1", True),
    (SOCKET, "::1", True),
    (SOCKET, "10.0.0.1", False),
    # never, whatever is allowed
    (PUBLIC, "169.254.169.254", False),
    (PRIVATE, "169.254.169.254", False),
    (PRIVATE, "::ffff:169.254.169.254", False),
    (PRIVATE, "fe80::1", False),
    (PRIVATE, "fe80::1%eth0", False),
    (PRIVATE, "0.0.0.0", False),
    (PRIVATE, "::", False),
    (PRIVATE, "224.0.0.1", False),
    (PRIVATE, "ff02::1", False),
    (PRIVATE, "255.255.255.255", False),
    (Neighbourhood("169.254.1.1", ("169.254.1.1",)), "169.254.1.1", False),
    (Neighbourhood("fe80::1%lo", ("fe80::1%lo",)), "fe80::2", False),
    (allowing("0.0.0.0/0,::/0"), "169.254.169.254", False),
    (allowing("0.0.0.0/0,::/0"), "fe80::1", False),
    (allowing("*"), "169.254.169.254", False),
    # an IPv6 address that leads to an IPv4 one is judged by that: NAT64, 6to4, Teredo (its client, inverted),
    # the compatible ones of old
    *((allowing("0.0.0.0/0,::/0,*"), address, False) for address in LEADING_TO_LINK_LOCAL),
    *((PRIVATE, address, False) for address in LEADING_TO_LINK_LOCAL),
    (allowing("::/0"), "64:ff9b::7f00:1", False),  # the loopback of the translator
    (allowing("::/0"), "64:ff9b::", False),
    (allowing("::/0"), "64:ff9b::e000:1", False),
    (allowing("::/0"), "64:ff9b::c633:6401", True),
    (allowing("198.51.100.0/24"), "64:ff9b::c633:6401", True),
    (allowing("198.51.100.0/24"), "64:ff9b::c633:6501", False),
    (allowing("2002::/16"), "2002:c633:6401::1", True),
    (TRANSLATED, "64:ff9b::c633:6402", True),
    (TRANSLATED, "64:ff9b::cb00:7101", False),  # all of IPv4 is within one /64
    (TRANSLATED, "64:ff9b:0:1::1", False),
    (TRANSLATED, "2002:c633:6402::1", False),
    (PRIVATE, "64:ff9b::a00:6", False),  # 10.0.0.6, but by another way
    (Neighbourhood("64:ff9b::a00:5", ("64:ff9b::a00:5",)), "64:ff9b::c0a8:1", True),
    (
        Neighbourhood("2001:0:1::1", ("2001:0:1::1",)),
        "2001:0:1::ffff",
        False,
    ),  # all clients of a Teredo server
    # what the operator allows takes the place of the rule, but for the target's own host
    (allowing("127.0.0.1/32"), "127.0.0.1", True),
    (allowing("127.0.0.1/32"), "127.0.0.2", False),
    (allowing("10.0.0.0/8"), "127.0.0.1", True),
    (allowing("10.0.0.0/8"), "127.0.0.2", False),
    (allowing("10.0.0.0/8"), "10.9.9.9", True),
    (allowing("10.0.0.0/8"), "::ffff:10.9.9.9", True),
    (allowing("::ffff:10.0.0.0/104"), "10.9.9.9", True),
    (allowing("10.0.0.1"), "10.0.0.1", True),
    (allowing("10.0.0.1"), "10.0.0.2", False),
    (allowing("10.0.0.0/8", PRIVATE), "192.168.0.1", False),
    (allowing("2001:db8::/32"), "2001:db8:9::1", True),
    (allowing("0.0.0.0/0"), "8.8.8.8", True),
    (allowing("0.0.0.0/0"), "2001:db8::1", False),
    (allowing("*"), "8.8.8.8", True),
]


@pytest.mark.parametrize(
    ("seed", "address", "allowed"), ROWS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_where_a_node_may_be(seed: Neighbourhood, address: str, allowed: bool) -> None:
    assert seed.admits(address, address) is allowed


@pytest.mark.parametrize(
    ("seed", "host", "address", "allowed"),
    [
        (NAMED, "seed.example", "198.51.100.1", True),  # the name that the operator wrote
        (NAMED, "SEED.Example", "198.51.100.1", True),
        (NAMED, "seed.example", "169.254.169.254", False),
        (NAMED, "other.example", "198.51.100.1", False),
        (NAMED, "other.example", "203.0.113.99", True),  # wherever its name comes from, it is near
        (SOCKET, "", "198.51.100.1", False),
        (allowing("*.redis.example"), "n1.redis.example", "198.51.100.1", True),
        (allowing("*.Redis.example"), "N1.redis.EXAMPLE", "198.51.100.1", True),
        (allowing("*.redis.example"), "redis.example.evil.test", "198.51.100.1", False),
        (allowing("*.redis.example"), "n1.redis.example", "169.254.169.254", False),
        (allowing("n?.test"), "n1.test", "198.51.100.1", True),
        (allowing("n?.test"), "n12.test", "198.51.100.1", False),
        (allowing("198.51.100.0/24"), "whatever.test", "198.51.100.1", True),
    ],
)
def test_which_names_a_node_may_have(seed: Neighbourhood, host: str, address: str, allowed: bool) -> None:
    assert seed.admits(host, address) is allowed


def test_of_several_addresses_those_that_are_allowed_are_left_in_their_one_form() -> None:
    assert admitted(LOCAL, "n.test", ["10.0.0.1", "::ffff:127.0.0.5", "127.0.0.6", "fe80::1"]) == (
        "127.0.0.5",
        "127.0.0.6",
    )


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("redis-1.example", None),
        ("redis_1", None),
        ("1.example", None),
        ("xn--bcher-kva.example", None),
        ("example.", None),
    ],
)
def test_what_a_nodes_host_is(host: str, address: str | None) -> None:
    assert read_host(host) == address


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.0.0.01",
        "127.0.0.256",
        "1.2.3.4.5",
        "example.0x7f",
        "example.1",
        "",
        ".",
        "a b",
        "a/b",
        "a@b",
        "a%b",
        "b\u00fccher.example",
        "\uff11\uff12\uff17.0.0.1",
        "x" * 254,
        "-a",
        "a\x00b",
        "127.0.0.1%eth0",
        "127.0.0.1/32",
    ],
)
def test_hosts_that_some_programs_read_as_another_address_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="neither a name nor an address written in full"):
        read_host(host)
