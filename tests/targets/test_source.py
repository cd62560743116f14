"""Targets of several sources."""

from __future__ import annotations

from dataclasses import replace

from exporter.targets.address import parse_address
from exporter.targets.source import merge

ONE, OTHER = parse_address("redis://one"), parse_address("redis://other")


def test_of_two_with_one_address_the_first_one_counts() -> None:
    assert merge([(ONE,), (replace(ONE, alias="again"), OTHER)]) == [ONE, OTHER]


def test_nothing_is_nothing() -> None:
    assert merge([(), ()]) == []
