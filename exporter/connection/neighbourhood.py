"""Where the nodes of a target's cluster may be. Pure.

A server can name any address as a node of its cluster, and each node gets the user and password of the target
that named it. So a node is dialled only if it is near the target, or where the operator allows it with
`--discover.allow`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.node_allowance import Address, Allowance, embedded, is_number_like, plain_address

FLAG = "--discover.allow"
#: private networks: a target in one of them may have nodes in all of them
PRIVATE = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
LOOPBACK = ("127.0.0.1", "::1")
#: how much of an address, in bits, a node has in common with its target
NEAR_BITS = {4: 24, 6: 64}

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?\Z")


def read_host(host: str) -> str | None:
    """The numeric address that a node's host is, None for a name. ValueError for what is neither, or is
    not the same to all programs."""
    try:
        return str(plain_address(host))
    except ValueError:
        pass
    if not _NAME.match(host) or is_number_like(host):
        raise ValueError("it is neither a name nor an address written in full")
    return None


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Where the nodes of one target may be. `host` is its own, as it is configured ("" for a unix socket),
    `addresses` those that it has; `allowance` takes the place of the rule for what is near."""

    host: str
    addresses: tuple[str, ...]
    allowance: Allowance | None = None

    def admits(self, host: str, address: str) -> bool:
        """Whether a node of this host may be dialled at this address."""
        node = plain_address(address)
        ipv4 = embedded(node)
        if _is_nobodys(node):
            return False
        if ipv4 is not None and (_is_nobodys(ipv4) or ipv4.is_loopback):  # the loopback of another machine
            return False
        own = list(self._own())
        if node in own or (host.lower() == self.host.lower() != ""):
            return True
        if self.allowance is not None:
            return self.allowance.holds(host.lower(), node)
        return any(_near(node, each) for each in own) or (
            _is_private(node) and any(_is_private(each) for each in own)
        )

    def _own(self) -> Iterator[Address]:
        """The addresses of the target. One behind a unix socket, or at 0.0.0.0, is on this machine."""
        for text in self.addresses or LOOPBACK:
            address = plain_address(text)
            if address.is_unspecified:
                address = plain_address(LOOPBACK[0] if address.version == 4 else LOOPBACK[1])
            yield address


def _is_nobodys(address: Address) -> bool:
    """Whether no server of a cluster can be there."""
    return (
        address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address == ipaddress.IPv4Address("255.255.255.255")
    )


def _near(node: Address, own: Address) -> bool:
    ipv4, own_ipv4 = embedded(node), embedded(own)
    if ipv4 is not None and own_ipv4 is not None:  # each way to IPv4 has many networks in one /64
        is_near = _near(ipv4, own_ipv4) or (_is_private(ipv4) and _is_private(own_ipv4))
        return _way(node) == _way(own) and is_near
    if ipv4 is not None or own_ipv4 is not None:
        return False
    if node.version != own.version:
        return False
    if own.is_loopback and own.version == 6:  # ::/64 holds more than this machine
        return False
    return node in ipaddress.ip_network(f"{own}/{NEAR_BITS[own.version]}", strict=False)


def _way(address: Address) -> int:
    """Which translator or tunnel leads to IPv4: the first 32 bits; of 6to4 the first 16."""
    return int(address) >> 112 if address in ipaddress.IPv6Network("2002::/16") else int(address) >> 96


def _is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE)


def admitted(neighbourhood: Neighbourhood, host: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """Those of a node's addresses that may be dialled, in their order."""
    return tuple(str(plain_address(address)) for address in addresses if neighbourhood.admits(host, address))
