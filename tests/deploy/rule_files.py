"""The rules of deploy/prometheus/rules as Prometheus reads them, and which labels their results have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

from exporter.collectors._registry import REGISTRY
from exporter.metrics.family import MetricType
from exporter.metrics.lane import Lane
from exporter.pages.exposition import AGE
from exporter.telemetry.own_series import FAMILIES as OWN_FAMILIES
from exporter.telemetry.process import FAMILIES as PROCESS_FAMILIES
from exporter.telemetry.target_series import FAMILIES as TARGET_FAMILIES

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules"
CASES = DEPLOY / "prometheus" / "tests"

#: labels of every scrape, and those that name a target in one arrangement or another
OF_SCRAPES = frozenset({"job", "instance"})
OF_TARGETS = OF_SCRAPES | {"addr", "alias"}
_SET_OPERATORS = ("and", "or", "unless")


@dataclass(frozen=True)
class Metric:
    """What is known of one name: `lanes` are those that values of a server come from, none of others."""

    type: MetricType
    labels: frozenset[str]
    lanes: frozenset[Lane] = frozenset()


def _metrics() -> dict[str, Metric]:
    found: dict[str, Metric] = {}
    for collector in REGISTRY:
        for family in collector.families:
            before = found.get(f"redis_{family.name}")
            lanes = {collector.lane} | (before.lanes if before else frozenset())
            found[f"redis_{family.name}"] = Metric(
                family.type, OF_TARGETS.union(family.labels), frozenset(lanes)
            )
    for family in (*TARGET_FAMILIES, AGE):
        found[f"redis_{family.name}"] = Metric(family.type, OF_TARGETS.union(family.labels))
    for own in OWN_FAMILIES:
        found[f"redis_{own.name}"] = Metric(own.type, OF_SCRAPES.union(own.labels))
    for process in PROCESS_FAMILIES:
        found[process.name] = Metric(process.type, OF_SCRAPES)
    for name in ("up", "scrape_duration_seconds"):  # Prometheus makes them of each scrape
        found[name] = Metric(MetricType.GAUGE, OF_SCRAPES)
    return found


METRICS = _metrics()


@dataclass(frozen=True)
class Rule:
    """One rule of a file. `interval` is that of its group, where it has its own."""

    topic: str
    spec: dict[str, Any]
    interval: str = ""

    @property
    def name(self) -> str:
        return str(self.spec.get("alert") or self.spec["record"])

    @property
    def tree(self) -> Any:
        return promql.parse(self.spec["expr"])

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.spec["annotations"])

    @property
    def severity(self) -> str:
        return str(self.spec["labels"]["severity"])

    @property
    def pending_for(self) -> str:
        """As it is written; "" of one that fires at once."""
        return str(self.spec.get("for", ""))

    def __str__(self) -> str:
        return self.name


def rules() -> list[Rule]:
    return [
        Rule(file.stem, spec, group.get("interval", ""))
        for file in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(file.read_text())["groups"]
        for spec in group["rules"]
    ]


def read_each_second(text: str) -> str:
    """A file of rules whose groups are all evaluated each second."""
    return re.sub(r"\binterval: \w+", "interval: 1s", text)


def alerts() -> list[Rule]:
    return [rule for rule in rules() if "alert" in rule.spec]


@dataclass(frozen=True)
class Selector:
    """`span` is the range that it looks back, in one piece or by an offset."""

    name: str
    matchers: tuple[tuple[str, str], ...]
    span: timedelta | None = None
    is_range: bool = False
    function: str = ""


def selectors(node: Any, function: str = "") -> Iterator[Selector]:
    """All of an expression. `function` is the one around it."""
    if isinstance(node, promql.VectorSelector):
        yield Selector(str(node.name), _matchers(node), node.offset, function=function)
    elif isinstance(node, promql.MatrixSelector):
        vector = node.vector_selector
        yield Selector(str(vector.name), _matchers(vector), node.range, is_range=True, function=function)
    elif isinstance(node, promql.SubqueryExpr):
        raise AssertionError("a query within a query costs Prometheus much: write a recording rule")
    else:
        inner = node.func.name if isinstance(node, promql.Call) else function
        for below in _below(node):
            yield from selectors(below, inner)


def _matchers(vector: Any) -> tuple[tuple[str, str], ...]:
    return tuple((each.name, each.value) for each in vector.matchers.matchers)


def _below(node: Any) -> list[Any]:
    parts = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "param")]
    return [*(part for part in parts if part is not None), *(getattr(node, "args", None) or ())]


def labels_of(node: Any) -> frozenset[str] | None:
    """The labels that a result may have; None of a number. An AssertionError says which two sides can never
    match."""
    if isinstance(node, promql.VectorSelector):
        return METRICS[str(node.name)].labels
    if isinstance(node, promql.MatrixSelector):
        return METRICS[str(node.vector_selector.name)].labels
    if isinstance(node, promql.Call):
        if node.func.name == "absent":
            return frozenset()
        return next((found for arg in node.args if (found := labels_of(arg)) is not None), None)
    if isinstance(node, promql.AggregateExpr):
        inner, given = labels_of(node.expr), frozenset(node.modifier.labels if node.modifier else ())
        assert inner is not None
        is_without = node.modifier is not None and node.modifier.type == promql.AggModifierType.Without
        assert given <= inner | ({"role"} if is_without else set()), f"{node}: no such label"
        return inner - given if is_without else given
    if isinstance(node, promql.BinaryExpr):
        return _of_two_sides(node)
    return labels_of(node.expr) if hasattr(node, "expr") else None


def _of_two_sides(node: Any) -> frozenset[str] | None:
    left, right = labels_of(node.lhs), labels_of(node.rhs)
    if left is None or right is None:
        return left if right is None else right
    matching = node.modifier.matching if node.modifier else None
    given = frozenset(matching.labels if matching else ())
    is_on = matching is not None and matching.type == promql.LabelModifierType.Include
    if not is_on:
        assert left - given == right - given, f"{node}: the labels differ, so nothing matches"
    if str(node.op) in _SET_OPERATORS:
        return left
    if node.modifier is not None and node.modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return left | frozenset(node.modifier.group_labels or ())
    assert not is_on, f"{node}: `on` drops all other labels of the result"
    return left - given
