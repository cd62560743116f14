"""The rows of one module are in the one table, each with a value."""

from __future__ import annotations

from dataclasses import fields

import pytest

from exporter.options.commandline import parse
from exporter.options.table import OPTIONS
from exporter.options.target_options import AUTO, DISCOVER, TargetOptions, parse_discover, parse_shard_index


@pytest.mark.parametrize("members", [TargetOptions])
def test_each_field_is_a_row(members: type) -> None:
    options = parse([], {})
    rows = {(option.group, option.attribute): option for option in OPTIONS}
    [name] = [each.name for each in fields(options) if type(getattr(options, each.name)) is members]
    for member in fields(members):
        assert getattr(getattr(options, name), member.name) == rows[name, member.name].type.parse(
            rows[name, member.name].default
        ), member.name


@pytest.mark.parametrize(("text", "index"), [("", None), ("0", 0), ("12", 12), ("auto", AUTO)])
def test_the_index_of_a_shard(text: str, index: object) -> None:
    assert parse_shard_index(text) == index


@pytest.mark.parametrize("text", ["-1", "one", "1.5", "AUTO"])
def test_what_is_no_index_of_a_shard(text: str) -> None:
    with pytest.raises(ValueError, match="or auto"):
        parse_shard_index(text)


def test_which_neighbours_a_target_names() -> None:
    assert [parse_discover(text) for text in DISCOVER] == ["", "cluster", "sentinel", "replicas"]
    with pytest.raises(ValueError, match="write one of none, cluster, sentinel, replicas"):
        parse_discover("nodes")
