"""How much was sent to one target and received from it, over all its connections."""

from __future__ import annotations


class Traffic:
    """Counters. Bytes are those of commands and replies: TLS and TCP add theirs."""

    __slots__ = ("connections", "received", "sent")

    def __init__(self) -> None:
        self.connections = 0
        self.received = 0
        self.sent = 0
