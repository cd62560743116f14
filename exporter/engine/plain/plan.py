"""The compiled plan: what each line of INFO is, and which family is written from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

FIELD, RECORD, EVERY_SUB_FIELD = 0, 1, 2

#: `_fastparse.pyi` has a type for each kind
Row = tuple[Any, ...]


class Pattern(NamedTuple):
    prefix: bytes
    suffix: bytes
    digits: bool
    name_label: bytes
    whole: bool
    constant: bytes
    first: bytes

    def fits(self, key: bytes) -> bool:
        middle = key[len(self.prefix) : len(key) - len(self.suffix)]
        if not (middle and key.startswith(self.prefix) and key.endswith(self.suffix)):
            return False
        return not self.digits or (len(middle) <= 18 and all(48 <= c <= 57 for c in middle))

    def labels(self, name: bytes) -> list[bytes]:
        named = [b'%s="%s"' % (self.name_label, name)] if self.name_label else []
        return named + ([self.constant] if self.constant else [])


class CompiledPlan:
    def __init__(
        self,
        patterns: Sequence[tuple[bytes, bytes, bool, bytes, bool, bytes, bytes]],
        families: Sequence[Row],
        fields: Sequence[bytes] = (),
        *,
        interned_max: int = 16384,
        label_max: int = 1024,
    ) -> None:
        self.patterns = [Pattern(*row) for row in patterns]
        self.rows = list(families)
        self.families = len(self.rows)
        self.interned = 0
        self.label_max = label_max
        self.wanted = tuple(fields)
        self.keys = set(fields)
        self.grouped: set[bytes] = set()
        #: by pattern: the sub-fields that families read; a line has at least one.
        #: Empty: any line will do
        self.subs: list[set[bytes]] = [set() for _ in self.patterns]
        for row in self.rows:
            if len(row) > 2 and row[1] == FIELD:
                self._add_field(row)
            elif len(row) > 2 and row[1] == RECORD:
                self.subs[row[2]] |= {*row[3].split(b"|"), *(sub for _, sub in row[5] if sub)}
            elif len(row) > 2 and row[1] == EVERY_SUB_FIELD:
                self.subs[row[2]].add(b"")
                for join in row[6:8]:
                    if join:
                        self.subs[join[0]].add(join[1])
        self.subs = [set() if b"" in subs else subs for subs in self.subs]

    def _add_field(self, row: Row) -> None:
        self.keys.update(row[2])
        label_keys = {key for _, keys, _ in row[4] for key in keys.split(b"|")}
        self.keys |= label_keys
        if b"master_host" in label_keys:
            self.grouped.update(row[2])
            self.grouped |= {key for key in label_keys if key.startswith(b"master_")}
