"""Which commands a server refuses, and when each is worth sending again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.errors import ReplyError
from exporter.protocol.command import About, Command, Reply

#: how long after the first refusal a command is sent again, and after each further one: no more than two
#: error replies an hour
FIRST_REPROBE_S, REPROBE_S = 600.0, 3600.0
#: refused commands that are remembered of one target
REFUSED_MAX = 10_000
INFO = "INFO"


@dataclass(slots=True)
class Refusal:
    """An error reply that refuses a command, and the monotonic time of it."""

    reply: ReplyError
    at: float
    times: int  # how often in a row


class Refusals:
    """What a target refuses, by names of commands. It holds for one run of the server.

    `known` is empty for most targets. `fresh` are the newest ones, as the log names them, until somebody
    takes them.
    """

    __slots__ = ("_tried", "fresh", "known")

    def __init__(self) -> None:
        self.fresh: dict[str, ReplyError] = {}
        self.known: dict[str, Refusal] = {}
        self._tried: dict[str, float] = {}  # names that are sent again without a reply yet → since when

    def take(self, commands: Sequence[Command], replies: Sequence[Reply], now: float) -> None:
        """Remember what the replies to a batch refuse. If INFO is not answered, the server takes nothing at
        all now: that is the failure of the poll, and says nothing of the other commands."""
        if self._tried:
            self._drop_answered(commands, replies)
        trials: list[tuple[Command, ReplyError]] | None = None
        for command, reply in zip(commands, replies, strict=True):
            if type(reply) is ReplyError:
                if command.name == INFO:
                    return
                if not reply.is_refusal:
                    continue
                if command.about is About.SERVER or reply.code == "NOPERM":  # for these data, perhaps
                    self.add(command.name, reply, now, shown(command))
                elif command.about is About.TRIAL:
                    trials = [*(trials or ()), (command, reply)]
        if trials is not None:
            self._take_trials(trials, commands, replies, now)

    def _take_trials(
        self,
        refused: Sequence[tuple[Command, ReplyError]],
        commands: Sequence[Command],
        replies: Sequence[Reply],
        now: float,
    ) -> None:
        answered = {
            command.verb
            for command, reply in zip(commands, replies, strict=True)
            if command.about is About.TRIAL and type(reply) is not ReplyError
        }
        for command, reply in refused:
            if command.verb not in answered:
                self.add(command.verb, reply, now, shown(command))

    def _drop_answered(self, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        for command, reply in zip(commands, replies, strict=True):
            for name in command.refused_by:
                if name in self._tried:
                    self._tried.pop(name)
                    if type(reply) is not ReplyError:
                        self.drop(name)

    def add(self, name: str, reply: ReplyError, now: float, shown: str = "") -> None:
        """Remember one. The log names it as `shown`, unless that is empty."""
        before = self.known.pop(name, None)
        if len(self.known) >= REFUSED_MAX:  # keys that come and go, and that the user may not look at
            del self.known[next(iter(self.known))]
        times = 1 if before is None else before.times + (before.at != now)
        self.known[name] = Refusal(reply, now, times)
        if before is None and shown:
            self.fresh.setdefault(shown, reply)

    def take_fresh(self) -> dict[str, ReplyError]:
        fresh, self.fresh = self.fresh, {}
        return fresh

    def drop(self, name: str) -> None:
        """Forget one: the command was answered."""
        self.known.pop(name, None)
        self._tried.pop(name, None)

    def find(self, names: Iterable[str], now: float) -> ReplyError | None:
        """The error reply to a command of these names that is not worth sending again yet. In one poll, one
        command of a refused verb is."""
        for place, name in enumerate(names):
            refusal = self.known.get(name)
            if refusal is None:
                continue
            is_recent = now - refusal.at < (FIRST_REPROBE_S if refusal.times == 1 else REPROBE_S)
            if is_recent or (place and self._tried.get(name) == now):
                return refusal.reply
            self._tried[name] = now
        return None

    def forget(self) -> None:
        """Send everything again."""
        self.known.clear()
        self._tried.clear()

    def doubt(self) -> None:
        """Send everything again after ten minutes at most: the server may be another one now."""
        for refusal in self.known.values():
            refusal.times = 1


def shown(command: Command) -> str:
    """A command as the log names it: no more of it than says what it does."""
    words = [str(arg) for arg in command.args[:2] if isinstance(arg, str)]
    return " ".join(word for word in words if word.replace("-", "").isalnum())
