"""A target's labels as text, for the families of each set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from exporter import engine
from exporter.metrics.family import MetricType
from exporter.metrics.family_set import FamilySet

#: family sets and names of labels whose clashes are remembered
CLASHES_KEPT = 1024


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
    clashes = _clashes(family_set, frozenset([name for name, _ in pairs]), tuple(without.items()))
    return {
        number: label_text([pair for pair in pairs if pair[0] not in clash])
        for number, clash in clashes.items()
    }


@lru_cache(CLASHES_KEPT)
def _clashes(
    family_set: FamilySet, names: frozenset[bytes], without: Sequence[tuple[str, bytes]]
) -> Mapping[int, frozenset[bytes]]:
    """By family, the labels of these names that it does not get. The targets of a fleet have labels of the
    same names."""
    left_out = dict(without)
    found = {}
    for number, family in enumerate(family_set.families):
        clash = names.intersection([label.encode() for label in family.labels])
        if family.name in left_out:
            clash |= names & {left_out[family.name]}
        if family.type is MetricType.SUMMARY:
            clash |= names & {b"quantile"}
        if family.type is MetricType.HISTOGRAM:
            clash |= names & {b"le"}
        if clash:
            found[number] = clash
    return found


def label_text(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b",".join(b'%s="%s"' % pair for pair in pairs)
