"""Where the nodes of a cluster may be, for they get the user and password of the target that named them.
Pure.

A server can name any address as a node of its cluster. It is dialled only if it lies near the target, or
where the operator allows it with `--discover.allow`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from exporter.options import lengths

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FLAG = "--discover.allow"
#: networks of one's own: a target in one of them may have nodes in all of them
PRIVATE = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
LOOPBACK = ("127.0.0.1", "::1")
#: how much of an address, in bits, a node has in common with its target
NEAR_BITS = {4: 24, 6: 64}

#: IPv6 addresses that lead to an IPv4 one: by a translator (NAT64), or by a tunnel (6to4, Teredo; ::/96 of
#: old)
NAT64 = tuple(ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48"))
COMPATIBLE = ipaddress.IPv6Network("::/96")

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
        forms = (address, _embedded(address) or address)
        return any(form in network for network in self.networks for form in forms) or any(
            fnmatchcase(host, glob) for glob in self.globs
        )


def parse_allowance(text: str) -> Allowance | None:
    """A comma list of networks, addresses and host names, in which * and ? stand for others; None if it is
    empty. Raises ValueError."""
    networks: list[Network] = []
    globs: list[str] = []
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        lengths.check(item, lengths.HOST_MAX)
        network = _network(item)
        if network is not None:
            networks.append(network)
        elif not _GLOB.match(item) or _NUMBER_LAST.match(item) or not re.search(r"[A-Za-z]|\A[*]\Z", item):
            raise ValueError(
                f"{item} is no network, address or host name: write them as 10.0.0.0/8, 10.0.0.1 or "
                f"*.redis.example"
            )
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
    ends = (network.network_address, network.broadcast_address)
    if network.is_link_local or all((_embedded(end) or end).is_link_local for end in ends):
        raise ValueError(f"{item} holds link-local addresses only: those are never dialled")
    return network


def read_host(host: str) -> str | None:
    """The numeric address that a node's host is, None for a name. ValueError for what is neither, or is
    not the same to all programs."""
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


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which an IPv6 address leads, if it is of such a kind."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in NAT64) or (address in COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
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
        node = _plain(address)
        embedded = _embedded(node)
        if _is_nobodys(node) or (
            embedded is not None and (_is_nobodys(embedded) or embedded.is_loopback)
        ):  # the loopback of another machine
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
            address = _plain(text)
            if address.is_unspecified:
                address = _plain(LOOPBACK[0] if address.version == 4 else LOOPBACK[1])
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
    embedded, own_embedded = _embedded(node), _embedded(own)
    if embedded is not None and own_embedded is not None:  # each of these kinds has many networks in one /64
        return _kind(node) == _kind(own) and (
            _near(embedded, own_embedded) or (_is_private(embedded) and _is_private(own_embedded))
        )
    if embedded is not None or own_embedded is not None:  # the way there is another one
        return False
    if node.version != own.version or (
        own.is_loopback and own.version == 6
    ):  # ::/64 holds more than this machine
        return False
    return node in ipaddress.ip_network(f"{own}/{NEAR_BITS[own.version]}", strict=False)


def _kind(address: Address) -> int:
    """The first 32 bits: they tell the kinds apart, but for 6to4, where 16 do."""
    return int(address) >> 112 if address in ipaddress.IPv6Network("2002::/16") else int(address) >> 96


def _is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE)


def admitted(neighbourhood: Neighbourhood, host: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """Those of a node's addresses that may be dialled, in their order."""
    return tuple(str(_plain(address)) for address in addresses if neighbourhood.admits(host, address))
