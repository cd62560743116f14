"""The collectors that run: those that the options ask for, each with the set of its families."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.collectors._contract import AnyCollector
from exporter.metrics.family_set import LABEL_MAX, FamilySet, make_family_set
from exporter.metrics.lane import Lane
from exporter.options.metrics_options import MetricsOptions
from exporter.options.table import Options


class EnabledCollector:
    """What runs in a poll, and what it writes. Equal to itself alone."""

    __slots__ = ("collector", "family_set", "lane", "name")

    def __init__(self, collector: AnyCollector, family_set: FamilySet) -> None:
        self.collector = collector
        self.family_set = family_set
        self.name = family_set.name
        self.lane = family_set.lane


def is_enabled(collector: AnyCollector, options: Options) -> bool:
    """Whether the options ask for it and do not switch it off."""
    return collector.name not in options.metrics.collectors_off and collector.enabled(options)


def lane_of(collector: AnyCollector, *, thrifty: bool = True) -> Lane:
    """The lane of a collector, by --poll.thrifty."""
    return collector.lane if thrifty else collector.unthrifty_lane or collector.lane


def enable(
    collector: AnyCollector,
    namespace: str,
    hidden: frozenset[str] = frozenset(),
    label_max: int = LABEL_MAX,
    *,
    thrifty: bool = True,
) -> EnabledCollector:
    """Number and compile the families of one collector."""
    return EnabledCollector(
        collector,
        make_family_set(
            collector.name,
            lane_of(collector, thrifty=thrifty),
            collector.families,
            namespace=namespace,
            hidden=hidden,
            wanted_fields=collector.wanted_fields,
            label_max=label_max,
            shared_name=collector.memory_name,
            grows=collector.has_runtime_families,
        ),
    )


def enable_all(
    collectors: Iterable[AnyCollector],
    hidden: frozenset[str],
    options: MetricsOptions,
    *,
    thrifty: bool = True,
) -> list[EnabledCollector]:
    """The collectors that write something that is shown, and the one that identifies the server."""
    return [
        enable(collector, options.namespace, hidden, options.max_label_length, thrifty=thrifty)
        for collector in collectors
        if collector.identifies or any(family.name not in hidden for family in collector.families)
    ]
