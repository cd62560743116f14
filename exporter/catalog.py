"""The one table of families, as the enabled collectors make it: checked, named, ordered.

A `Part` is a collector with its families in fixed order; a `Catalog` is a view over parts: which families a page
shows, in which order, with their HELP and TYPE. Family numbers are positions within a part, so they never change while
the program runs, whatever the options show or hide.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from exporter import fastparse
from exporter.collector import Collector
from exporter.dynamic import SLOTS, Dynamic
from exporter.errors import InternalError
from exporter.model import Dialect, Family, Field, Kind, Lane, Open, Pattern, Record, Target
from exporter.options import MetricsOptions


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What is refreshed together. `names` are full names (with namespace), parallel to `families`."""

    name: str
    lane: Lane
    families: tuple[Family, ...]
    names: tuple[bytes, ...]
    numbers: Mapping[str, int]  # family name → position
    plan: fastparse.Plan | None
    wanted_fields: tuple[str, ...] = ()
    collector: Collector | None = None
    rows: Sequence[tuple[bytes, tuple[bytes, ...]]] = field(default=(), repr=False)  # of families and slots
    label_max: int = 1024  # longer label values are cut
    hidden: frozenset[int] = frozenset()  # positions of families that are not rendered
    dynamic: Dynamic | None = None  # the slots behind the families


def full_name(namespace: str, family: Family) -> bytes:
    """`redis_` + name; an empty namespace adds nothing."""
    return (f"{namespace}_{family.name}" if namespace else family.name).encode()


def make_part(
    name: str,
    lane: Lane,
    families: Sequence[Family],
    *,
    namespace: str,
    hidden: frozenset[str] = frozenset(),
    wanted_fields: tuple[str, ...] = (),
    collector: Collector | None = None,
    label_max: int = 1024,
) -> Part:
    """Number and compile the families of one part. Families in `hidden` are not even rendered."""
    names = tuple(full_name(namespace, family) for family in families)
    if len(set(names)) != len(names):
        raise InternalError(f"{name}: a family is named twice")
    plan = None
    if any(family.source for family in families):
        plan = compile_plan(families, names, hidden, wanted_fields, label_max)
    rows = [(full, tuple(label.encode() for label in family.labels)) for full, family in zip(names, families, strict=True)]
    numbers = {family.name: number for number, family in enumerate(families)}
    unseen = frozenset(number for family, number in numbers.items() if family in hidden)
    dynamic = None
    if collector is not None and collector.dynamic:
        if plan is not None:
            raise InternalError(f"{name}: a collector with dynamic families has none with a source")
        dynamic = Dynamic(namespace, len(names), rows)
    return Part(name, lane, tuple(families), names, numbers, plan, wanted_fields, collector, rows, label_max, unseen, dynamic)


def make_parts(collectors: Iterable[Collector], hidden: frozenset[str], options: MetricsOptions) -> list[Part]:
    """Of the first collector, that of INFO, always; of the others where something is shown."""
    return [
        make_part(
            collector.name,
            collector.lane,
            collector.families,
            namespace=options.namespace,
            hidden=hidden,
            wanted_fields=collector.wanted_fields,
            collector=collector,
            label_max=options.max_label_length,
        )
        for number, collector in enumerate(collectors)
        if number == 0 or any(family.name not in hidden for family in collector.families)
    ]


def compile_plan(
    families: Sequence[Family], names: Sequence[bytes], hidden: frozenset[str], wanted_fields: Sequence[str], label_max: int
) -> fastparse.Plan:
    """Families with a source, as the engine's plain rows."""
    patterns: dict[Pattern, int] = {}

    def number(pattern: Pattern) -> int:
        return patterns.setdefault(pattern, len(patterns))

    def join(record: Record | None) -> tuple[int, bytes, int] | None:
        return None if record is None else (number(record.pattern), record.sub.encode(), int(record.how))

    rows: list[tuple] = []  # type: ignore[type-arg]
    for family, name in zip(families, names, strict=True):
        source = None if family.name in hidden else family.source
        match source:
            case None:
                rows.append((name, fastparse.FIELD))
            case Field():
                keys = tuple(key.encode() for key in (source.key, *source.also))
                labels = tuple((label.encode(), key.encode(), label in source.optional) for label, key in source.labels)
                rows.append((name, fastparse.FIELD, keys, int(source.how), labels))
            case Record():
                pairs = tuple((label.encode(), sub.encode()) for label, sub in source.labels)
                rows.append((name, fastparse.RECORD, number(source.pattern), source.sub.encode(), int(source.how), pairs, source.fill))
            case Open():
                rows.append(
                    (
                        name,
                        fastparse.OPEN,
                        number(source.pattern),
                        source.sub_label.encode(),
                        int(source.sub_name),
                        int(source.how),
                        join(source.sum),
                        join(source.count),
                    )
                )
    return fastparse.Plan(
        [pattern_row(pattern) for pattern in patterns], rows, tuple(key.encode() for key in wanted_fields), label_max=label_max
    )


def pattern_row(pattern: Pattern) -> tuple[bytes, bytes, bool, bytes, bool, bytes, bytes]:
    constant = b",".join(b'%s="%s"' % (name.encode(), fastparse.escape(value.encode())) for name, value in pattern.constant)
    return (
        pattern.prefix.encode(),
        pattern.suffix.encode(),
        pattern.digits,
        pattern.name_label.encode(),
        pattern.whole,
        constant,
        pattern.first.encode(),
    )


def header(name: bytes, family: Family, *lanes: Lane) -> bytes:
    """HELP and TYPE of the text format. Families that are not on the fast lane, or not on it alone, say so."""
    words = ", ".join(dict.fromkeys(lane.value for lane in lanes))
    text = family.help if words == Lane.FAST.value else f"{family.help} Lane{'s' if ',' in words else ''}: {words}."
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").encode()
    return b"# HELP %s %s\n# TYPE %s %s\n" % (name, escaped, name, family.kind.value.encode())


class Catalog:
    """What pages show: `headers[i]` and `cells[i]` = (part number, family number) of the i-th family, part after part.

    A family that collectors share (see `Collector.memory_name`) has one cell for each of their parts, one behind the other;
    all but the first have an empty header.

    Slots of dynamic families have an empty header until they are given; `admits` tells by the full name whether one may be, and
    `taken` are names that others write.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        hidden: frozenset[str] = frozenset(),
        admits: Callable[[str], bool] = lambda name: True,
        taken: Container[str] = frozenset(),
    ) -> None:
        self.parts = tuple(parts)
        self.part_names = tuple(part.name for part in parts)
        self.hidden = hidden
        self._admits = admits
        places: dict[bytes, list[tuple[int, int]]] = {}  # cells by name
        for part_number, part in enumerate(self.parts):
            for number, (family, name) in enumerate(zip(part.families, part.names, strict=True)):
                places.setdefault(name, []).append((part_number, number))
                first = self.parts[places[name][0][0]]
                if first is not part and not _share(first, part, family):
                    raise InternalError(f"{name.decode()} is a family of {first.name} and of {part.name}")
        headers: list[bytes] = []
        cells: list[tuple[int, int]] = []
        names: list[str] = []
        dynamics: list[tuple[Part, Dynamic, int]] = []
        for part_number, part in enumerate(self.parts):
            for number, (family, name) in enumerate(zip(part.families, part.names, strict=True)):
                at = places[name]
                if family.name not in hidden and at[0] == (part_number, number):
                    headers.append(header(name, family, *(self.parts[each].lane for each, _ in at)))
                    headers += [b""] * (len(at) - 1)
                    cells += at
                    names += [name.decode()] * len(at)
            if part.dynamic is not None:
                dynamics.append((part, part.dynamic, len(headers)))
                headers += [b""] * SLOTS
                names += [""] * SLOTS
                cells += [(part_number, len(part.families) + slot) for slot in range(SLOTS)]
        self._taken = {name.decode() for name in places}
        self._taken_elsewhere = taken
        self.headers = headers
        self.cells = tuple(cells)
        self.names = names
        for dynamic in dynamics:
            self._open(*dynamic)

    def _open(self, part: Part, dynamic: Dynamic, at: int) -> None:
        """Let the slots of a part, whose headers begin at `at`, be given."""

        def add(slot: int, name: str, kind: str, help: str) -> None:
            self._taken.add(name)
            self.headers[at + slot] = header(name.encode(), Family(name, Kind(kind), help), part.lane)
            self.names[at + slot] = name

        dynamic.open(self._refuses, add)

    def _refuses(self, name: str) -> str | None:
        """Why a full name may be no new family; None where it may, "" where the options leave it out."""
        if name in self._taken or name in self._taken_elsewhere:
            return "the name is taken, write another one"
        return None if self._admits(name) else ""

    def part(self, name: str) -> Part:
        return self.parts[self.part_names.index(name)]

    def view(self, names: Iterable[str]) -> tuple[tuple[bytes, ...], tuple[tuple[int, int], ...]]:
        """Headers and cells of some families only, in the page's order."""
        wanted = set(names)
        chosen = [i for i, name in enumerate(self.names) if name in wanted]
        return tuple(self.headers[i] for i in chosen), tuple(self.cells[i] for i in chosen)


def _share(one: Part, other: Part, family: Family) -> bool:
    """Whether two parts write the same family on purpose."""
    if one.collector is None or other.collector is None:
        return False
    return one.collector.memory_name == other.collector.memory_name != "" and any(family is each for each in one.families)


def hidden_families(collectors: Iterable[Collector], options: MetricsOptions, gated: Mapping[str, bool]) -> frozenset[str]:
    """Families that the options leave out: the document's second names, those behind a flag, those not allowed or denied.

    `gated` tells for the families behind a flag whether they are shown.
    """
    hidden = {name for name, shown in gated.items() if not shown}
    for collector in collectors:
        hidden.update(family.name for family in collector.families if _is_left_out(family, options))
    return frozenset(hidden)


def _is_left_out(family: Family, options: MetricsOptions) -> bool:
    if family.dialect is Dialect.HANDBOOK:
        each = bool(family.labels) or family.kind is Kind.SUMMARY  # one for each command or key
        if options.handbook_names == "none" or (options.handbook_names == "scalar" and each):
            return True
    return not is_shown(family.name, options)


def is_denied(name: str, options: MetricsOptions) -> bool:
    """Of the name of a family, with its namespace or without."""
    return _fits(name, options.namespace, options.deny)


def is_shown(name: str, options: MetricsOptions) -> bool:
    """Whether a family of that name may be shown: it is allowed, if only some are, and not denied."""
    return (not options.allow or _fits(name, options.namespace, options.allow)) and not is_denied(name, options)


def _fits(name: str, namespace: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is of the name, with its namespace or without."""
    prefix = f"{namespace}_" if namespace else ""
    bare = name.removeprefix(prefix)
    return any(fnmatchcase(bare, pattern) or fnmatchcase(prefix + bare, pattern) for pattern in patterns)


def target_labels(target: Target, mode: str, label_max: int = 1024) -> tuple[tuple[bytes, bytes], ...]:
    """The labels every series of a target bears, escaped: addr, alias where it is named, the configured ones. None with `never`."""
    if mode == "never":
        return ()
    pairs = [("addr", target.addr)]
    if target.alias:
        pairs.append(("alias", target.alias))
    pairs.extend(target.labels)
    return tuple((name.encode(), fastparse.escape(value.encode("utf-8", "replace"), label_max)) for name, value in pairs)


def label_forms(
    parts: Iterable[Part], pairs: Sequence[tuple[bytes, bytes]], without: Mapping[str, bytes] = MappingProxyType({})
) -> dict[str, fastparse.Labels]:
    """A target's labels for the families of each part, by its name: the same object for all parts without a special case. A label
    of the family itself wins over the target's of the same name. `without` names a label that some families do not get."""
    text = label_text(pairs)
    usual = fastparse.Labels(text, {})
    forms = {}
    for part in parts:
        special = _special_labels(part, pairs, without)
        forms[part.name] = fastparse.Labels(text, special) if special else usual
    return forms


def _special_labels(part: Part, pairs: Sequence[tuple[bytes, bytes]], without: Mapping[str, bytes]) -> dict[int, bytes]:
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
