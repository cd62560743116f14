"""All collectors there are: exactly one identifies the server, and those that share a memory agree on it."""

from __future__ import annotations

from exporter.collectors._contract import Collector
from exporter.collectors._registry import REGISTRY
from exporter.polling.memory import TargetMemory


def test_exactly_one_identifies_the_server() -> None:
    assert [collector.name for collector in REGISTRY if collector.identifies] == ["info"]


def test_a_collector_either_identifies_or_collects() -> None:
    for collector in REGISTRY:
        made = type(collector)
        written = made.collect is not Collector.collect, made.identify is not Collector.identify
        assert written == (not collector.identifies, collector.identifies), collector.name


def test_collectors_of_one_memory_name_remember_the_same() -> None:
    memory = TargetMemory()
    kinds: dict[str, type] = {}
    for collector in REGISTRY:
        made = type(memory.of(collector))
        assert type(collector.new_memory()) is made, collector.name
        if collector.memory_name:
            assert kinds.setdefault(collector.memory_name, made) is made, collector.name


def test_every_family_is_described_and_every_field_asked_for_once() -> None:
    for collector in REGISTRY:
        assert collector.help.endswith("."), collector.name
        assert len(set(collector.wanted_fields)) == len(collector.wanted_fields), collector.name
