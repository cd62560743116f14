"""Faults in a part of a collector's work: the log names each once, and again when its reason changes.
Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_NUMBER = re.compile(r"[0-9]+")
NO_FAULTS: Mapping[str, str] = {}


class KnownFaults:
    """Remembers the newest faults of each collector of one target, by subject."""

    __slots__ = ("kinds",)

    def __init__(self) -> None:
        #: by the collector's family set, only those that have faults
        self.kinds: dict[str, dict[str, str]] = {}

    def note(self, family_set: str, faults: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the faults of a run that the log does not know yet. A fault that differs in its numbers only
        is the same."""
        before = self.kinds.pop(family_set, NO_FAULTS)
        if not faults:
            return
        kinds = self.kinds[family_set] = {subject: _NUMBER.sub("0", text) for subject, text in faults.items()}
        for subject, text in faults.items():
            if before.get(subject) != kinds[subject]:
                yield subject, text
