"""Which commands about data a server has answered, so that an error is known to be one of the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.errors import ReplyError
from exporter.protocol.command import About, Reply


@dataclass(slots=True)
class Answered:
    """The first words of commands that one run of a server has answered for some data."""

    words: set[str | bytes | int] = field(default_factory=set)
    _run_id: str = ""

    def begin(self, run_id: str) -> None:
        """Forget what another run has answered."""
        if run_id != self._run_id:
            self._run_id = run_id
            self.words = set()

    def about(self, word: str | bytes | int) -> About:
        """What an error reply to the next command of this word speaks of."""
        return About.DATA if word in self.words else About.TRIAL

    def note(self, replies: Iterable[tuple[str | bytes | int, Reply]]) -> None:
        """Note the words that were answered."""
        self.words.update(word for word, reply in replies if not isinstance(reply, ReplyError))
