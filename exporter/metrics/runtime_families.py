"""Families whose names are not known before they are seen: those of scripts, and fields of INFO without a
metric.

A family set that may make such families has a fixed number of places behind its own. A place is given to a
name when it is first seen, for all targets and for good, and its list of labels only grows: so the numbers of
a set never change.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable

FAMILIES_MAX = 256
NAME_LENGTH_MAX = 200
#: labels of one family
LABELS_MAX = 32

#: names that are left out, and that the log names
WARNED_MAX = 100
#: of a family of which no help was given
HELP = "A value that a script returns."
TYPE = "gauge"

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")


class RuntimeFamilies:
    """The places of one set, from number `first` on; `rows` is the set's own list of (full name, label
    names)."""

    def __init__(self, namespace: str, first: int, rows: list[tuple[bytes, tuple[bytes, ...]]]) -> None:
        self._refuses: Callable[[str], str | None] = lambda name: None
        self._warned: set[str] = set()
        self._on_new: Callable[[int, str, str, str], None] = lambda place, name, type, help: None
        self._given: list[tuple[int, str, str, str]] = []
        self.refused: set[int] = set()  # numbers of families that are not shown now
        self._first = first
        self._prefix = f"{namespace}_" if namespace else ""
        self._rows = rows
        self._numbers: dict[str, int] = {}
        self._labels: dict[int, tuple[str, ...]] = {}
        rows.extend([(b"", ())] * FAMILIES_MAX)

    def open(
        self, refuses: Callable[[str], str | None], on_new: Callable[[int, str, str, str], None]
    ) -> None:
        """`refuses` returns why a full name may not be shown: None if it may, "" for a reason that needs no
        line in the log. `on_new` is called with the place (from 0), the full name, the type and the help of
        each name that is shown, now and later. Those that are refused now are in `refused`."""
        self._refuses, self._on_new = refuses, on_new
        self.refused = set()
        for place, full, type, help in self._given:
            why = refuses(full)
            if why is None:
                on_new(place, full, type, help)
            else:
                self.refused.add(self._first + place)
                self._warn(full, why)

    def number(self, name: str, type: str, help: str, labels: Iterable[str]) -> int | None:
        """The number of a family, which becomes one if need be. None: no name for a family or a label, taken
        by another one, not to be shown, or all places are given. An empty `type` or `help` is that of the
        family, whatever it is."""
        labels = tuple(labels)
        if len(labels) > LABELS_MAX or not all(_LABEL.match(label) for label in labels):
            return None
        number = self._numbers.get(name)
        if number is None:
            place = len(self._numbers)
            full = self._prefix + name
            if place == FAMILIES_MAX or len(full) > NAME_LENGTH_MAX or not _NAME.match(full):
                return None
            why = self._refuses(full)
            if why is not None:
                self._warn(full, why)
                return None
            type, help = type or TYPE, help or HELP
            number = self._numbers[name] = self._first + place
            self._labels[number] = labels
            self._rows[number] = (full.encode(), tuple(label.encode() for label in labels))
            self._given.append((place, full, type, help))
            self._on_new(place, full, type, help)
        elif number in self.refused or not self._is_same(number, type, help):
            return None
        fresh = [label for label in labels if label not in self._labels[number]]
        if fresh:
            if len(self._labels[number]) + len(fresh) > LABELS_MAX:
                return None
            self._labels[number] += tuple(fresh)
            self._rows[number] = (
                self._rows[number][0],
                tuple(label.encode() for label in self._labels[number]),
            )
        return number

    def _is_same(self, number: int, type: str, help: str) -> bool:
        """Whether a family has this type and help. The help of one that came without is left as it is."""
        _, full, known_type, known_help = self._given[number - self._first]
        if type in ("", known_type) and (help in ("", known_help) or known_help == HELP):
            return True
        self._warn(full, "it was given before with another type or help")
        return False

    def _warn(self, full: str, why: str) -> None:
        """Say once which name is left out."""
        if why and full not in self._warned and len(self._warned) < WARNED_MAX:
            self._warned.add(full)
            log.warning("values of %s are left out: %s", full, why, extra={"topic": full})  # a line for each

    def may_name(self, name: str, named: int) -> bool:
        """Whether a target that was the first with `named` of the names may come with this one: a new name
        only while more places are free than it has taken. So one target takes half of what the others have
        left at most."""
        return name in self._numbers or named < FAMILIES_MAX - len(self._numbers)

    @property
    def given(self) -> int:
        """How many names there are."""
        return len(self._numbers)

    def known(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Name, type, help and labels of each family, in the order of their places: what `number` takes."""
        return [
            (name, *self._given[number - self._first][2:], self._labels[number])
            for name, number in self._numbers.items()
        ]

    def labels_of(self, number: int) -> tuple[str, ...]:
        """The label names of a family, in the order of its values."""
        return self._labels[number]
