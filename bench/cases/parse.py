"""INFO to exposition bytes, beside a newline scan of the same bytes, and beside redis-py with
prometheus-client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from redis._parsers.helpers import parse_info

from bench.figures import Figure, at_least, at_most, plain
from bench.fleet import family_set_of, recorded
from bench.measure import least_us, newline_scan_us
from bench.setup import Result, Setup
from exporter import engine
from exporter.collectors._registry import REGISTRY
from exporter.collectors._shown import hidden_families
from exporter.metrics.family_set import FamilySet, make_family_set
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse

SHORT = b'addr="redis://10.0.0.1:6379"'
LONG = b'addr="redis://10.20.30.40:6379",alias="orders-main"'


def run(setup: Setup) -> Result:
    times, rounds = (20, 3) if setup.quick else (300, 25)
    default = recorded("redis-7.0.15", "info_default.txt")
    everything = recorded("redis-7.0.15", "info_all.txt")
    second_names = hidden_families(REGISTRY, parse(["--second-names=none"], {}).metrics, {})
    figures = [plain("engine compiled", float(engine.ENGINE == "compiled"))]

    scan_us, _ = newline_scan_us(default, times, rounds)
    info = family_set_of("info")
    took_us, series = _read_us(info, default, SHORT, times, rounds)
    figures += [
        plain("default INFO: newline scan", scan_us, "µs", f"{len(default):,} bytes"),
        plain("default INFO: to exposition bytes", took_us, "µs", f"{series} samples"),
        at_most("default INFO: parse / scan", took_us / scan_us, 5),
    ]

    scan_us, _ = newline_scan_us(everything, times, rounds)
    bare_us, bare_series = _read_us(_everything(second_names), everything, LONG, times, rounds)
    full_us, full_series = _read_us(_everything(frozenset()), everything, LONG, times, rounds)
    figures += [
        plain("INFO all: newline scan", scan_us, "µs", f"{len(everything):,} bytes"),
        at_most(
            "INFO all without second names: parse / scan",
            bare_us / scan_us,
            14,
            detail=f"{bare_us:.1f} µs, {bare_series} samples",
        ),
        at_most(
            "INFO all with everything: a sample",
            full_us * 1000 / full_series,
            30,
            "ns",
            f"{full_us:.1f} µs, {full_series} samples",
        ),
        plain("INFO all: scan, a sample", scan_us * 1000 / full_series, "ns"),
    ]
    return Result(figures + _rivals(info, default, 1 if setup.quick else 20, rounds))


def _everything(hidden: frozenset[str]) -> FamilySet:
    """The families of INFO and of its statistics as one family set: one pass over one text."""
    families = [family for collector in REGISTRY for family in collector.families if family.source]
    return make_family_set("everything", Lane.FAST, families, namespace="redis", hidden=hidden)


def _read_us(family_set: FamilySet, text: bytes, labels: bytes, times: int, rounds: int) -> tuple[float, int]:
    """Microseconds to read a text into a block, and how many samples that makes."""
    forms = engine.Labels(labels)
    order = engine.LineOrder()
    plan = family_set.plan
    assert plan is not None
    series = plan.read(text, forms, order, 1.7e9, 16).series
    return least_us(lambda: plan.read(text, forms, order, 1.7e9, 16), times, rounds), series


class _Again:
    """Yields the families of a page again, sample by sample, as collectors of prometheus-client are
    written."""

    def __init__(self, page: str) -> None:
        self._families = [
            (
                CounterMetricFamily if family.type == "counter" else GaugeMetricFamily,
                family.name,
                family.documentation,
                tuple(family.samples[0].labels),
                [(tuple(sample.labels.values()), str(sample.value)) for sample in family.samples],
            )
            for family in text_string_to_metric_families(page)
        ]

    def collect(self) -> list[Metric]:
        made: list[Metric] = []
        for kind, name, text, labels, samples in self._families:
            family = kind(name, text, labels=labels)
            for values, value in samples:
                family.add_metric(values, float(value))
            made.append(family)
        return made


def _rivals(info: FamilySet, text: bytes, times: int, rounds: int) -> list[Figure]:
    forms = engine.Labels(SHORT)
    order = engine.LineOrder()
    assert info.plan is not None
    plan = info.plan
    block = plan.read(text, forms, order, 1.7e9, 16)
    registry = CollectorRegistry()
    registry.register(_Again(block.samples.decode()))
    shown = text.decode()

    def rival() -> bytes:
        parse_info(shown)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    rival_us = least_us(rival, times, min(rounds, 5))
    ours_us = least_us(lambda: plan.read(text, forms, order, 1.7e9, 16), times * 10, rounds)
    return [
        plain("redis-py and prometheus-client, the same samples", rival_us, "µs"),
        at_least("times faster than redis-py and prometheus-client", rival_us / ours_us, 300),
    ]
