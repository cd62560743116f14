"""Families whose names are known only when they are seen: those that scripts make up, and fields of INFO that nobody has named.

A part that may make such families has a fixed number of slots behind its own families. A slot is given to a name when it
is first seen, for all targets and for good, and its list of labels only grows: so the numbers of a part never change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

SLOTS = 256

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")


class Dynamic:
    """The slots of one part, from number `first` on; `rows` is the part's own list of (full name, label names)."""

    def __init__(self, namespace: str, first: int, rows: list[tuple[bytes, tuple[bytes, ...]]]) -> None:
        self._admits: Callable[[str], bool] = lambda name: True
        self._on_new: Callable[[int, str, str, str], None] = lambda slot, name, kind, help: None
        self._given: list[tuple[int, str, str, str]] = []
        self._first = first
        self._prefix = f"{namespace}_" if namespace else ""
        self._rows = rows
        self._numbers: dict[str, int] = {}
        self._labels: dict[int, tuple[str, ...]] = {}
        rows.extend([(b"", ())] * SLOTS)

    def open(self, admits: Callable[[str], bool], on_new: Callable[[int, str, str, str], None]) -> None:
        """`admits` is asked whether a full name may be a new family; `on_new` is told the slot (from 0), the full name, the type
        and the help of each one there is and each that comes."""
        self._admits, self._on_new = admits, on_new
        for given in self._given:
            on_new(*given)

    def number(self, name: str, kind: str, help: str, labels: Iterable[str]) -> int | None:
        """The number of a family, which becomes one if need be. None: no name for a family or a label, taken by another one,
        not to be shown, or all slots are given."""
        labels = tuple(labels)
        if not all(_LABEL.match(label) for label in labels):
            return None
        number = self._numbers.get(name)
        if number is None:
            slot = len(self._numbers)
            full = self._prefix + name
            if slot == SLOTS or not _NAME.match(full) or not self._admits(full):
                return None
            number = self._numbers[name] = self._first + slot
            self._labels[number] = labels
            self._rows[number] = (full.encode(), tuple(label.encode() for label in labels))
            self._given.append((slot, full, kind, help))
            self._on_new(slot, full, kind, help)
        fresh = [label for label in labels if label not in self._labels[number]]
        if fresh:
            self._labels[number] += tuple(fresh)
            self._rows[number] = (self._rows[number][0], tuple(label.encode() for label in self._labels[number]))
        return number

    def labels_of(self, number: int) -> tuple[str, ...]:
        """The label names of a family, in the order of its values."""
        return self._labels[number]
