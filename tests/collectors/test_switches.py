"""Collectors by their names, and what switches each on."""

from __future__ import annotations

from exporter.collectors._enabled import is_enabled
from exporter.collectors._registry import REGISTRY
from exporter.collectors._switches import faults_of, switches
from exporter.options.commandline import parse


def test_each_flag_switches_its_collector_on() -> None:
    for collector in REGISTRY:
        flag = switches().get(collector.name)
        if flag:
            assert not is_enabled(collector, parse([], {}))
            assert is_enabled(collector, parse([f"--{flag}"], {}))


def test_what_runs_for_named_data_has_no_flag() -> None:
    assert {name for name, flag in switches().items() if flag is None} == {
        "keys", "found_keys", "streams", "found_streams", "key_scan", "key_groups", "scripts",
    }  # fmt: skip


def test_the_one_that_identifies_the_server_cannot_be_off() -> None:
    assert "info" not in switches()


def test_a_name_that_no_collector_has_is_a_fault() -> None:
    assert list(faults_of(["slowlog"])) == []
    [near, far] = faults_of(["slow_log", "weather"])
    assert near == (
        "--collectors.off: no collector that can be off is called slow_log: did you mean slowlog?"
    )
    assert far.startswith(
        "--collectors.off: no collector that can be off is called weather: write one of server, stats, "
    )
