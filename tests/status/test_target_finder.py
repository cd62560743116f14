import pytest

from exporter.errors import ConfigError
from exporter.status.rows import name_of
from exporter.status.target_finder import find_target
from tests.status.members import Members


def test_each_is_found_by_its_name_and_key() -> None:
    fleet = Members()
    members = [
        fleet.add("first", alias="orders"),
        fleet.add("first", alias="orders", variant="0123", source="adopted"),
        fleet.add("first", alias="orders", variant="4567", source="adopted"),
        fleet.add("second", source="adopted"),
        fleet.add("second", variant="0123", source="adopted"),
    ]
    assert len({name_of(watched.target) for watched in members}) == len(members)
    for watched in members:
        assert find_target(fleet, name_of(watched.target)) is watched
        assert find_target(fleet, watched.target.key) is watched


def test_what_is_missing_is_none_or_a_mistake() -> None:
    assert find_target(Members(), "redis://nobody:6379") is None
    with pytest.raises(ConfigError, match="port"):
        find_target(Members(), "nobody:port")
