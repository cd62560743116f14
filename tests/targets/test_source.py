"""Targets of several sources."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from exporter.targets.address import parse_address
from exporter.targets.source import SourceHealth, merge
from exporter.targets.target import NodeFacts

ONE, OTHER = parse_address("redis://one"), parse_address("redis://other")


def test_of_two_with_one_address_the_first_one_counts() -> None:
    assert merge([(ONE,), (replace(ONE, alias="again"), OTHER)]) == [ONE, OTHER]


def test_it_has_what_discovery_knows_of_it() -> None:
    node = NodeFacts(cluster="c")
    found = replace(ONE, source="discovered", node=node)
    assert merge([(ONE,), (found, OTHER)]) == [replace(ONE, node=node), OTHER]
    assert merge([(found,)]) == [found]


def test_nothing_is_nothing() -> None:
    assert merge([(), ()]) == []


class TestHealth:
    def test_a_failure_is_counted_each_time_and_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        health = SourceHealth()
        for problem in ("no", "no", "never"):
            health.fail("a.yml", problem)
        assert health.failures == 3
        assert [vars(record)["err"] for record in caplog.records] == ["a.yml: no", "a.yml: never"]
        health.fault("a.yml", "")
        health.fail("a.yml", "never")
        assert len(caplog.records) == 3  # it was over meanwhile

    def test_a_success_has_its_time(self) -> None:
        health = SourceHealth()
        assert health.succeeded_at is None
        before = time.time()
        health.succeed()
        assert health.succeeded_at is not None
        assert before <= health.succeeded_at <= time.time()
