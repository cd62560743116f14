"""The values of the options about which targets to poll."""

from __future__ import annotations

import pytest

from exporter.options.target_options import AUTO, DISCOVER, parse_discover, parse_shard_index


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
