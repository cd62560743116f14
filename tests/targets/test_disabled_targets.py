"""Targets with `enabled: false`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.errors import NotAllowedError
from exporter.targets.address import parse_address
from exporter.targets.disabled_targets import DisabledTargets

ON = parse_address("redis://on")
OFF = replace(parse_address("redis://off"), enabled=False)
NAMED = replace(parse_address("redis://named"), enabled=False, alias="orders")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("redis://off:6379", "redis://off:6379"),
        ("off", "redis://off:6379"),
        ("redis://:secret@OFF:6379/0", "redis://off:6379"),
        ("orders", "orders"),
        ("named", "orders"),
    ],
)
def test_each_is_known_by_alias_and_by_address_in_any_spelling(text: str, name: str) -> None:
    with pytest.raises(NotAllowedError) as caught:
        DisabledTargets([ON, OFF, NAMED]).refuse(text)
    assert str(caught.value) == f"{name} is not polled: its configuration says `enabled: false`"


def test_others_are_none_of_them() -> None:
    for text in ("on", "elsewhere", "a:b:c", ""):
        DisabledTargets([ON, OFF]).refuse(text)
    DisabledTargets([ON]).refuse("off")


def test_the_log_says_how_many_there_are() -> None:
    assert DisabledTargets([ON, OFF]).notes == ("1 target is not polled: enabled is false",)
    assert DisabledTargets([OFF, NAMED]).notes == ("2 targets are not polled: enabled is false",)
    assert DisabledTargets([ON]).notes == ()
