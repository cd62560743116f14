"""Target groups in the form of Prometheus' file_sd and http_sd."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.targets.shared_keys import LABELS_MAX
from exporter.targets.target_groups import Found, TargetGroupsError, read_json, read_yaml_text


def read(*groups: Any) -> Found:
    return read_json(json.dumps(groups), "file_sd")


def test_targets_in_any_spelling_get_the_labels_of_their_group() -> None:
    found = read(
        {"targets": ["10.0.0.1", "rediss://H:7000/1"], "labels": {"env": "x", "team": "a b"}},
        {"targets": ["redis://:pw@[::1]:6380"]},
    )
    assert [target.addr for target in found.targets] == [
        "redis://10.0.0.1:6379",
        "rediss://h:7000/1",
        "redis://[::1]:6380",
    ]
    assert [target.labels for target in found.targets] == [(("env", "x"), ("team", "a b"))] * 2 + [()]
    assert {target.source for target in found.targets} == {"file_sd"}
    assert found.targets[2].password == "pw"
    assert found.faults == ()


def test_some_labels_mean_something_here() -> None:
    [target] = read(
        {
            "targets": ["h"],
            "labels": {"alias": "orders", "__group__": "cache", "__meta_pod": "x", "__address__": "y"},
        }
    ).targets
    assert (target.alias, target.settings_group, target.labels) == ("orders", "cache", ())


def test_yaml_and_json_are_read_alike() -> None:
    text = "- targets: [h, 'g:7000']\n  labels: {number: 010, on: yes}\n"
    found = read_yaml_text(text, "file_sd")
    assert found == read({"targets": ["h", "g:7000"], "labels": {"number": "010", "on": "yes"}})
    assert read_yaml_text("", "file_sd") == read() == Found([], ())


def test_of_one_address_the_first_counts() -> None:
    found = read({"targets": ["h"], "labels": {"a": "1"}}, {"targets": ["redis://h:6379/0"]})
    assert [target.labels for target in found.targets] == [(("a", "1"),)]


def test_a_target_or_label_that_is_wrong_costs_only_itself() -> None:
    found = read({"targets": ["good", "s3cret@ h", "http://x"], "labels": {"a/b": "1", "le": "1", "c": "1"}})
    [target] = found.targets
    assert target.labels == (("c", "1"),)
    assert len(found.faults) == 4
    assert found.faults[2].startswith("group 1, target 2: ")
    assert "s3cret" not in "".join(found.faults)


def test_of_many_labels_only_the_first_are_used() -> None:
    """Each series of a target repeats them all."""
    found = read({"targets": ["h"], "labels": {f"l{number}": "x" for number in range(3000)}})
    [target] = found.targets
    assert target.labels == tuple((f"l{number}", "x") for number in range(LABELS_MAX))
    assert found.faults == (f"group 1: of 3,000 labels only the first {LABELS_MAX} are used",)
    full = read({"targets": ["h"], "labels": {f"l{number}": "x" for number in range(LABELS_MAX)}})
    assert full == (found.targets, ())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"targets": ["h"]}, "it is no list of target groups"),
        ([["h"]], "group 1 is no map"),
        ([None], "group 1 is no map"),
        ([{"targets": ["h"]}, {"target": ["h"]}], "group 2: only targets and labels may be keys"),
        ([{"targets": "h"}], "group 1: targets must be a list of texts"),
        ([{"targets": [1]}], "group 1: targets must be a list of texts"),
        ([{"targets": ["h"], "labels": {"a": 1}}], "group 1: labels must be a map of texts"),
    ],
)
def test_what_prometheus_would_not_take_is_refused_whole(content: Any, why: str) -> None:
    with pytest.raises(TargetGroupsError, match=why):
        read_json(json.dumps(content), "file_sd")


@pytest.mark.parametrize("text", ['[{"targets": ', "[" * 100_000, "1" * 10_000, ""])
def test_broken_json(text: str) -> None:
    with pytest.raises(TargetGroupsError, match="not valid JSON"):
        read_json(text, "http_sd")


def test_broken_yaml_has_its_line() -> None:
    with pytest.raises(TargetGroupsError, match="line 2: not valid YAML"):
        read_yaml_text("- targets: [h]\n   labels: {", "file_sd")
