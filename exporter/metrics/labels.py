"""A target's labels as text, for the families of each set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from exporter import engine
from exporter.metrics.family import MetricType
from exporter.metrics.family_set import FamilySet


def label_forms(
    family_sets: Iterable[FamilySet],
    pairs: Sequence[tuple[bytes, bytes]],
    without: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, engine.Labels]:
    """A target's labels for the families of each set, by its name: the same object for all sets without a
    special case. A label of the family itself wins over the target's of the same name. `without` names a
    label that some families do not get."""
    text = label_text(pairs)
    usual = engine.Labels(text, {})
    forms = {}
    for family_set in family_sets:
        special = _special_labels(family_set, pairs, without)
        forms[family_set.name] = engine.Labels(text, special) if special else usual
    return forms


def _special_labels(
    family_set: FamilySet, pairs: Sequence[tuple[bytes, bytes]], without: Mapping[str, bytes]
) -> dict[int, bytes]:
    """By family."""
    names = {name for name, _ in pairs}
    special = {}
    for number, family in enumerate(family_set.families):
        clash = names.intersection(label.encode() for label in family.labels)
        if family.name in without:
            clash |= names & {without[family.name]}
        if family.type is MetricType.SUMMARY:
            clash |= names & {b"quantile"}
        if family.type is MetricType.HISTOGRAM:
            clash |= names & {b"le"}
        if clash:
            special[number] = label_text([pair for pair in pairs if pair[0] not in clash])
    return special


def label_text(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b",".join(b'%s="%s"' % pair for pair in pairs)
