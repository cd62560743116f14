"""Where the nodes of a cluster may be, for they get the user and password of the target that named them. Pure.

A server can name any address as a node of its cluster. It is dialled only if it lies near the target, or where the operator allows it
with `--discover.allow`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FLAG = "--discover.allow"
#: networks of one's own: a target in one of them may have nodes in all of them
PRIVATE = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
LOOPBACK = ("127.0.0.1", "::1")
#: how much of an address, in bits, a node has in common with its target
NEAR_BITS = {4: 24, 6: 64}

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?\Z")
_GLOB = re.compile(r"[A-Za-z0-9_.*?-]{1,253}\Z")
#: 2130706433, 127.1, 0177.0.0.1 and 0x7f.1 are addresses to some programs and names to others
_NUMBER_LAST = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?\Z")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What `--discover.allow` names: networks, and globs of host names."""

    networks: tuple[Network, ...] = ()
    globs: tuple[str, ...] = ()

    def holds(self, host: str, address: Address) -> bool:
        return any(address in network for network in self.networks) or any(fnmatchcase(host, glob) for glob in self.globs)


def parse_allowance(text: str) -> Allowance | None:
    """A comma list of networks, addresses and host names, in which * and ? stand for others; None if it is empty. Raises ValueError."""
    networks: list[Network] = []
    globs: list[str] = []
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        network = _network(item)
        if network is not None:
            networks.append(network)
        elif not _GLOB.match(item) or _NUMBER_LAST.match(item) or not re.search(r"[A-Za-z]|\A[*]\Z", item):
            raise ValueError(f"{item} is no network, address or host name: write them as 10.0.0.0/8, 10.0.0.1 or *.redis.example")
        else:
            globs.append(item.lower())
    return Allowance(tuple(networks), tuple(globs)) if networks or globs else None


def _network(item: str) -> Network | None:
    try:
        network = ipaddress.ip_network(item, strict=False)
    except ValueError:
        return None
    if network.version == 6 and network.prefixlen >= 96 and network.network_address.ipv4_mapped is not None:
        network = ipaddress.ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    if network.is_link_local:
        raise ValueError(f"{item} holds link-local addresses only: those are never dialled")
    return network


def read_host(host: str) -> str | None:
    """The numeric address that a node's host is, None for a name. ValueError for what is neither, or is not the same to all programs."""
    try:
        return str(_plain(host))
    except ValueError:
        pass
    if not _NAME.match(host) or _NUMBER_LAST.match(host):
        raise ValueError("it is neither a name nor an address written in full")
    return None


def _plain(text: str) -> Address:
    """An address without its zone; an IPv4 address within an IPv6 one is the IPv4 address."""
    address = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Where the nodes of one target may be. `host` is its own, as it is configured ("" for a unix socket), `addresses` those that
    it has; `allowance` takes the place of the rule for what is near."""

    host: str
    addresses: tuple[str, ...]
    allowance: Allowance | None = None

    def admits(self, host: str, address: str) -> bool:
        """Whether a node of this host may be dialled at this address."""
        node = _plain(address)
        if node.is_link_local or node.is_unspecified or node.is_multicast or node == ipaddress.IPv4Address("255.255.255.255"):
            return False
        own = list(self._own())
        if node in own or (host.lower() == self.host.lower() != ""):
            return True
        if self.allowance is not None:
            return self.allowance.holds(host.lower(), node)
        return any(_near(node, each) for each in own) or (_is_private(node) and any(_is_private(each) for each in own))

    def _own(self) -> Iterator[Address]:
        """The addresses of the target. One behind a unix socket, or at 0.0.0.0, is on this machine."""
        for text in self.addresses or LOOPBACK:
            address = _plain(text)
            if address.is_unspecified:
                address = _plain(LOOPBACK[0] if address.version == 4 else LOOPBACK[1])
            yield address


def _near(node: Address, own: Address) -> bool:
    if node.version != own.version or (own.is_loopback and own.version == 6):  # ::/64 holds more than this machine
        return False
    return node in ipaddress.ip_network(f"{own}/{NEAR_BITS[own.version]}", strict=False)


def _is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE)


def admitted(neighbourhood: Neighbourhood, host: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """Those of a node's addresses that may be dialled, in their order."""
    return tuple(str(_plain(address)) for address in addresses if neighbourhood.admits(host, address))
