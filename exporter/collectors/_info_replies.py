"""The replies to INFO that two collectors read: what a server answers, and what is remembered of it.

From 7.0 on a server gives several sections by one command. Those that move all the time are asked for alone
then, where the answer has all that the whole INFO has of them. Some servers leave sections out of a plain
INFO that they give by name, or by `all` only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field

from exporter.collectors._several import LOOK_AGAIN_S, Sections, Several, ask_whole, section, shows_section
from exporter.options.table import Options
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts
from exporter.protocol.info_commands import INFO, MOVING

#: sections that a plain INFO has on all servers of Redis
SECTIONS = ("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "keyspace")
#: bytes of INFO that hold the line of the mode: it is among the first of the first section
MODE_WITHIN = 1000
RUN_ID = b"\nrun_id:"
CLUSTER_ENABLED = b"cluster_enabled:"
#: the heading of the databases, and the first of them (maybe after remarks), the next heading or nothing
_DATABASES = re.compile(rb"# Keyspace\s+(?:(?:#[^\n]*\n)*db[0-9]+:|# \w+\s*\n|\Z)")
#: Redis' default, used where CONFIG gives no number
DATABASES_DEFAULT = 16


@dataclass(slots=True)
class MovingSections:
    """Whether a run of a server gives the moving sections by one command as it does in the whole INFO.

    `wants_whole` is set while they are not enough. `wholes_in_a_row` counts whole texts that were read again.
    """

    run_id: str = ""
    looked_at: float = -math.inf
    are_given: bool = False
    wants_whole: bool = False
    wholes_in_a_row: int = 0

    def is_due(self, run_id: str, now: float) -> bool:
        """Whether to look at what the server gives. A server that does not name its run gives them in the
        whole INFO only: nobody would see that another run has taken its place."""
        return run_id != "" and (run_id != self.run_id or now - self.looked_at >= LOOK_AGAIN_S)

    def note(self, run_id: str, now: float, *, are_given: bool) -> None:
        """Remember what this run gives."""
        self.run_id, self.looked_at, self.are_given = run_id, now, are_given


@dataclass(slots=True)
class InfoMemory:
    """The texts of the wanted fields that the facts were made of, and how the server gives its sections."""

    texts: tuple[bytes | None, ...] = ()
    sections: Sections = field(default_factory=Sections)
    moving: MovingSections = field(default_factory=MovingSections)


def ask_info(
    sections: Sections, run_id: str | None, now: float
) -> Generator[list[Command], list[Reply], list[Reply]]:
    """The replies to INFO, and to what gives the sections that it leaves out. `run_id` is None before the
    first one."""
    hidden, whole = sections.apart, sections.whole
    if not hidden.names and not whole.names and not hidden.is_due(run_id, now):
        return (yield [INFO])
    replies = yield from _PLAIN.ask(hidden, run_id, now)
    missing = [name for name in SECTIONS if not any(_shows(reply, name) for reply in replies)]
    if not missing or not isinstance(replies[0], bytes):
        return replies

    def gives(reply: Reply) -> bool:
        return any(_shows(reply, name) for name in missing)

    return replies + (yield from ask_whole(whole, gives, run_id, now))


def join_texts(replies: Sequence[Reply]) -> bytes:
    """The texts among the replies as one."""
    return replies[0] if len(replies) == 1 else b"\r\n".join(each for each in replies if type(each) is bytes)


def is_whole(text: bytes) -> bool:
    """Whether a text of INFO has the section that names the run."""
    return text.find(RUN_ID) >= 0  # `in` takes twice as long: it makes an exception before it searches


def has_all(part: bytes, whole: bytes, keys: Collection[bytes]) -> bool:
    """Whether a reply with the moving sections has what the whole INFO has of them: their headings, and the
    lines of these keys wherever they stand."""
    shown = [name for name in MOVING if shows_section(whole, name)]
    if is_whole(part) or not all(shows_section(part, name) for name in shown):
        return False
    return _keys(whole).intersection(keys) <= _keys(part)


def is_sentinel(text: bytes) -> bool:
    """Whether a text of INFO is that of a Sentinel. Only the beginning is looked at."""
    return text.find(b"_mode:sentinel", 0, MODE_WITHIN) >= 0


def may_ask_for_part(facts: Facts, options: Options, memory: InfoMemory) -> bool:
    """Whether the server could give the moving sections alone: earlier ones answer several names with an
    error, and some leave sections out of INFO that have to be put together anyway."""
    sections = memory.sections
    return (
        options.poll.thrifty
        and facts.version >= (7, 0, 0)
        and facts.mode != "sentinel"
        and not sections.apart.names
        and not sections.whole.names
    )


def asks_for_part(known: Facts, options: Options, memory: InfoMemory, now: float) -> bool:
    """Whether to ask for the moving sections alone first."""
    moving = memory.moving
    return (
        moving.are_given
        and moving.run_id == known.run_id != ""
        and not moving.is_due(known.run_id, now)
        and not memory.sections.apart.is_due(known.run_id, now)
        and may_ask_for_part(known, options, memory)
    )


def shown_databases(text: bytes, databases: int | None, options: Options, *, in_cluster: bool) -> int:
    """How many databases have samples, whether they have keys or not."""
    if not options.metrics.include_metrics_for_empty_databases or not _shows_databases(text):
        return 0
    if in_cluster:
        return 1
    return DATABASES_DEFAULT if databases is None else databases


# Each looks where its line stands, so that a poll does not read INFO three times more.


def is_cluster(text: bytes) -> bool:
    at = text.rfind(CLUSTER_ENABLED)
    return at >= 0 and text.startswith(b"1", at + len(CLUSTER_ENABLED))


def _shows_databases(text: bytes) -> bool:
    """Whether a database that is not in the text is empty. Redis 2.4 has no headings; the section of Pika has
    lines of another kind."""
    at = text.rfind(b"# Keyspace")
    if at >= 0:
        return _DATABASES.match(text, at) is not None
    return b"redis_version:" in text and b"# " not in text


def _keys(text: bytes) -> set[bytes]:
    return {line.partition(b":")[0] for line in text.split(b"\n")}


def _shows(reply: Reply, name: str) -> bool:
    """A Sentinel has fewer sections, and hides none."""
    return shows_section(reply, name) or (isinstance(reply, bytes) and is_sentinel(reply))


_PLAIN = Several(INFO, section, SECTIONS, _shows)
