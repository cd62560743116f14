"""What identifies a client: one rule for limits, for sign-ins and for the names of scrapers."""

from __future__ import annotations

import asyncio
import ipaddress

#: stands for all clients of a socket's file: they have no address
UNIX = "unix"
#: bits of an IPv6 address that identify a client: one host gets a network of this size
IP6_BITS = 64


def client_of(transport: asyncio.BaseTransport | None) -> str:
    """The client at the other end; "" if it has left."""
    return network_of(transport.get_extra_info("peername")) if transport is not None else ""


def network_of(peer: object) -> str:
    """A client's IPv4 address, the network of its IPv6 address, or `UNIX`."""
    if isinstance(peer, str | bytes):
        return UNIX
    if not isinstance(peer, tuple) or not peer:
        return ""
    text = str(peer[0]).partition("%")[0]
    if ":" not in text:
        return text
    address = ipaddress.IPv6Address(text)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> (128 - IP6_BITS) << (128 - IP6_BITS), IP6_BITS)))
