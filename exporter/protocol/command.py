"""One command, a pipeline of them, and the replies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hiredis import pack_command


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its arguments, and the bytes that go over the wire.

    `node` is `host:port` of another node of the target's cluster, where that is to be asked in the target's
    place.
    """

    args: tuple[str | bytes | int, ...]
    packed: bytes = field(repr=False, compare=False)
    node: str = ""

    @staticmethod
    @lru_cache(1024, typed=True)  # nearly all commands are the same at every poll
    def of(*args: str | bytes | int, node: str = "") -> Command:
        return Command(args, pack_command(args), node)  # type: ignore[arg-type]  # its stub knows tuples of one element only

    @property
    def name(self) -> str:
        """The name that a refusal is remembered by: all words, because a server may refuse a single
        sub-command, section or key."""
        words = [a.decode("utf-8", "backslashreplace") if isinstance(a, bytes) else str(a) for a in self.args]
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
