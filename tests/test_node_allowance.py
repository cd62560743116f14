"""Lists of networks and names, and the IPv4 addresses within IPv6 ones."""

from __future__ import annotations

import ipaddress

import pytest

from exporter.node_allowance import Allowance, embedded, is_number_like, plain_address

ALLOWANCE = Allowance((ipaddress.ip_network("198.51.100.0/24"),), ("n?.test", "*.example"))


@pytest.mark.parametrize(
    ("host", "address", "held"),
    [
        ("", "198.51.100.7", True),
        ("", "198.51.101.7", False),
        ("", "64:ff9b::c633:6407", True),
        ("n1.test", "192.0.2.1", True),
        ("n12.test", "192.0.2.1", False),
        ("a.b.example", "192.0.2.1", True),
    ],
)
def test_a_network_or_a_glob_of_the_name_is_enough(host: str, address: str, held: bool) -> None:
    assert ALLOWANCE.holds(host, ipaddress.ip_address(address)) is held


@pytest.mark.parametrize(
    ("glob", "host", "held"),
    [
        ("fd*", "fd-1.example", True),
        ("fd*", "fd00::1", False),
        ("*a*", "2001:db8::a", False),
        ("*", "fd00::1", True),
        ("*", "10.0.0.1", True),
    ],
)
def test_only_a_lone_star_matches_a_host_that_is_an_address(glob: str, host: str, held: bool) -> None:
    assert Allowance(globs=(glob,)).holds(host, ipaddress.ip_address("fd00::1")) is held


@pytest.mark.parametrize(
    ("text", "plain"),
    [("::ffff:10.0.0.1", "10.0.0.1"), ("fe80::1%eth0", "fe80::1"), ("10.0.0.1", "10.0.0.1")],
)
def test_one_address_has_one_plain_form(text: str, plain: str) -> None:
    assert str(plain_address(text)) == plain


@pytest.mark.parametrize("text", ["name", "", "10.0.0.1%eth0", "10.1"])
def test_what_is_no_address_has_no_plain_form(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        plain_address(text)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("::1", None),
        ("64:ff9b::c000:201", "192.0.2.1"),
        ("64:ff9b:1::c000:201", "192.0.2.1"),
        ("2002:c000:201::1", "192.0.2.1"),
        ("2001:0:102:304::3fff:fdfe", "192.0.2.1"),
        ("::192.0.2.1", "192.0.2.1"),
    ],
)
def test_the_ipv4_address_to_which_an_ipv6_address_leads(address: str, found: str | None) -> None:
    ipv4 = embedded(ipaddress.ip_address(address))
    assert (str(ipv4) if ipv4 else None) == found


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("2130706433", True),
        ("127.1", True),
        ("0177.0.0.1", True),
        ("0x7f.1", True),
        ("127.0.0.1.", True),
        ("1.example", False),
        ("n1", False),
    ],
)
def test_hosts_that_some_programs_read_as_addresses(host: str, is_one: bool) -> None:
    assert is_number_like(host) is is_one
