"""How much was sent to one target and received from it, over all its connections."""

from __future__ import annotations

from exporter import engine


class Traffic(engine.Traffic):
    """Counters. Bytes are those of commands and replies: TLS and TCP add theirs."""

    __slots__ = ()
