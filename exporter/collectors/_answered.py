"""Which commands about data a server has answered, so that an error is known to be one of the data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Answered:
    """The first words of commands that one run of a server has answered for some data."""

    words: set[str] = field(default_factory=set)
    _run_id: str = ""

    def begin(self, run_id: str) -> None:
        """Forget what another run has answered."""
        if run_id != self._run_id:
            self._run_id = run_id
            self.words = set()
