"""A collector's families, numbered and compiled.

Family numbers are positions within a set, so they never change while the program runs, whatever the options
show or hide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter import engine
from exporter.errors import InternalError
from exporter.metrics.family import EverySubField, Family, Field, Pattern, Record, Source
from exporter.metrics.lane import Lane
from exporter.metrics.runtime_families import RuntimeFamilies

#: bytes of a label value; longer ones are cut
LABEL_MAX = 1024
#: name of the set of the series about a target, which polls do not bring
ABOUT_TARGET = "target"


@dataclass(frozen=True, slots=True, eq=False)
class FamilySet:
    """What is refreshed together. `names` are full names (with namespace), parallel to `families`."""

    name: str
    lane: Lane
    families: tuple[Family, ...]
    names: tuple[bytes, ...]
    numbers: Mapping[str, int]  # family name → position
    plan: engine.Plan | None
    wanted_fields: tuple[str, ...] = ()
    rows: Sequence[tuple[bytes, tuple[bytes, ...]]] = field(default=(), repr=False)  # of families and slots
    label_max: int = LABEL_MAX  # longer label values are cut
    hidden: frozenset[int] = frozenset()  # positions of families that are not rendered
    runtime_families: RuntimeFamilies | None = None  # those that come behind the families
    shared_name: str = ""  # sets of one such name may have the same families; "": none may


def full_name(namespace: str, family: Family) -> bytes:
    """`redis_` + name; an empty namespace adds nothing."""
    return (f"{namespace}_{family.name}" if namespace else family.name).encode()


def make_family_set(
    name: str,
    lane: Lane,
    families: Sequence[Family],
    *,
    namespace: str,
    hidden: frozenset[str] = frozenset(),
    wanted_fields: tuple[str, ...] = (),
    label_max: int = LABEL_MAX,
    shared_name: str = "",
    grows: bool = False,
) -> FamilySet:
    """Number and compile the families of one set. Families in `hidden` are not even rendered."""
    names = tuple(full_name(namespace, family) for family in families)
    if len(set(names)) != len(names):
        raise InternalError(f"{name}: a family is named twice")
    plan = None
    if any(family.source for family in families):
        plan = compile_plan(families, names, hidden, wanted_fields, label_max)
    rows = [
        (full, tuple(label.encode() for label in family.labels))
        for full, family in zip(names, families, strict=True)
    ]
    numbers = {family.name: number for number, family in enumerate(families)}
    unseen = frozenset(number for family, number in numbers.items() if family in hidden)
    runtime_families = None
    if grows:
        if plan is not None:
            raise InternalError(f"{name}: a set with families of run time has none with a source")
        runtime_families = RuntimeFamilies(namespace, len(names), rows)
    return FamilySet(
        name,
        lane,
        tuple(families),
        names,
        numbers,
        plan,
        wanted_fields,
        rows,
        label_max,
        unseen,
        runtime_families,
        shared_name,
    )


def compile_plan(
    families: Sequence[Family],
    names: Sequence[bytes],
    hidden: frozenset[str],
    wanted_fields: Sequence[str],
    label_max: int,
) -> engine.Plan:
    """Families with a source, as the engine's plain rows."""
    patterns: dict[Pattern, int] = {}

    def number(pattern: Pattern) -> int:
        return patterns.setdefault(pattern, len(patterns))

    rows = [
        (name, *_row_of(None if family.name in hidden else family.source, number))
        for family, name in zip(families, names, strict=True)
    ]
    return engine.Plan(
        [pattern_row(pattern) for pattern in patterns],
        rows,
        tuple(key.encode() for key in wanted_fields),
        label_max=label_max,
    )


def _row_of(source: Source | None, number: Callable[[Pattern], int]) -> tuple[object, ...]:
    """What the engine needs to know of a source. `number` numbers its pattern."""

    def join(record: Record | None) -> tuple[int, bytes, int] | None:
        if record is None:
            return None
        return number(record.pattern), record.sub.encode(), int(record.transform)

    match source:
        case None:
            return (engine.FIELD,)
        case Field():
            keys = tuple(key.encode() for key in (source.key, *source.also))
            labels = tuple(
                (label.encode(), key.encode(), 2 if label in source.spare else int(label in source.optional))
                for label, key in source.labels
            )
            return engine.FIELD, keys, int(source.transform), labels
        case Record():
            pairs = tuple((label.encode(), sub.encode()) for label, sub in source.labels)
            pattern, sub = number(source.pattern), source.sub.encode()
            return engine.RECORD, pattern, sub, int(source.transform), pairs, source.fill
        case EverySubField():
            return (
                engine.EVERY_SUB_FIELD,
                number(source.pattern),
                source.sub_label.encode(),
                int(source.sub_name),
                int(source.transform),
                join(source.sum),
                join(source.count),
                tuple(name.encode() for name in source.only),
            )


def pattern_row(pattern: Pattern) -> tuple[bytes, bytes, bool, bytes, bool, bytes, bytes]:
    constant = b",".join(
        b'%s="%s"' % (name.encode(), engine.escape(value.encode())) for name, value in pattern.constant
    )
    return (
        pattern.prefix.encode(),
        pattern.suffix.encode(),
        pattern.digits,
        pattern.name_label.encode(),
        pattern.whole,
        constant,
        pattern.first.encode(),
    )
