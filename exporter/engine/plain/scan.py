"""The first pass over a text: what stands where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from exporter.engine.plain.labels import escape
from exporter.engine.plain.plan import CompiledPlan

#: masters of one KeyDB server, which numbers further ones from 1
GROUPS_MAX = 64
#: bytes of a wanted field
WANTED_MAX = 1000

_GROUP = re.compile(rb"master_([1-9][0-9]{0,3})_(.+)\Z", re.DOTALL)


def sub_fields(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    for part in value.split(b","):
        name, equals, text = part.partition(b"=")
        if equals:
            yield name, text


class Line(NamedTuple):
    """One line of a pattern: its escaped name, its value, and the value's sub-fields (the first of a name
    counts)."""

    number: int
    name: bytes
    value: bytes
    subs: dict[bytes, bytes]


class Reading:
    """What one text holds, found in one pass over its lines."""

    def __init__(self, plan: CompiledPlan, text: bytes) -> None:
        self.fields: dict[tuple[int, bytes], bytes] = {}
        self.groups: list[int] = [0]
        self.lines: list[list[Line]] = [[] for _ in plan.patterns]
        self._names: list[dict[bytes, Line]] = [{} for _ in plan.patterns]
        self._group = 0
        for raw in text.split(b"\n"):
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if line and not line.startswith(b"#"):
                self._take(plan, line)

    def find(self, pattern: int, name: bytes) -> Line | None:
        return self._names[pattern].get(name)

    def wanted(self, key: bytes) -> bytes | None:
        value = self.fields.get((0, key))
        return None if value is None else value[:WANTED_MAX]

    def _take(self, plan: CompiledPlan, line: bytes) -> None:
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

    def _take_record(self, plan: CompiledPlan, pattern: int, key: bytes, value: bytes, line: bytes) -> None:
        row = plan.patterns[pattern]
        if not row.digits and not value.startswith(row.first):
            key, _, value = line.rpartition(b":")
            key = key.rstrip(b":")
        middle = key[len(row.prefix) : len(key) - len(row.suffix)]
        name = escape(key if row.whole else middle, plan.label_max)
        if row.name_label and name in self._names[pattern]:
            return
        subs: dict[bytes, bytes] = {}
        for sub, text in sub_fields(value):
            subs.setdefault(sub, text)
        found = Line(
            int(middle) if row.digits and len(middle) < 8 and middle == b"%d" % int(middle) else -1,
            name,
            value,
            subs,
        )
        self._names[pattern].setdefault(name, found)
        self.lines[pattern].append(found)
