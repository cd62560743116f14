"""The commands of all collectors that go out together."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.errors import ReplyError
from exporter.polling.memory import TargetMemory
from exporter.protocol.command import Command, Reply


class Share:
    """Where the replies to one collector's commands are among those of the batch. A command that the server
    refused before is not sent: `refusals` has its place in the collector's list, and the error reply."""

    __slots__ = ("at", "count", "refusals")

    def __init__(self, at: int, count: int, refusals: Sequence[tuple[int, ReplyError]] = ()) -> None:
        self.at = at
        self.count = count
        self.refusals = refusals

    def of(self, replies: Sequence[Reply]) -> list[Reply]:
        """The collector's replies, in the order of its commands."""
        found = list(replies[self.at : self.at + self.count])
        for place, refusal in self.refusals:
            found.insert(place, refusal)
        return found

    def cut(self, cuts: Sequence[int]) -> int:
        """How much of them a limit left out, by what it left out of each reply."""
        return sum(cuts[self.at : self.at + self.count])


class Batch:
    """Gathers commands until `take`. `clock` is the monotonic time of the poll's beginning."""

    __slots__ = ("_clock", "_memory", "commands")

    def __init__(self, memory: TargetMemory, clock: float) -> None:
        self.commands: list[Command] = []
        self._memory = memory
        self._clock = clock

    def add(self, commands: Sequence[Command]) -> Share:
        memory, begin = self._memory, len(self.commands)
        if not memory.refusals.known:
            self.commands.extend(commands)
            return Share(begin, len(commands))
        refusals = []
        for place, command in enumerate(commands):
            refusal = memory.refusals.find(command.refused_by, self._clock)
            if refusal is None:
                self.commands.append(command)
            else:
                refusals.append((place, refusal))
        return Share(begin, len(self.commands) - begin, refusals)

    def take(self) -> list[Command]:
        commands, self.commands = self.commands, []
        return commands
