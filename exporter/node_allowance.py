"""Addresses and names where servers may be that others name: nodes of clusters, and targets of requests.

The options read such a list and the connections obey it, so it stands beside both.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: IPv6 addresses that lead to an IPv4 one: by a translator (NAT64), or by a tunnel (6to4, Teredo, and the old
#: ::/96)
NAT64 = tuple(ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48"))
COMPATIBLE = ipaddress.IPv6Network("::/96")

_NUMBER_LAST = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?\Z")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Networks, and globs of host names in lower case."""

    networks: tuple[Network, ...] = ()
    globs: tuple[str, ...] = ()

    def holds(self, host: str, address: Address) -> bool:
        either = (address, embedded(address) or address)
        return any(each in network for network in self.networks for each in either) or self.holds_name(host)

    def holds_name(self, host: str) -> bool:
        """Whether a glob matches a host. A host that is an address is matched by `*` alone: `fd*` means
        names."""
        return any(glob == "*" or (fnmatchcase(host, glob) and not _is_address(host)) for glob in self.globs)


def plain_address(text: str) -> Address:
    """An address without its zone; an IPv4 address within an IPv6 one is the IPv4 address. ValueError if the
    text is none."""
    address = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_address(host: str) -> bool:
    try:
        plain_address(host)
    except ValueError:
        return False
    return True


def embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which an IPv6 address leads; None for any other address."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in NAT64) or (address in COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def is_number_like(host: str) -> bool:
    """Whether some programs read a host as an address and others as a name: 2130706433, 127.1, 0177.0.0.1,
    0x7f.1."""
    return _NUMBER_LAST.match(host) is not None
