"""What a request asks for on `/scrape`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from exporter.options.overrides import Overrides, overrides_of
from exporter.targets.target import Target


@dataclass(frozen=True, slots=True)
class Asked:
    """`text` is a target's alias or its address, `auth` the name of credentials for it. `overrides` are the
    keys to look at, in place of those of the flags."""

    text: str
    auth: str = ""
    overrides: Overrides = ()


def variant_of(target: Target, asked: Asked, variant: str) -> Target:
    """A target that is polled beside another one of its address, with what a request asks for."""
    overrides = overrides_of([*target.overrides, *asked.overrides])
    return replace(target, overrides=overrides, variant=variant)
