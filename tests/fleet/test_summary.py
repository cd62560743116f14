"""What differs within groups of targets."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.fleet.summary import FleetSummary
from exporter.polling.memory import TargetMemory
from exporter.protocol.cluster import ClusterView, parse_nodes
from exporter.protocol.facts import make_facts
from exporter.targets.address import parse_address
from exporter.targets.target import NodeFacts

NODES = parse_nodes(
    "a 10.0.0.2:6379@16379 master - 0 0 1 connected 0-5\n"
    "b 10.0.0.1:6379@16379 myself,master - 0 0 2 connected 6-9\n"
)


class FakeWatched:
    """A target that was polled."""

    def __init__(self, addr: str, group: str = "", **target: Any) -> None:
        self.target = replace(parse_address(addr), **target)
        self.up: bool | None = True
        self.state = SimpleNamespace(memory=TargetMemory(), labels=SimpleNamespace(group=group))
        self.runs("7.0.15")

    def runs(self, version: str, role: str = "master", replicas: int = 1) -> None:
        memory = self.state.memory
        memory.facts = make_facts({"redis_version": version.encode(), "role": role.encode()}, 16)
        memory.replication_section = (
            f"# Replication\r\nrole:{role}\r\nconnected_slaves:{replicas}\r\n".encode()
        )


@pytest.fixture
def summary() -> Any:
    return FleetSummary()


def test_a_single_target_is_not_summed_up(summary: Any) -> None:
    summary.note(FakeWatched("redis://a"))
    assert (summary.versions, summary.masters_without_replicas, summary.uncovered_slots) == ({}, {}, {})


def test_versions_are_counted_by_group(summary: Any) -> None:
    targets = [FakeWatched(f"redis://{name}", name[0]) for name in ("a1", "a2", "a3", "b1", "b2")]
    targets[1].runs("7.2.4")
    for each in targets:
        summary.note(each)
    assert summary.versions == {"a": 2, "b": 1}
    targets[1].runs("7.0.15")
    summary.note(targets[1])
    assert summary.versions == {"a": 1, "b": 1}


def test_without_a_label_the_group_of_the_file_counts(summary: Any) -> None:
    for name in ("x", "y"):
        summary.note(FakeWatched(f"redis://{name}", settings_group="caches"))
    assert summary.versions == {"caches": 1}


def test_masters_without_replicas(summary: Any) -> None:
    targets = [FakeWatched(f"redis://{number}") for number in range(3)]
    targets[0].runs("7.0.15", replicas=0)
    targets[1].runs("7.0.15", role="slave", replicas=0)
    for each in targets:
        summary.note(each)
    assert summary.masters_without_replicas == {"": 1}
    targets[0].runs("7.0.15", replicas=2)
    summary.note(targets[0])
    assert summary.masters_without_replicas == {"": 0}


def test_configurations_are_counted_where_they_are_read(summary: Any) -> None:
    targets = [FakeWatched(f"redis://{number}") for number in range(3)]
    for each in targets:
        summary.note(each)
    assert summary.configurations == {}
    for each, hash in zip(targets, ("one", "one", "other"), strict=True):
        each.state.memory.configuration = hash
        summary.note(each)
    assert summary.configurations == {"": 2}


def test_uncovered_slots_are_what_most_nodes_see(summary: Any) -> None:
    for number, uncovered in enumerate((5, 5, 16384)):
        node = FakeWatched(f"redis://n{number}")
        node.state.memory.cluster = ClusterView(NODES, 0.0, uncovered)
        summary.note(node)
    assert summary.uncovered_slots == {"10.0.0.1:6379": 5}


@pytest.mark.parametrize(
    ("group", "target", "name"),
    [
        ("g", {"labels": (("cluster", "orders"),)}, "orders"),
        ("g", {"node": NodeFacts(cluster="discovered")}, "discovered"),
        ("g", {}, "g"),
        ("", {"settings_group": "file"}, "file"),
        ("", {}, "10.0.0.1:6379"),
    ],
)
def test_a_cluster_has_the_name_that_it_was_given(
    summary: Any, group: str, target: dict[str, Any], name: str
) -> None:
    node = FakeWatched("redis://n", group, **target)
    node.state.memory.cluster = ClusterView(NODES, 0.0, 1)
    summary.note(node)
    assert summary.uncovered_slots == {name: 1}


@pytest.mark.parametrize("apart", [{"elsewhere": True}, {"node": NodeFacts(is_endpoint=True)}])
def test_what_counts_elsewhere_does_not_count_here(summary: Any, apart: dict[str, Any]) -> None:
    targets = [FakeWatched(f"redis://{number}") for number in range(3)]
    for each in targets:
        each.runs("7.0.15", replicas=0)
        summary.note(each)
    assert summary.masters_without_replicas == {"": 3}
    targets[0].target = replace(targets[0].target, **apart)
    summary.note(targets[0])
    assert summary.masters_without_replicas == {"": 2}


def test_nothing_is_left_of_what_is_forgotten(summary: Any) -> None:
    targets = [FakeWatched(f"redis://{number}", "g") for number in range(3)]
    for each in targets:
        each.state.memory.cluster = ClusterView(NODES, 0.0, 1)
        each.state.memory.configuration = "hash"
        summary.note(each)
    for each in targets:
        summary.forget(each.target.key)
        summary.forget(each.target.key)
    assert [value for value in vars(summary).values() if value] == []
