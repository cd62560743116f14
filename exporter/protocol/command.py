"""One command, a pipeline of them, and the replies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from hiredis import pack_command


class About(Enum):
    """What an error reply to a command speaks of, and so what is not sent again for a while."""

    SERVER = 1  # this very command
    DATA = 2  # the data that it names; only NOPERM refuses this very command
    TRIAL = 3  # all commands of its verb, unless one of them is answered


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its arguments, and the bytes that go over the wire.

    `node` is `host:port` of another node of the target's cluster, where that is to be asked in the target's
    place.
    """

    args: tuple[str | bytes | int, ...]
    packed: bytes = field(repr=False, compare=False)
    node: str = ""
    about: About = field(default=About.SERVER, compare=False)

    @staticmethod
    @lru_cache(1024, typed=True)  # nearly all commands are the same at every poll
    def of(*args: str | bytes | int, node: str = "", about: About = About.SERVER) -> Command:
        return Command(args, pack_command(args), node, about)  # type: ignore[arg-type]  # its stub knows tuples of one element only

    @staticmethod
    def new(args: tuple[str | bytes | int, ...], node: str, about: About) -> Command:
        """The same without a cache, for commands of very many keys."""
        return Command(args, pack_command(args), node, about)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """All words: a server may refuse a single sub-command, section or key."""
        return _joined(self.args)

    @property
    def verb(self) -> str:
        """The words before the first one in bytes, which names data."""
        at = next((at for at, arg in enumerate(self.args) if at and isinstance(arg, bytes)), len(self.args))
        return _joined(self.args[:at])

    @property
    def refused_by(self) -> tuple[str, ...]:
        """The names of the refusals that keep it from being sent."""
        return (self.name,) if self.about is About.SERVER else (self.name, self.verb)


def _joined(args: Sequence[str | bytes | int]) -> str:
    words = [a.decode("utf-8", "backslashreplace") if isinstance(a, bytes) else str(a) for a in args]
    return " ".join([words[0].upper(), *words[1:]])


def pack(commands: Iterable[Command]) -> bytes:
    """The bytes of a pipeline."""
    return b"".join([command.packed for command in commands])


#: bytes, int, list, None, str (a status), float, or ReplyError
Reply = Any

#: a batch of nothing: other work may go on here
PAUSE: list[Command] = []
#: rows that are written between two pauses
PIECE = 100
