"""INFO and its parts: the commands for sections that a plain INFO has too."""

from __future__ import annotations

from exporter.protocol.command import Command

INFO = Command.of("INFO")
#: sections whose values move all the time
MOVING = ("clients", "memory", "stats", "replication", "keyspace", "cpu")
#: the same with one command, from 7.0 on
INFO_MOVING = Command.of("INFO", *MOVING)
#: the first section of a whole INFO and of the moving ones, of servers that have headings
WHOLE_BEGINS, PART_BEGINS = b"# Server", b"# Clients"

#: by a command, another one whose reply has all that is in its own
ANSWERED_BY = {INFO_MOVING: INFO}


def is_shareable(command: Command) -> bool:
    """Whether one reply to it is enough for all who ask it in one batch: it depends on nothing that commands
    before it have changed, such as the database."""
    return command.args[0] == "INFO"
