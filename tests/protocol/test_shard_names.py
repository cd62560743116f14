"""Names of shards, which are to stay whatever happens to the nodes."""

from __future__ import annotations

from exporter.protocol.neighbours import NamedServer
from exporter.protocol.shard_names import ShardNames


def master(id: str, *, slots: bool = True) -> NamedServer:
    return NamedServer("h", 1, "master", id, has_slots=slots)


def replica(id: str, of: str) -> NamedServer:
    return NamedServer("h", 1, "slave", id, of)


def test_a_shard_has_the_lowest_id_of_its_nodes() -> None:
    names = ShardNames().assign([master("m1"), replica("b", "m1"), master("m2"), replica("z", "m2")])
    assert names == {"m1": "b", "b": "b", "m2": "m2", "z": "m2"}


def test_a_failover_does_not_change_it() -> None:
    shards = ShardNames()
    before = shards.assign([master("a"), replica("b", "a")])
    assert shards.assign([master("b"), replica("a", "b")]) == before
    assert shards.assign([master("b"), master("a", slots=False)]) == before  # the old master is down


def test_nor_does_a_restart_of_the_exporter_after_it() -> None:
    assert ShardNames().assign([master("b"), replica("a", "b")]) == {"a": "a", "b": "a"}


def test_nor_do_nodes_that_are_replaced_one_after_the_other() -> None:
    shards = ShardNames()
    shards.assign([master("m"), replica("a", "m")])
    assert shards.assign([master("m"), replica("c", "m")]) == {"m": "a", "c": "a"}
    assert shards.assign([master("c"), replica("d", "c")]) == {"c": "a", "d": "a"}


def test_a_replica_that_moves_to_another_shard_takes_no_name_with_it() -> None:
    shards = ShardNames()
    shards.assign([master("m"), replica("a", "m"), replica("b", "m"), master("n")])
    assert shards.assign([master("m"), replica("b", "m"), master("n"), replica("a", "n")]) == {
        **{"m": "a", "b": "a"},
        **{"n": "n", "a": "n"},
    }


def test_two_shards_with_slots_never_share_a_name() -> None:
    shards = ShardNames()
    shards.assign([master("m"), replica("a", "m")])
    assert shards.assign([master("m"), master("a")]) == {"a": "a", "m": "m"}


def test_a_replica_whose_master_is_not_listed_has_a_shard_too() -> None:
    assert ShardNames().assign([replica("r", "gone")]) == {"r": "r"}


def test_a_node_without_a_role_has_none_and_an_empty_list_forgets_nothing() -> None:
    shards = ShardNames()
    shards.assign([master("m"), replica("a", "m")])
    assert shards.assign([NamedServer("h", 1, "", "x")]) == {}
    assert shards.assign([master("m")]) == {"m": "a"}
