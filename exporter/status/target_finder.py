"""Finds the target that a name or a key means: a configured one, or one that only requests ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from exporter.errors import ConfigError
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address


class Findable(Protocol):
    """What is needed of the fleet."""

    @property
    def adopted_targets(self) -> Mapping[str, WatchedTarget]: ...
    def find(self, text: str) -> WatchedTarget | None: ...


def find_target(fleet: Findable, text: str) -> WatchedTarget | None:
    """The target of this alias or address, the name of one that requests have made of another, or a key. If
    there is none, a text that is no address raises a ConfigError that says why."""
    found = mistake = None
    try:
        found = fleet.find(text) or fleet.adopted_targets.get(parse_address(text).addr)
    except ConfigError as error:
        mistake = error
    found = found or fleet.adopted_targets.get(text) or _variant(fleet, text)
    if found is None and mistake is not None:
        raise mistake
    return found


def _variant(fleet: Findable, text: str) -> WatchedTarget | None:
    """The one whose name is that of a target, and a number."""
    name, _, variant = text.rpartition(" ")
    try:
        origin = fleet.find(name)
        addr = origin.target.addr if origin is not None else parse_address(name).addr
    except ConfigError:
        return None
    return fleet.adopted_targets.get(f"{addr} {variant}")
