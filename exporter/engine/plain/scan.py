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

#: a numbered master is of the group after its number; of 0 is the one without a number, of these further ones
UNNUMBERED = 20000

BLANKS = b" \t"

_NUMBERED_MASTER = re.compile(rb"master_?([0-9]{1,4})_(.+)\Z", re.DOTALL)


def sub_fields(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    for part in value.split(b","):
        name, equals, text = part.partition(b"=")
        if equals:
            yield name.strip(BLANKS), text.strip(BLANKS)


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
        self._unnumbered = 0
        self._hosts = 0
        for raw in text.split(b"\n"):
            line = raw.removesuffix(b"\r").strip(BLANKS)
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
        value = value.strip(BLANKS)
        if key in plan.grouped:
            if not key.startswith(b"master_") or self._enter(self._unnumbered_group(key)):
                self.fields.setdefault((self._group, key), value)
            return
        if key in plan.keys:
            self.fields.setdefault((0, key), value)
            return
        match = _NUMBERED_MASTER.match(key)
        if match and b"master_" + match[2] in plan.grouped:
            if self._enter(int(match[1]) + 1):
                self.fields.setdefault((self._group, b"master_" + match[2]), value)
            return
        for number, row in enumerate(plan.patterns):
            if row.fits(key):
                self._take_record(plan, number, key, value, line)
                return

    def _unnumbered_group(self, key: bytes) -> int:
        """The group of a master without a number: each further `master_host` begins another one."""
        if key == b"master_host":
            if self._hosts:
                self._unnumbered = UNNUMBERED + self._hosts
            self._hosts += 1
        return self._unnumbered

    def _enter(self, group: int) -> bool:
        """Let the next fields of a master belong to this group; False: there are too many."""
        if group not in self.groups:
            if len(self.groups) >= GROUPS_MAX:
                return False
            self.groups.append(group)
        self._group = group
        return True

    def _take_record(self, plan: CompiledPlan, pattern: int, key: bytes, value: bytes, line: bytes) -> None:
        row = plan.patterns[pattern]
        if not row.digits and not value.startswith(row.first):
            key, _, value = line.rpartition(b":")
            key, value = key.rstrip(b":"), value.strip(BLANKS)
        middle = key[len(row.prefix) : len(key) - len(row.suffix)]
        name = escape(key if row.whole else middle, plan.label_max)
        if row.name_label and name in self._names[pattern]:
            return
        subs: dict[bytes, bytes] = {}
        for sub, text in sub_fields(value):
            subs.setdefault(sub, text)
        if plan.subs[pattern] and plan.subs[pattern].isdisjoint(subs):
            return
        found = Line(
            int(middle) if row.digits and len(middle) < 8 and middle == b"%d" % int(middle) else -1,
            name,
            value,
            subs,
        )
        self._names[pattern].setdefault(name, found)
        self.lines[pattern].append(found)
