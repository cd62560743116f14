"""Targets that another target names: at their own place, else like that target."""

from __future__ import annotations

from dataclasses import replace

from exporter.node_allowance import plain_address
from exporter.targets.address import canonical_host
from exporter.targets.target import NodeFacts, Source, Target, endpoint

PORT_MAX = 65535


def neighbour_host(text: str) -> str:
    """The one spelling of a host that a server names; "" if no target can have it. An IPv4 address within an
    IPv6 one is the IPv4 address."""
    host = canonical_host(text)
    return str(plain_address(host)) if host.startswith("::ffff:") else host


def neighbour_address(seed: Target, host: str, port: int) -> str:
    """The one spelling of the address of a server that `seed` names. "" if no target can have it: a server
    may name any text."""
    host = neighbour_host(host)
    if not host or not 0 < port <= PORT_MAX:
        return ""
    return f"{seed.node_scheme}://{endpoint(host, port)}"


def neighbour_target(
    seed: Target,
    addr: str,
    place: tuple[str, int],
    addresses: tuple[str, ...],
    *,
    source: Source,
    node: NodeFacts | None = None,
) -> Target:
    """The target at `addr`, with the login, settings and labels of the one that names it. Only `addresses`
    are dialled."""
    host, port = place
    return replace(
        seed,
        addr=addr,
        scheme=seed.node_scheme,
        host=host,
        port=port,
        path="",
        db=0,
        alias="",
        source=source,
        ignored=(),
        addresses=addresses,
        elsewhere=False,
        node=node,
    )
