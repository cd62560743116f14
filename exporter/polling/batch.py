"""The commands of all collectors that go out together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from exporter.errors import ReplyError
from exporter.polling.memory import LastReply, TargetMemory
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts
from exporter.protocol.info_commands import ANSWERED_BY, is_shareable


class Share:
    """Where the replies to one collector's commands are among those of the batch: `places`, in the order of
    its commands. `sent` are the commands that are in the batch for it alone or for it first.

    A command that the server refused before is not sent: `refusals` has its place in the collector's list,
    and the error reply. `until` is the monotonic moment from which on one of them may be sent again.
    """

    __slots__ = ("places", "refusals", "sent", "until")

    def __init__(
        self,
        places: Sequence[int],
        sent: Sequence[Command],
        refusals: Sequence[tuple[int, ReplyError]] = (),
        until: float = math.inf,
    ) -> None:
        self.places = places
        self.sent = sent
        self.refusals = refusals
        self.until = until

    @property
    def count(self) -> int:
        """How many replies it gets."""
        return len(self.places)

    def of(self, replies: Sequence[Reply]) -> list[Reply]:
        """The collector's replies, in the order of its commands."""
        found = [replies[place] for place in self.places]
        for place, refusal in self.refusals:
            found.insert(place, refusal)
        return found

    def cut(self, cuts: Sequence[int]) -> int:
        """How much of them a limit left out, by what it left out of each reply."""
        return sum(cuts[place] for place in self.places)


class Batch:
    """Gathers commands until `take`. `clock` is the monotonic time of the poll's beginning.

    A question for INFO that several collectors ask is sent once, and all of them get the reply. So a family
    whose inputs two collectors ask for has both from one moment.
    """

    __slots__ = ("_asked", "_clock", "_memory", "commands")

    def __init__(self, memory: TargetMemory, clock: float) -> None:
        self.commands: list[Command] = []
        self._asked: dict[Command, int] = {}  # the place of each command that can be shared
        self._memory = memory
        self._clock = clock

    def add(self, commands: Sequence[Command]) -> Share:
        refusals = self._refusals(commands) if self._memory.refusals.known else []
        refused = {place for place, _ in refusals}
        until = min((self._again_at(commands[place]) for place in refused), default=math.inf)
        places, sent = [], []
        for place, command in enumerate(commands):
            if place in refused:
                continue
            at = self._place(command) if is_shareable(command) else None
            if at is None:
                at = len(self.commands)
                self.commands.append(command)
                sent.append(command)
            places.append(at)
        return Share(places, sent, refusals, until)

    def repeat(self, last: LastReply) -> Share:
        """Add what a collector sent before, for it alone."""
        begin = len(self.commands)
        self.commands.extend(last.sent)
        return Share(range(begin, len(self.commands)), last.sent, last.refusals, last.until)

    def take(self) -> list[Command]:
        commands, self.commands = self.commands, []
        self._asked.clear()
        return commands

    def _refusals(self, commands: Sequence[Command]) -> list[tuple[int, ReplyError]]:
        """The commands that the server refused before, by their places."""
        known, clock = self._memory.refusals, self._clock
        found = ((place, known.find(each.refused_by, clock)) for place, each in enumerate(commands))
        return [(place, refusal) for place, refusal in found if refusal is not None]

    def _again_at(self, command: Command) -> float:
        return self._memory.refusals.again_at(command.refused_by)

    def _place(self, command: Command) -> int | None:
        """Where the batch has a command whose reply answers this one; None: it has to be added, which this
        notes. One that asks for more takes the place of one that asks for less."""
        asked = self._asked
        for answering in (command, ANSWERED_BY.get(command)):
            if answering in asked:
                return asked[answering]
        for less, more in ANSWERED_BY.items():
            if more == command and less in asked:
                asked[command] = asked.pop(less)
                self.commands[asked[command]] = command
                return asked[command]
        asked[command] = len(self.commands)
        return None


class FirstBatch:
    """What a poll asked first, and who got which replies: for the next poll, if it asks the same. `facts` and
    the `version` of what is known to be refused are those at the beginning, `batches` counts all batches.
    `until` is the monotonic moment from which on a command that was left out may be sent again. `is_first`:
    nothing was asked over this connection before, so it may ask more than the next one.
    """

    __slots__ = ("batches", "commands", "facts", "is_first", "shares", "until", "version")

    def __init__(self, facts: Facts | None, version: int, *, is_first: bool) -> None:
        self.facts = facts
        self.version = version
        self.is_first = is_first
        self.until = math.inf
        self.batches = 0
        self.commands: Sequence[Command] = ()
        self.shares: dict[str, Share] = {}  # of the first batch, by collector

    def note_share(self, collector: str, share: Share) -> None:
        """A collector asks this. Where nothing of it is sent, what it asks besides counts."""
        self.until = min(self.until, share.until)
        if share.count or collector not in self.shares:
            self.shares[collector] = share

    def note(self, commands: Sequence[Command]) -> None:
        """A batch is sent, or none."""
        if commands:
            self.batches += 1
            self.commands = self.commands or commands
