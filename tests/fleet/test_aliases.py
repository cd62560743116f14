"""Which target an alias names."""

from __future__ import annotations

from exporter.fleet.aliases import Aliases
from tests.fleet.test_fleet import watched


def test_of_those_that_share_one_the_last_that_is_there_counts() -> None:
    aliases, one, other = Aliases(), watched("redis://one", "same"), watched("redis://other", "same")
    aliases.add(one)
    aliases.add(other)
    assert aliases.find("same") is other
    aliases.remove("same", "redis://other:6379")
    assert aliases.find("same") is one
    aliases.remove("same", "redis://one:6379")
    assert aliases.find("same") is None


def test_a_target_without_one_has_none() -> None:
    aliases = Aliases()
    aliases.add(watched("redis://one"))
    aliases.remove("", "redis://one:6379")
    assert aliases.find("") is None
