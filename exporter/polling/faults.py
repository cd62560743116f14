"""What went wrong with parts of a collector's work, as the log is told it: once, and again when the reason
changes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_NUMBER = re.compile(r"[0-9]+")
NONE: Mapping[str, str] = {}


class Faults:
    """Remembers the newest faults of each part of one target, by subject."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        """Parts with faults."""
        return len(self._kinds)

    def note(self, family_set: str, faults: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Those of a run of this part that are to be told. A fault that differs in its numbers only is the
        same."""
        before = self._kinds.pop(family_set, NONE)
        if not faults:
            return
        kinds = self._kinds[family_set] = {
            subject: _NUMBER.sub("0", text) for subject, text in faults.items()
        }
        for subject, text in faults.items():
            if before.get(subject) != kinds[subject]:
                yield subject, text
