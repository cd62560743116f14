"""Which families the options show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from exporter.collectors._contract import AnyCollector
from exporter.metrics.family import Family, Field, MetricType, NameSet
from exporter.options.metrics_options import MetricsOptions

#: a second name that `scalar` shows too, though each command has it: dashboards that people use ask for it
KEPT = "command_call_duration_seconds"


def hidden_families(
    collectors: Iterable[AnyCollector], options: MetricsOptions, gated: Mapping[str, bool]
) -> frozenset[str]:
    """Families that the options leave out: second names, families behind a flag, families that are not
    allowed, and denied ones.

    `gated` says of the families behind a flag whether they are shown.
    """
    hidden = {name for name, shown in gated.items() if not shown}
    for collector in collectors:
        hidden.update(family.name for family in collector.families if _is_left_out(family, options))
    return frozenset(hidden)


def _is_left_out(family: Family, options: MetricsOptions) -> bool:
    if family.name_set is NameSet.SECOND:
        if options.second_names == "none":
            return True
        if options.second_names == "scalar" and _is_repeated(family) and family.name != KEPT:
            return True
    return not is_shown(family.name, options)


def _is_repeated(family: Family) -> bool:
    """Whether each command, key or stream has it. A line of INFO is there once, whatever its labels."""
    labelled = bool(family.labels) and not isinstance(family.source, Field)
    return labelled or family.type is MetricType.SUMMARY


def is_denied(name: str, options: MetricsOptions) -> bool:
    """Of the name of a family, with its namespace or without."""
    return _fits(name, options.namespace, options.deny)


def is_shown(name: str, options: MetricsOptions) -> bool:
    """Whether a family of that name may be shown: it is allowed, if only some are, and not denied."""
    return (not options.allow or _fits(name, options.namespace, options.allow)) and not is_denied(
        name, options
    )


def _fits(name: str, namespace: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is of the name, with its namespace or without."""
    prefix = f"{namespace}_" if namespace else ""
    bare = name.removeprefix(prefix)
    return any(fnmatchcase(bare, pattern) or fnmatchcase(prefix + bare, pattern) for pattern in patterns)
