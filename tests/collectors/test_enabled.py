"""The collectors that run, each with the set of its families."""

from __future__ import annotations

from exporter.collectors._contract import AnyCollector
from exporter.collectors._enabled import enable, enable_all
from exporter.collectors.info import InfoCollector
from exporter.collectors.keys import KeysCollector
from exporter.collectors.scripts import ScriptsCollector
from exporter.collectors.slowlog import SlowlogCollector
from exporter.options.commandline import parse
from exporter.options.metrics_options import MetricsOptions


def options(*argv: str) -> MetricsOptions:
    return parse(argv, {}).metrics


def names(*collectors: AnyCollector) -> frozenset[str]:
    return frozenset(family.name for collector in collectors for family in collector.families)


def test_the_set_of_families_is_of_the_collector() -> None:
    made = enable(InfoCollector(), "cache", frozenset({"connected_clients"}), label_max=7).family_set
    assert (made.name, made.lane, made.label_max) == ("info", InfoCollector.lane, 7)
    assert made.wanted_fields == InfoCollector.wanted_fields
    assert b"cache_connected_clients" in made.names
    assert made.hidden == {made.numbers["connected_clients"]}


def test_families_of_run_time_and_shared_ones_are_for_those_that_say_so() -> None:
    assert enable(ScriptsCollector(), "redis").family_set.runtime_families is not None
    assert enable(SlowlogCollector(), "redis").family_set.runtime_families is None
    assert enable(KeysCollector(), "redis").family_set.shared_name == "keyspace"
    assert enable(SlowlogCollector(), "redis").family_set.shared_name == ""


def test_a_collector_of_which_nothing_is_shown_does_not_run() -> None:
    info, slowlog = InfoCollector(), SlowlogCollector()
    one_of_each = names(slowlog) - {"slowlog_length"}
    assert [each.collector for each in enable_all([slowlog], one_of_each, options())] == [slowlog]
    assert enable_all([slowlog], names(slowlog), options()) == []
    hidden = names(info, slowlog)
    assert [each.collector for each in enable_all([slowlog, info], hidden, options())] == [info]


def test_the_options_give_namespace_and_length() -> None:
    [made] = enable_all([InfoCollector()], frozenset(), options("--namespace=cache", "--max-label-length=9"))
    assert made.family_set.names[0].startswith(b"cache_")
    assert made.family_set.label_max == 9
