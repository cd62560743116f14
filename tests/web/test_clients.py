"""Who counts as one client."""

from __future__ import annotations

import asyncio

import pytest

from exporter.web.clients import client_of, network_of


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        (("10.0.0.1", 5), "10.0.0.1"),
        (("2001:db8:1:2:3::4", 5, 0, 0), "2001:db8:1:2::/64"),
        (("::ffff:10.0.0.1", 5, 0, 0), "10.0.0.1"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        (None, ""),
        ("", "unix"),
        (b"\0name", "unix"),
    ],
)
def test_an_address_stands_for_one_client(peer: object, network: str) -> None:
    assert network_of(peer) == network


async def test_who_has_left_has_no_name() -> None:
    assert client_of(None) == ""


async def test_it_is_read_from_the_transport() -> None:
    assert client_of(asyncio.Transport({"peername": ("2001:db8::5", 1, 0, 0)})) == "2001:db8::/64"
