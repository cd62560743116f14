"""What a metric family is. All values are frozen; none does I/O.

A `Family` is one row of the one table of metrics: its name (without namespace), type, help, labels, and its
`source`, the place in a reply of INFO it is read from (None: a collector writes it from Python).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum


class MetricType(Enum):
    """The type of a family, as the `# TYPE` line spells it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    UNTYPED = "untyped"


class Transform(IntEnum):
    """How the text of a value becomes a sample: a closed set, implemented by both engines.

    A value that does not fit is dropped and counted. Few numbers can be negative: those are `SIGNED`. Any
    other negative number means that the server does not know the value; it is left out, uncounted.
    """

    NUM = 0  # a number as it stands
    USEC = 1  # microseconds to seconds
    MSEC = 2  # milliseconds to seconds
    PERCENT = 3  # `97.3%` or `97.3` to a ratio
    KIB = 4  # times 1,024
    FLAG = 5  # ok, true, yes: 1; err, fail, false, no: 0; else a number
    UP = 6  # `up`: 1; any other word: 0
    STATUS = 7  # `ok`: 1; any other word: 0
    ONE = 8  # 1 whenever the field is there
    AGO = 9  # whole seconds of now minus the number
    SIGNED = 10  # a number as it stands, which may be negative


class SubFieldLabel(IntEnum):
    """How the name of a sub-field of an `EverySubField` record becomes a label value."""

    RAW = 0  # as it stands
    PERCENTILE = 1  # `p99.9`: 99.9
    FRACTION = 2  # `p99.9`: 0.999
    SIZE = 3  # `8K`: 8192


class NameSet(Enum):
    """Where the name of a family comes from."""

    GO = "go"  # the Go exporter's
    SECOND = "second"  # another name of a value, see --second-names
    OWN = "own"  # ours


@dataclass(frozen=True, slots=True)
class Pattern:
    """Lines of INFO that share the shape of their key: `prefix` + name + `suffix`.

    `name_label` is the label that carries the name, the whole key with `whole`. A name of other than `digits`
    may hold a `:`. It ends at the first one if `first` stands behind that, which is how most servers begin
    the value, else at the last one of the line. `constant` labels are added as they stand.
    """

    prefix: str
    name_label: str
    suffix: str = ""
    digits: bool = False
    whole: bool = False
    first: str = ""
    constant: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One `key:value` line. `labels` are (label, key of another line); `optional` ones are left out when that
    is missing or empty, and `spare` ones besides where the value is that of `key`.

    `also` names older spellings of the key. A `grouped` field may come once more per master, as `master_N_…`
    (KeyDB).
    """

    key: str
    transform: Transform = Transform.NUM
    labels: tuple[tuple[str, str], ...] = ()
    optional: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One sub-field (`calls` of `calls=1,usec=2`; "" the whole value) of every line of a pattern.

    `a|b` is `b` where a line lacks `a`. `labels` are (label, sub-field; "" the whole value). With `fill`,
    numbered records that are missing are written as 0 up to the count that the reader is given.
    """

    pattern: Pattern
    sub: str
    transform: Transform = Transform.NUM
    labels: tuple[tuple[str, str], ...] = ()
    fill: bool = False


@dataclass(frozen=True, slots=True)
class EverySubField:
    """Every sub-field of every line of a pattern is one sample; its name becomes the label `sub_label`. With
    `only` some names, the others are left out.

    `sum` and `count` join the record of the same name of another pattern, as a summary needs them.
    """

    pattern: Pattern
    sub_label: str
    sub_name: SubFieldLabel = SubFieldLabel.RAW
    transform: Transform = Transform.NUM
    sum: Record | None = None
    count: Record | None = None
    only: tuple[str, ...] = ()


Source = Field | Record | EverySubField

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family. `name` has no namespace; `labels` are its own, besides those of the target."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    source: Source | None = None
    since: str = ""
    name_set: NameSet = NameSet.OWN

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"{self.name!r} is not a valid metric name")
        for label in self.labels:
            if not LABEL_NAME.match(label):
                raise ValueError(f"{self.name}: {label!r} is not a valid label name")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{self.name}: a label is named twice")
        if not self.help.endswith("."):
            raise ValueError(f"{self.name}: the help text ends with a full stop")


def own_labels(source: Source | None) -> tuple[str, ...]:
    """The label names that samples read from `source` carry."""
    match source:
        case None:
            return ()
        case Field():
            return tuple(label for label, _ in source.labels)
        case Record():
            names = (source.pattern.name_label,) if source.pattern.name_label else ()
            return names + tuple(n for n, _ in source.pattern.constant) + tuple(n for n, _ in source.labels)
        case EverySubField():
            names = (source.pattern.name_label,) if source.pattern.name_label else ()
            return names + tuple(n for n, _ in source.pattern.constant) + (source.sub_label,)


def _family(
    type: MetricType,
    name: str,
    help: str,
    source: Source | None,
    labels: Iterable[str],
    since: str,
    name_set: NameSet,
) -> Family:
    return Family(name, type, help, tuple(labels) or own_labels(source), source, since, name_set)


def gauge(
    name: str,
    help: str,
    source: Source | None = None,
    *,
    labels: Iterable[str] = (),
    since: str = "",
    name_set: NameSet = NameSet.OWN,
) -> Family:
    """A value that goes up and down."""
    return _family(MetricType.GAUGE, name, help, source, labels, since, name_set)


def counter(
    name: str,
    help: str,
    source: Source | None = None,
    *,
    labels: Iterable[str] = (),
    since: str = "",
    name_set: NameSet = NameSet.OWN,
) -> Family:
    """A value that only grows, until the server restarts."""
    return _family(MetricType.COUNTER, name, help, source, labels, since, name_set)


def histogram(
    name: str, help: str, *, labels: Iterable[str] = (), since: str = "", name_set: NameSet = NameSet.OWN
) -> Family:
    """Counts by upper bound, with their sum and count. The label `le` is written by `Out.add_histogram`
    and not listed."""
    return _family(MetricType.HISTOGRAM, name, help, None, labels, since, name_set)


def summary(
    name: str,
    help: str,
    source: Source | None = None,
    *,
    labels: Iterable[str] = (),
    since: str = "",
    name_set: NameSet = NameSet.OWN,
) -> Family:
    """Quantiles with their sum and count. The label `quantile` is written by the source and not listed."""
    return _family(MetricType.SUMMARY, name, help, source, labels, since, name_set)
