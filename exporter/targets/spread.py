"""Spreading targets over time slots, turns and pages by a hash of their address. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

#: What is spread. Each purpose has hashes of its own: were they the same, all targets of one page slice could
#: share one time slot.
Purpose = Literal["time slot", "lane turn", "scan turn", "connection age", "page slice", "look-up", "shard"]


def spread(name: str, purpose: Purpose) -> int:
    """A number from 0 to 2**64 - 1, the same after a restart and on every machine.

    It is a part of SHA-256, because a salted CRC is not enough: two CRCs of one name with different salts
    differ by the same bits for all names of one length.
    """
    digest = sha256(f"{purpose} {name}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8])
