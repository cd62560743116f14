"""A target's labels as text, for the families of each part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from exporter import engine
from exporter.metrics.family import Kind
from exporter.metrics.family_set import Part


def label_forms(
    parts: Iterable[Part],
    pairs: Sequence[tuple[bytes, bytes]],
    without: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, engine.Labels]:
    """A target's labels for the families of each part, by its name: the same object for all parts without a
    special case. A label of the family itself wins over the target's of the same name. `without` names a
    label that some families do not get."""
    text = label_text(pairs)
    usual = engine.Labels(text, {})
    forms = {}
    for part in parts:
        special = _special_labels(part, pairs, without)
        forms[part.name] = engine.Labels(text, special) if special else usual
    return forms


def _special_labels(
    part: Part, pairs: Sequence[tuple[bytes, bytes]], without: Mapping[str, bytes]
) -> dict[int, bytes]:
    """By family."""
    names = {name for name, _ in pairs}
    special = {}
    for number, family in enumerate(part.families):
        clash = names.intersection(label.encode() for label in family.labels)
        if family.name in without:
            clash |= names & {without[family.name]}
        if family.kind is Kind.SUMMARY:
            clash |= names & {b"quantile"}
        if family.kind is Kind.HISTOGRAM:
            clash |= names & {b"le"}
        if clash:
            special[number] = label_text([pair for pair in pairs if pair[0] not in clash])
    return special


def label_text(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b",".join(b'%s="%s"' % pair for pair in pairs)
