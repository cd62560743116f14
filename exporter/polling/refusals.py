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

    `fresh` are the newest ones, as the log names them, until somebody takes them.
    """

    __slots__ = ("_known", "_tried", "fresh")

    def __init__(self) -> None:
        self.fresh: dict[str, ReplyError] = {}
        self._known: dict[str, Refusal] = {}
        self._tried: set[str] = set()  # names that are sent again, and have no reply yet

    def __len__(self) -> int:
        return len(self._known)

    def take(self, commands: Sequence[Command], replies: Sequence[Reply], now: float) -> None:
        """Remember what the replies to a batch refuse. If INFO is not answered, the server takes nothing at
        all now: that is the failure of the poll, and says nothing of the other commands."""
        if self._tried:
            self._drop_answered(commands, replies)
        for command, reply in zip(commands, replies, strict=True):
            if type(reply) is ReplyError:
                if command.name == INFO:
                    return
                if reply.is_refusal:
                    self._note(command, reply, now)

    def _drop_answered(self, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        for command, reply in zip(commands, replies, strict=True):
            for name in command.refused_by:
                if name in self._tried:
                    self._tried.discard(name)
                    if type(reply) is not ReplyError:
                        self.drop(name)

    def _note(self, command: Command, reply: ReplyError, now: float) -> None:
        if command.about is About.TRIAL:
            self.add(command.verb, reply, now, command.verb)
        elif command.about is About.SERVER:
            self.add(command.name, reply, now, shown(command))
        elif reply.code == "NOPERM":
            self.add(command.name, reply, now, command.verb)

    def add(self, name: str, reply: ReplyError, now: float, shown: str = "") -> None:
        """Remember one. The log names it as `shown`, unless that is empty."""
        before = self._known.pop(name, None)
        if len(self._known) >= REFUSED_MAX:  # keys that come and go, and that the user may not look at
            del self._known[next(iter(self._known))]
        self._known[name] = Refusal(reply, now, 1 if before is None else before.times + 1)
        if before is None and shown:
            self.fresh.setdefault(shown, reply)

    def take_fresh(self) -> dict[str, ReplyError]:
        fresh, self.fresh = self.fresh, {}
        return fresh

    def drop(self, name: str) -> None:
        """Forget one: the command was answered."""
        self._known.pop(name, None)
        self._tried.discard(name)

    def find(self, names: Iterable[str], now: float) -> ReplyError | None:
        """The error reply to a command of these names that is not worth sending again yet."""
        for name in names:
            refusal = self._known.get(name)
            if refusal is None:
                continue
            if now - refusal.at < (FIRST_REPROBE_S if refusal.times == 1 else REPROBE_S):
                return refusal.reply
            self._tried.add(name)
        return None

    def forget(self) -> None:
        """Send everything again."""
        self._known.clear()
        self._tried.clear()

    def doubt(self) -> None:
        """Send everything again after ten minutes at most: the server may be another one now."""
        for refusal in self._known.values():
            refusal.times = 1


def shown(command: Command) -> str:
    """A command as the log names it: no more of it than says what it does."""
    words = [str(arg) for arg in command.args[:2] if isinstance(arg, str)]
    return " ".join(word for word in words if word.replace("-", "").isalnum())
