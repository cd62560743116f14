"""Which of a host's addresses one dial tries. Pure.

A name can have thousands of addresses. A dial tries a few of them, and the next dial continues after them. So
a good address is found in the end, and the next dial begins with it.
"""

from __future__ import annotations

from collections.abc import Sequence

#: addresses that one dial tries
TRIED_MAX = 8
#: hosts that are remembered
HOSTS_MAX = 10_000


class Candidates:
    """Remembers hosts that have more than `TRIED_MAX` addresses."""

    def __init__(self) -> None:
        #: by host: where its next dial begins, among its addresses in a fixed order
        self._begins: dict[str, int] = {}

    def choose(self, host: str, addresses: Sequence[str]) -> Sequence[str]:
        """The addresses to try now, in this order. The first time, it is the resolver's order."""
        begin = self._begins.get(host)
        if len(addresses) <= TRIED_MAX or begin is None:
            return addresses[:TRIED_MAX]
        ordered = sorted(addresses)
        begin %= len(ordered)
        return [*ordered[begin:], *ordered[:begin]][:TRIED_MAX]

    def forget(self, host: str) -> None:
        """Forget where the next dial of a host begins."""
        self._begins.pop(host, None)

    def note(self, host: str, addresses: Sequence[str], reached: str | None) -> None:
        """A dial has reached this address, or none (None)."""
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
