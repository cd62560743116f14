"""One collector at work in one poll."""

from __future__ import annotations

import math
from collections.abc import Sequence

from exporter import engine
from exporter.collectors._contract import Batches, Identification
from exporter.collectors._enabled import EnabledCollector
from exporter.errors import ReplyError
from exporter.polling.batch import Share
from exporter.polling.memory import LastReply
from exporter.polling.output import CollectorOutput
from exporter.polling.poll_context import PollContext
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts

#: commands that only help to ask for something else: they say where, or how much there is
HELPERS = frozenset(
    ("INFO", "SELECT", "ASKING", ("CLIENT", "NO-TOUCH"), ("CLUSTER", "SLOTS"), ("CLUSTER", "MYID"))
)
#: their first words
HELPING = frozenset(each if isinstance(each, str) else each[0] for each in HELPERS)


NOTHING_ASKED = Share((), ())


class CollectorRun:
    """Its generator, what it writes, and where in the batch its replies will be."""

    __slots__ = (
        "batches",
        "collector",
        "commands",
        "generator",
        "helpers_refused",
        "name",
        "output",
        "own_refused",
        "replies",
        "sent_batches",
        "share",
        "until",
    )

    def __init__(
        self, enabled: EnabledCollector, generator: Batches | Identification, output: CollectorOutput
    ) -> None:
        self.collector = enabled.collector
        self.name = enabled.name
        self.generator = generator
        self.output = output
        self.batches = 0
        self.sent_batches = 0  # those of which the server does not refuse everything
        self.commands: Sequence[Command] = ()  # of the newest batch
        self.replies: Sequence[Reply] = ()  # to it
        self.share = NOTHING_ASKED  # of the newest batch
        self.until = math.inf  # the monotonic moment from which on a command may be sent that was not
        #: whether all commands so far were refused, its own and those of `HELPERS`; None: there were none
        self.own_refused: bool | None = False if enabled.collector.identifies else None
        self.helpers_refused: bool | None = None

    @classmethod
    def start(cls, enabled: EnabledCollector, context: PollContext, now: float) -> CollectorRun:
        collector, facts = enabled.collector, context.memory.facts
        labels = context.labels[enabled.name]
        output = CollectorOutput(
            enabled, labels, context.memory, now, context.target.db, context.bounds.rows_max
        )
        generator: Batches | Identification
        if collector.identifies:
            generator = collector.identify(facts, context.options, output)
        else:
            assert facts is not None, "the collector that identifies the server goes first"
            generator = collector.collect(facts, context.options, output)
        return cls(enabled, generator, output)

    def take_share(self, commands: Sequence[Command], share: Share) -> None:
        """Go on to another batch of commands, which has this share in what is sent."""
        self.batches += 1
        self.sent_batches += bool(share.count)
        self.until = min(self.until, share.until)
        self.commands, self.share = commands, share

    def step(self, replies: list[Reply] | None) -> Sequence[Command]:
        """What it asks next; nothing at a pause. `replies` are those to its newest commands, None at its
        beginning. StopIteration at its end."""
        if replies is None:
            return next(self.generator)
        if replies:
            self.replies = replies
            if self.own_refused is not False:
                if self.commands[0].args[0] in HELPING or ReplyError in map(type, replies):
                    self._judge(replies)
                else:
                    self.own_refused = False
        return self.generator.send(replies)

    def _judge(self, replies: Sequence[Reply]) -> None:
        for command, reply in zip(self.commands, replies, strict=True):
            refused = isinstance(reply, ReplyError) and reply.is_refusal
            if command.args[0] in HELPERS or command.args[:2] in HELPERS:
                self.helpers_refused = refused and self.helpers_refused is not False
            else:
                self.own_refused = refused and self.own_refused is not False
                if not refused:
                    return

    @property
    def is_refused(self) -> bool | None:
        """Whether the server refuses what this collector is for; None: nothing was asked."""
        return self.helpers_refused if self.own_refused is None else self.own_refused

    @property
    def is_repeatable(self) -> bool:
        """Whether the same replies to the same commands, and the same refusals, give the same samples in the
        next poll."""
        if self.sent_batches == 0 and self.batches:
            return True
        errors = sum(isinstance(reply, ReplyError) for reply in self.replies)
        return self.batches == 1 and errors == len(self.share.refusals)

    def last_reply(self, facts: Facts | None, block: engine.Block, version: int) -> LastReply:
        """What the next poll goes by: `block` came of this run, under this version of the known refusals."""
        refused = {place for place, _ in self.share.refusals}
        return LastReply(
            facts,
            self.output.labels,
            self.commands,
            self.replies,
            block,
            self.output.cut,
            tuple(command for place, command in enumerate(self.commands) if place not in refused),
            version,
            self.share.refusals,
            self.until,
            bool(self.is_refused),
        )
