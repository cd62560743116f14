"""The text of one family about this process, as prometheus-client would write it.

Most families stay the same from page to page. So a family's text is kept with the figures that it shows, and
of a family that changes only the lines whose number is another one are written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Generic, NamedTuple

from prometheus_client.utils import floatToGoString

from exporter import engine
from exporter.metrics.family import MetricType
from exporter.telemetry.own_family import BOUNDS, Durations, OwnFamily, Source, Value, Values, by_labels

#: values that can be compared later, in their order: the figures of `Durations` in place of the object
_Shown = float | tuple[object, ...] | None


class _Lines(NamedTuple):
    """The lines of one set of label values: their beginnings, their numbers and their texts."""

    heads: tuple[bytes, ...]
    numbers: tuple[float, ...]
    texts: list[bytes]


class FamilyText(Generic[Source]):
    """The text of a family under its name with a `prefix`."""

    __slots__ = ("_header", "_lines", "_name", "_shown", "_text", "family")

    def __init__(self, family: OwnFamily[Source], prefix: str = "") -> None:
        self.family = family
        self._name = prefix + family.name
        self._header = (
            f"# HELP {self._name} {family.help}\n# TYPE {self._name} {family.type.value}\n".encode()
        )
        self._shown: _Shown = None
        self._text = self._header
        self._lines: dict[tuple[str, ...], _Lines] = {}

    def of(self, values: Values) -> bytes:
        """Header and lines of these values."""
        shown = _figures(values)
        if shown != self._shown:
            self._text = self._written(values)
            self._shown = shown
        return self._text

    def _written(self, values: Values) -> bytes:
        texts = [self._header]
        before, self._lines = self._lines, {}
        once_above_0 = self.family.once_above_0
        for labels, value in by_labels(values).items():
            if value or not once_above_0:
                lines = self._lines[labels] = self._lines_of(labels, value, before.get(labels))
                texts += lines.texts
        return b"".join(texts)

    def _lines_of(self, labels: tuple[str, ...], value: Value, before: _Lines | None) -> _Lines:
        numbers = _numbers(value)
        if before is None:
            heads = tuple(self._heads(labels))
            return _Lines(heads, numbers, [*map(_line, heads, numbers)])
        heads, numbers_before, texts = before
        for number, (one, other) in enumerate(zip(numbers, numbers_before, strict=True)):
            if one != other:
                texts[number] = _line(heads[number], one)
        return _Lines(heads, numbers, texts)

    def _heads(self, labels: tuple[str, ...]) -> Iterator[bytes]:
        named = dict(zip(self.family.labels, labels, strict=False))
        if self.family.type is not MetricType.HISTOGRAM:
            yield _head(self._name, named)
            return
        for bound in BOUNDS:
            yield _head(f"{self._name}_bucket", {**named, "le": bound})
        yield _head(f"{self._name}_count", named)
        yield _head(f"{self._name}_sum", named)


def _figures(values: Values) -> _Shown:
    """A copy of the values: their owner changes them in place."""
    if isinstance(values, Durations):
        return (values.sum_s, *values.counts)
    if isinstance(values, Mapping):
        return tuple(
            [
                (labels, (value.sum_s, *value.counts) if isinstance(value, Durations) else value)
                for labels, value in values.items()
            ]
        )
    return values


def _numbers(value: Value) -> tuple[float, ...]:
    """What the lines of one set of label values show."""
    if isinstance(value, Durations):
        below = tuple(accumulate(value.counts))
        return (*below, below[-1], value.sum_s)
    return (value,)


def _line(head: bytes, number: float) -> bytes:
    text: str = floatToGoString(number)  # type: ignore[no-untyped-call]
    return b"%s %s\n" % (head, text.encode())


def _head(name: str, labels: Mapping[str, str]) -> bytes:
    own = b",".join(
        b'%s="%s"' % (label.encode(), engine.escape(value.encode("utf-8", "replace")))
        for label, value in sorted(labels.items())
    )
    return name.encode() + (b"{%s}" % own if own else b"")
