"""Which targets this exporter polls when several exporters share them.

The owner of a target follows from its canonical address and the number of shards alone, so every exporter
knows it without asking another one.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.errors import ConfigError
from exporter.options.target_options import TargetOptions
from exporter.targets.address import parse_address
from exporter.targets.spread import spread
from exporter.targets.target import Target

_ORDINAL = re.compile(r"[^.]*-([0-9]{1,9})(?:\..*)?\Z", re.DOTALL)
_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `total` exporters; the first one has the `index` 0."""

    index: int
    total: int


def owner(addr: str, total: int) -> int:
    """The index of the shard that has this canonical address. With one shard more, only the targets move that
    the new one gets: about one of `total` + 1."""
    return jump_hash(spread(addr, "shard"), total)


def jump_hash(key: int, buckets: int) -> int:
    """The jump consistent hash of Lamping and Veach: a bucket for a 64-bit key."""
    bucket = jump = 0
    while jump < buckets:
        bucket = jump
        key = (key * 2862933555777941757 + 1) & _MASK
        jump = int((bucket + 1) * (2**31 / ((key >> 33) + 1)))
    return bucket


def shard_of(options: TargetOptions) -> Shard | None:
    """The shard that the options name, None without one. ConfigError if there is no such shard."""
    index, total = options.shard_index, options.shard_total
    if index is None:
        if total > 1:
            raise ConfigError(
                f"--shard.total={total} needs this exporter's own number: write --shard.index=0 to "
                f"{total - 1}, or --shard.index=auto in a StatefulSet"
            )
        return None
    shown = f"--shard.index={index}"
    if isinstance(index, str):
        name = os.environ.get("HOSTNAME") or socket.gethostname()
        match = _ORDINAL.match(name)
        if match is None:
            raise ConfigError(
                f"--shard.index=auto: the host name {name} does not end in a number, as the pods of a "
                f"StatefulSet do (redpoll-0, redpoll-1): write the index itself"
            )
        index = int(match[1])
        shown = f"--shard.index=auto is {index}, by the host name {name}"
    if index >= total:
        raise ConfigError(
            f"{shown}: with --shard.total={total} the last one is {total - 1}: write a smaller index, or "
            f"--shard.total={index + 1} or more for all exporters"
        )
    return Shard(index, total)


@dataclass(frozen=True, slots=True)
class Division:
    """What becomes of all targets: `configured` is how many are enabled, `polled` are polled here. Those of
    them that another shard owns are seeds of discovery, `seeds_elsewhere` in number: each shard finds its own
    nodes. `aliases` has the addresses of what others own by alias."""

    shard: Shard | None
    configured: int
    polled: Sequence[Target]
    seeds_elsewhere: int = 0
    aliases: Mapping[str, str] = field(default_factory=dict)

    def other_owner(self, text: str) -> int | None:
        """The index of another shard that polls what an alias or an address names. None: it is this
        exporter's own, or no address."""
        shard = self.shard
        if shard is None:
            return None
        try:
            addr = self.aliases.get(text) or parse_address(text).addr
        except ConfigError:
            return None
        found = owner(addr, shard.total)
        return found if found != shard.index else None


def divide(targets: Sequence[Target], shard: Shard | None) -> Division:
    """Keep the targets that a shard owns, and the seeds; all of them without a shard."""
    if shard is None:
        return Division(None, len(targets), targets)
    polled: list[Target] = []
    aliases: dict[str, str] = {}
    for target in targets:
        elsewhere = owner(target.addr, shard.total) != shard.index
        is_seed = bool(target.discover) and target.source != "discovered"
        if is_seed or not elsewhere:
            polled.append(replace(target, elsewhere=True) if elsewhere else target)
        if elsewhere and target.alias:
            aliases[target.alias] = target.addr
    seeds_elsewhere = sum(target.elsewhere and target.enabled for target in polled)
    enabled = sum(target.enabled for target in targets)
    return Division(shard, enabled, polled, seeds_elsewhere, aliases)
