"""Which of a host's addresses one dial tries. Pure.

A name can have thousands of addresses. A dial tries a few of them, and the next one goes on where it ended:
so a good one among many is found in the end, and is where the next dial begins.
"""

from __future__ import annotations

from collections.abc import Sequence

#: addresses that one dial tries
TRIED_MAX = 8
#: hosts with more addresses that are remembered
HOSTS_MAX = 10_000


class Candidates:
    """Remembers hosts that have more than `TRIED_MAX` addresses."""

    def __init__(self) -> None:
        self._begins: dict[
            str, int
        ] = {}  # by host: where its next dial begins, among its addresses in a fixed order

    def choose(self, host: str, addresses: Sequence[str]) -> Sequence[str]:
        """Those to try now, in this order. The first time they are the first ones of the resolver's order."""
        begin = self._begins.get(host)
        if len(addresses) <= TRIED_MAX or begin is None:
            return addresses[:TRIED_MAX]
        ordered = sorted(addresses)
        begin %= len(ordered)
        return [*ordered[begin:], *ordered[:begin]][:TRIED_MAX]

    def note(self, host: str, addresses: Sequence[str], reached: str | None) -> None:
        """A dial has ended: at this address, or at none."""
        if len(addresses) <= TRIED_MAX:
            return
        if len(self._begins) >= HOSTS_MAX and host not in self._begins:
            self._begins.clear()
        if reached is not None:
            self._begins[host] = sorted(addresses).index(reached)
        elif host in self._begins:
            self._begins[host] = (self._begins[host] + TRIED_MAX) % len(addresses)
        else:
            self._begins[host] = 0
