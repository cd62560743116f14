"""Debug lines of commands, for `--verbose`: their names, how many, and how long the replies took.

A line never holds what was asked for: keys, scripts and passwords are arguments. Commands of one pipeline
have one time, because their replies come together.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from exporter.errors import TargetError
from exporter.protocol.command import Command, Reply

#: below the lines that `--debug` shows
LEVEL = logging.DEBUG - 1
#: commands whose first argument is part of their name
CONTAINERS = frozenset(
    {
        *("ACL", "CLIENT", "CLUSTER", "COMMAND", "COMMANDLOG", "CONFIG", "FUNCTION", "LATENCY"),
        *("MEMORY", "MODULE", "OBJECT", "SCRIPT", "SENTINEL", "SLOWLOG", "XINFO"),
    }
)

Done = Callable[[list[Reply] | TargetError], None]

log = logging.getLogger(__name__)


def is_on() -> bool:
    return log.isEnabledFor(LEVEL)


def timed(addr: str, commands: Sequence[Command], done: Done) -> Done:
    """`done`, with a line about the commands before it."""
    began_at = time.perf_counter()

    def note_and_go_on(outcome: list[Reply] | TargetError) -> None:
        note(addr, commands, began_at, outcome if isinstance(outcome, TargetError) else None)
        done(outcome)

    return note_and_go_on


def note(addr: str, commands: Sequence[Command], began_at: float, error: TargetError | None = None) -> None:
    """Log what was sent at `began_at` (of `time.perf_counter`) and is answered now, or failed."""
    if is_on():
        extra = {
            "addr": addr,
            "duration_ms": round((time.perf_counter() - began_at) * 1000, 1),
            "commands": names_of(commands),
            **({"reason": error.reason, "err": str(error)} if error is not None else {}),
        }
        log.log(LEVEL, "commands", extra=extra)


def names_of(commands: Iterable[Command]) -> str:
    """The names in the order of their first use, with their number where it is above 1."""
    counts = Counter(_name(command) for command in commands)
    return ", ".join(name if count == 1 else f"{name} x{count}" for name, count in counts.items())


def _name(command: Command) -> str:
    words = [
        word.decode("utf-8", "backslashreplace") if isinstance(word, bytes) else str(word)
        for word in command.args[:2]
    ]
    name = words[0].upper()
    return " ".join([name, *words[1:]]).upper() if name in CONTAINERS else name
