"""The addresses at which targets may be dialled that requests name. Pure, but for the look-up.

A client of `/scrape` can name any address. A name is looked up, its addresses are checked, and those very
addresses are dialled: at each dial again, because the address behind a name can change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from exporter.connection.neighbourhood import read_host
from exporter.connection.settings import DialSettings
from exporter.errors import NotAllowedError, RefusedError, RequestError, TargetError
from exporter.node_allowance import Address, Allowance, embedded, plain_address
from exporter.targets.target import Target

FLAG = "--scrape.allow"
KEY = "the key allow of the group that auth names"

log = logging.getLogger(__name__)


class _BarredError(RefusedError):
    """A target may be dialled at none of its addresses, and `rule` says which rule does not hold them."""

    def __init__(self, target: Target, rule: str, addresses: Sequence[str]) -> None:
        super().__init__(
            f"{target.addr} is not dialled: {rule} does not hold its address ({', '.join(addresses[:2])})"
        )
        self.rule = rule


class RequestedDialer(Protocol):
    """What is needed of a `Dialer` here."""

    def settings_of(self, target: Target) -> DialSettings: ...
    async def resolve(self, host: str, port: int, *, trusted: bool = True) -> tuple[str, ...]: ...


def allowed(allowance: Allowance | None, target: Target, addresses: Sequence[str]) -> tuple[str, ...]:
    """Those of a target's addresses at which it may be dialled, in their order: all, unless a request named
    it; without an `allowance` all but link-local ones. RefusedError if there are none."""
    if target.source != "adopted" or target.addresses:
        return tuple(addresses)
    host = target.host.rstrip(".")
    rules = {FLAG: allowance} if target.login_allow is None else {FLAG: allowance, KEY: target.login_allow}
    found = list(map(plain_address, addresses))
    for name, rule in rules.items():
        found = [address for address in found if _admits(rule, host, address)]
        if not found:
            raise _BarredError(target, name, addresses)
    return tuple(map(str, found))


async def check(dialer: RequestedDialer, target: Target, timeout_s: float) -> None:
    """Raise NotAllowedError if a target may not be dialled at any address that it has now, and RequestError
    if its host is no name and no address written in full. A name that cannot be looked up in this time is
    judged when it is dialled."""
    try:
        address = read_host(target.host)
    except ValueError as error:
        raise RequestError(f"target: the host cannot be dialled: {error}") from None
    try:
        async with asyncio.timeout(timeout_s):
            found = (
                (address,)
                if address is not None
                else await dialer.resolve(target.host, target.port, trusted=False)
            )
        allowed(dialer.settings_of(target).scrape_allow, target, found)
    except _BarredError as error:
        log.info("%s", error, extra={"addr": target.addr})  # the answer does not name addresses
        raise NotAllowedError(f"target: {error.rule} does not allow {target.addr}") from None
    except (TargetError, TimeoutError):
        pass


def _admits(allowance: Allowance | None, host: str, address: Address) -> bool:
    """Whether a target of this host may be dialled at this address."""
    networks = allowance.networks if allowance is not None else ()
    if any(each.is_link_local for each in (address, embedded(address)) if each is not None):
        return any(address in network and network.is_link_local for network in networks)
    if allowance is None or any(address in network for network in networks):
        return True
    return allowance.holds_name(host)
