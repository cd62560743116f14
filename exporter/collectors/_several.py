"""Asking for several names with one command: sections of INFO, keys of CONFIG GET.

Some servers take one name only and refuse more, some read the first and ignore the others, some leave
sections out of a plain INFO that they give by name. What is not answered together is asked one by one. Some
give sections to no name but `all`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from exporter.errors import ReplyError
from exporter.protocol.command import Command, Reply

_HEADING = re.compile(rb"^# *(\w+)", re.M)
#: how often a run of a server is looked at again
LOOK_AGAIN_S = 3600.0


@dataclass(slots=True)
class Apart:
    """The names that a run of a server answers one by one alone, as they were found at its first poll."""

    names: tuple[str, ...] = ()
    run_id: str | None = None
    looked_at: float = -math.inf

    def is_due(self, run_id: str | None, now: float) -> bool:
        """Whether to look for such names again. `run_id` is None before the first INFO."""
        return run_id is None or run_id != self.run_id or now - self.looked_at >= LOOK_AGAIN_S


@dataclass(frozen=True, slots=True)
class Several:
    """A command `together` for several `names`, the one for `each` of them, and whether a reply `shows` a
    name."""

    together: Command
    each: Callable[[str], Command]
    names: Sequence[str]
    shows: Callable[[Reply, str], bool]

    def ask(
        self, apart: Apart, run_id: str | None, now: float
    ) -> Generator[list[Command], list[Reply], list[Reply]]:
        """The replies: to the command for all, and to those for one. They may be errors."""
        replies = yield [self.together, *map(self.each, apart.names)]
        if not isinstance(replies[0], bytes | list) or not apart.is_due(run_id, now):
            return replies
        answers = dict(zip(apart.names, replies[1:], strict=True))
        missing = [name for name in self.names if not self.shows(replies[0], name)]
        new = [name for name in missing if name not in answers]
        if new:
            answers.update(zip(new, (yield list(map(self.each, new))), strict=True))
        # what is refused is kept: the driver sends it when it is worth it
        apart.names = tuple(
            name
            for name in missing
            if isinstance(answers[name], ReplyError) or self.shows(answers[name], name)
        )
        apart.run_id, apart.looked_at = run_id, now
        return [replies[0], *(answers[name] for name in apart.names)]


@dataclass(slots=True)
class Sections:
    """How a run of a server gives its sections: which of them `apart`, and whether only INFO all gives some
    (`whole` has a name then)."""

    apart: Apart = field(default_factory=Apart)
    whole: Apart = field(default_factory=Apart)


def ask_whole(
    whole: Apart, gives: Callable[[Reply], bool], run_id: str | None, now: float
) -> Generator[list[Command], list[Reply], list[Reply]]:
    """The reply to INFO all, if it `gives` what no other reply did; else nothing."""
    if not whole.names and not whole.is_due(run_id, now):
        return []
    [reply] = yield [section("all")]
    whole.names = ("all",) if gives(reply) else ()
    whole.run_id, whole.looked_at = run_id, now
    return [reply] if whole.names else []


def section(name: str) -> Command:
    return Command.of("INFO", name)


def shows_section(reply: Reply, name: str) -> bool:
    """Whether a text of INFO has this section. One without any heading may have it."""
    if not isinstance(reply, bytes):
        return False
    headings = [heading.lower() for heading in _HEADING.findall(reply)]
    return name.encode() in headings if headings else reply.strip() != b""
