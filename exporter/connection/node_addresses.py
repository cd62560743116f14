"""The addresses at which the nodes of clusters may be dialled.

A name is looked up here and nowhere else, and a node is dialled at the very address that was checked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from exporter.connection.dialer import Dialer
from exporter.connection.neighbourhood import FLAG, Neighbourhood, admitted, read_host
from exporter.errors import NotAllowedError
from exporter.targets.target import Target, endpoint

#: addresses of one node's name that are tried
ADDRESSES_MAX = 8
#: nodes of one target that the log names because they may not be dialled
LOGGED_MAX = 100

log = logging.getLogger(__name__)


def parse_node(text: str) -> tuple[str, int]:
    """Host and port of `host:port`; an IPv6 host may stand in brackets. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text[:100]!r} is no host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


class NodeAddresses:
    """Finds those of the nodes that one target names, and logs each that may not be dialled once."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._logged: set[str] = set()

    async def find(
        self, target: Target, neighbourhood: Neighbourhood, host: str, port: int
    ) -> tuple[str, ...]:
        """Those of one node, in the order to try them. Raises NotAllowedError, or DnsError."""
        try:
            address = read_host(host)
        except ValueError as error:
            raise NotAllowedError(f"the node {host[:100]!r} cannot be dialled: {error}") from None
        own = host.lower() == target.host
        found = (address,) if address is not None else await self._dialer.resolve(host, port, trusted=own)
        addresses = admitted(neighbourhood, host, found[:ADDRESSES_MAX])
        if not addresses:
            shown = endpoint(host, port) if address is not None else f"{host} ({found[0]}):{port}"
            raise self._refuse(target, f"the node {shown} is not dialled: {FLAG} does not allow its address")
        return addresses

    async def find_for(self, target: Target, host: str, port: int) -> tuple[str, ...]:
        """The same for a target that may have no connection now: its own name is looked up."""
        return await (await self.finder_for(target))(host, port)

    async def finder_for(self, target: Target) -> Callable[[str, int], Awaitable[tuple[str, ...]]]:
        """What finds those of any node of one target, by host and port. The target's own name is looked up
        once."""
        own = () if target.path else await self._dialer.resolve(target.host, target.port)
        neighbourhood = Neighbourhood(target.host, own, self._dialer.settings_of(target).allowance)
        return partial(self.find, target, neighbourhood)

    def _refuse(self, target: Target, text: str) -> NotAllowedError:
        text = self._dialer.passwords.redaction(target).clean(text)  # a server chose the name
        if text not in self._logged and len(self._logged) < LOGGED_MAX:
            self._logged.add(text)
            log.warning("%s", text, extra={"addr": target.addr})
        return NotAllowedError(text)
