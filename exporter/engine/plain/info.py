"""INFO in plain Python: what happens to each kind of line stands here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.engine.plain.labels import Block, Labels, LineOrder, escape
from exporter.engine.plain.numbers import convert, sub_label
from exporter.engine.plain.samples import BlockWriter

FIELD, RECORD, EVERY_SUB_FIELD = 0, 1, 2

#: KeyDB numbers further masters from 1: at most so many are read
GROUPS_MAX = 64

FILL_MAX = 65536
#: sub-fields of one line that an `OPEN` family looks at; more are dropped and counted
OPEN_MAX = 256
#: the same of all lines of one reading: a line after those is dropped and counted
OPENED_MAX = 16384
#: bytes of a wanted field that are given back
WANTED_MAX = 1000

_GROUP = re.compile(rb"master_([1-9][0-9]{0,3})_(.+)\Z", re.DOTALL)


def _sub_fields(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    for part in value.split(b","):
        name, equals, text = part.partition(b"=")
        if equals:
            yield name, text


class _Line(NamedTuple):
    """One line of a pattern: its escaped name, its value, and the value's sub-fields (the first of a name
    counts)."""

    number: int
    name: bytes
    value: bytes
    subs: dict[bytes, bytes]


class _Reading:
    """What one text holds, found in one pass over its lines."""

    def __init__(self, plan: Plan, text: bytes) -> None:
        self.fields: dict[tuple[int, bytes], bytes] = {}
        self.groups: list[int] = [0]
        self.lines: list[list[_Line]] = [[] for _ in plan.patterns]
        self._names: list[dict[bytes, _Line]] = [{} for _ in plan.patterns]
        self._group = 0
        for raw in text.split(b"\n"):
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if line and not line.startswith(b"#"):
                self._take(plan, line)

    def find(self, pattern: int, name: bytes) -> _Line | None:
        return self._names[pattern].get(name)

    def wanted(self, key: bytes) -> bytes | None:
        value = self.fields.get((0, key))
        return None if value is None else value[:WANTED_MAX]

    def _take(self, plan: Plan, line: bytes) -> None:
        key, colon, value = line.partition(b":")
        if not colon:
            return
        if key in plan.keys:
            if key in plan.grouped and key.startswith(b"master_"):
                self._group = 0
            group = self._group if key in plan.grouped else 0
            self.fields.setdefault((group, key), value)
            return
        match = _GROUP.match(key)
        if match and b"master_" + match[2] in plan.grouped:
            group = int(match[1])
            if group not in self.groups:
                if len(self.groups) >= GROUPS_MAX:
                    return
                self.groups.append(group)
            self._group = group
            self.fields.setdefault((group, b"master_" + match[2]), value)
            return
        for number, row in enumerate(plan.patterns):
            if row.fits(key):
                self._take_record(plan, number, key, value, line)
                return

    def _take_record(self, plan: Plan, pattern: int, key: bytes, value: bytes, line: bytes) -> None:
        row = plan.patterns[pattern]
        if row.first and not value.startswith(row.first):
            at = line.find(b":" + row.first)
            if at < 0 or row.digits:
                return
            key, value = line[:at], line[at + 1 :]
        middle = key[len(row.prefix) : len(key) - len(row.suffix)]
        name = escape(key if row.whole else middle, plan.label_max)
        if row.name_label and name in self._names[pattern]:
            return
        subs: dict[bytes, bytes] = {}
        for sub, text in _sub_fields(value):
            subs.setdefault(sub, text)
        found = _Line(
            int(middle) if row.digits and len(middle) < 8 and middle == b"%d" % int(middle) else -1,
            name,
            value,
            subs,
        )
        self._names[pattern].setdefault(name, found)
        self.lines[pattern].append(found)


class _Pattern(NamedTuple):
    prefix: bytes
    suffix: bytes
    digits: bool
    name_label: bytes
    whole: bool
    constant: bytes
    first: bytes

    def fits(self, key: bytes) -> bool:
        if not (key.startswith(self.prefix) and key.endswith(self.suffix)) or len(key) <= len(
            self.prefix
        ) + len(self.suffix):
            return False
        middle = key[len(self.prefix) : len(key) - len(self.suffix)]
        return not self.digits or (len(middle) <= 18 and all(48 <= c <= 57 for c in middle))

    def labels(self, name: bytes) -> list[bytes]:
        named = [b'%s="%s"' % (self.name_label, name)] if self.name_label else []
        return named + ([self.constant] if self.constant else [])


class Plan:
    def __init__(
        self,
        patterns: Sequence[tuple[bytes, bytes, bool, bytes, bool, bytes, bytes]],
        families: Sequence[tuple],  # type: ignore[type-arg]
        fields: Sequence[bytes] = (),
        *,
        interned_max: int = 16384,
        label_max: int = 1024,
    ) -> None:
        self.patterns = [_Pattern(*row) for row in patterns]
        self.rows = list(families)
        self.families = len(self.rows)
        self.interned = 0
        self.label_max = label_max
        self.wanted = tuple(fields)
        self.keys = set(fields)
        self.grouped: set[bytes] = set()
        for row in self.rows:
            if len(row) > 2 and row[1] == FIELD:
                self._add_field(row)

    def _add_field(self, row: tuple) -> None:  # type: ignore[type-arg]
        self.keys.update(row[2])
        label_keys = {key for _, keys, _ in row[4] for key in keys.split(b"|")}
        self.keys |= label_keys
        if b"master_host" in label_keys:
            self.grouped.update(row[2])
            self.grouped |= {key for key in label_keys if key.startswith(b"master_")}

    def read(
        self, text: bytes, labels: Labels, order: LineOrder | None = None, now: float = 0.0, fill: int = 0
    ) -> Block:
        reading = _Reading(self, text)
        page = BlockWriter(labels, self.families)
        for number, row in enumerate(self.rows):
            page.begin(number, row[0])
            if len(row) == 2:
                continue
            if row[1] == FIELD:
                self._write_field(page, reading, row, now)
            elif row[1] == RECORD:
                self._write_record(page, reading, row, now, min(fill, FILL_MAX))
            else:
                self._write_open(page, reading, row, now)
        return page.block(tuple(reading.wanted(key) for key in self.wanted))

    def _write_field(self, page: BlockWriter, reading: _Reading, row: tuple, now: float) -> None:  # type: ignore[type-arg]
        _, _, keys, transform, labels = row
        groups = reading.groups if any(key in self.grouped for key in keys) else [0]
        for group in groups:
            for key in keys:
                if (group, key) in reading.fields:
                    own = []
                    for label, label_keys, optional in labels:
                        value = self._label(reading, group, label_keys)
                        if value is not None or not optional:
                            own.append(b'%s="%s"' % (label, escape(value or b"", self.label_max)))
                    page.add(convert(reading.fields[group, key], transform, now), own)
                    break

    def _label(self, reading: _Reading, group: int, keys: bytes) -> bytes | None:
        for key in keys.split(b"|"):
            value = reading.fields.get((group if key in self.grouped else 0, key))
            if value is not None:
                return value
        return None

    def _write_record(self, page: BlockWriter, reading: _Reading, row: tuple, now: float, fill: int) -> None:  # type: ignore[type-arg]
        _, _, number, sub, transform, labels, filled = row
        pattern = self.patterns[number]
        seen = set()
        for line in reading.lines[number]:
            seen.add(line.number)
            text = line.subs.get(sub) if sub else line.value
            if text is None:
                continue
            own = pattern.labels(line.name)
            own += [
                b'%s="%s"' % (label, escape(line.subs.get(key, b""), self.label_max)) for label, key in labels
            ]
            page.add(convert(text, transform, now), own)
        if filled:
            for index in range(fill):
                if index not in seen:
                    key = b"%d" % index
                    page.add(
                        b"0", pattern.labels(pattern.prefix + key + pattern.suffix if pattern.whole else key)
                    )

    def _write_open(self, page: BlockWriter, reading: _Reading, row: tuple, now: float) -> None:  # type: ignore[type-arg]
        _, _, number, label, sub_kind, transform, total, count = row
        pattern = self.patterns[number]
        looked_at = 0
        for line in reading.lines[number]:
            if looked_at >= OPENED_MAX:
                page.invalid += 1
                continue
            own = pattern.labels(line.name)
            seen = set()
            for index, (sub, text) in enumerate(_sub_fields(line.value)):
                looked_at += 1
                value = sub_label(sub, sub_kind, self.label_max) if index < OPEN_MAX else None
                if value is None:
                    page.invalid += 1
                elif value not in seen:
                    seen.add(value)
                    page.add(convert(text, transform, now), [*own, b'%s="%s"' % (label, value)])
            for suffix, join in ((b"_sum", total), (b"_count", count)):
                joined = join and reading.find(join[0], line.name)
                if joined and join[1] in joined.subs:
                    page.add(convert(joined.subs[join[1]], join[2], now), own, suffix)
