"""Which commands a server refuses, and when each is worth sending again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exporter.errors import CUT_OFF, HANG_UP, ReplyError, ResetError, TargetError
from exporter.protocol.command import About, Command, Reply
from exporter.protocol.info_commands import INFO, INFO_MOVING

T = TypeVar("T")
Names = frozenset[str]

#: how long after the first refusal a command is sent again, and after each further one: no more than two
#: error replies an hour
FIRST_REPROBE_S, REPROBE_S = 600.0, 3600.0
#: refused commands that are remembered of one target
REFUSED_MAX = 10_000
#: runs of a target that are remembered: of servers that take turns behind one name
RUNS_MAX = 8
#: sets of answered commands that targets share
SETS_MAX = 1_000
#: what has the facts of a server, or the newest of its values
INFOS = frozenset((INFO, INFO_MOVING))

_sets: dict[Names, Names] = {}


@dataclass(slots=True)
class Refusal:
    """An error reply that refuses a command, and the monotonic time of it and of the one before."""

    reply: ReplyError
    at: float
    before: float = -math.inf
    times: int = 1  # how often in a row

    @property
    def again_at(self) -> float:
        """The monotonic moment from which on the command is sent again."""
        if self.reply.code == HANG_UP:  # it would cost a poll each time
            return math.inf
        wait_s = FIRST_REPROBE_S if self.times == 1 else REPROBE_S
        return max(self.at + wait_s, self.before + REPROBE_S)

    def is_recent(self, now: float) -> bool:
        """Whether it is too early to send the command again."""
        return now < self.again_at


class Refusals:
    """What a target refuses, by names of commands. It holds for one run of the server.

    `known` is empty for most targets, and `version` is another number after each change of it. `fresh` are
    the newest ones, as the log names them, until somebody takes them.
    """

    __slots__ = (
        "_answered", "_answered_now", "_former", "_hung_up", "_of_runs", "_taken_at", "_tried",
        "fresh", "known", "version",
    )  # fmt: skip

    def __init__(self) -> None:
        self.version = 0
        self.fresh: dict[str, ReplyError] = {}
        self.known: dict[str, Refusal] = {}
        self._answered: Names = frozenset()  # verbs that this run has answered: keys come and go without end
        self._answered_now: Names = frozenset()  # in the newest poll that was no steady one
        self._hung_up = ""  # the command at which the server closed the connection last
        self._tried: dict[str, float] = {}  # names that are sent again without a reply yet → since when
        self._former: dict[str, Refusal] = {}  # of commands that were answered since
        self._of_runs: dict[str, tuple[dict[str, Refusal], dict[str, Refusal]]] = {}  # of runs that were left
        self._taken_at = -math.inf  # when the newest poll began

    @property
    def is_settled(self) -> bool:
        """Whether no answer is waited for that says whether a command is refused, and the log has all."""
        return not (self._tried or self.fresh)

    def note_none(self, commands: Sequence[Command], now: float) -> None:
        """A poll of these commands that began at `now` was answered without an error reply."""
        self._taken_at = now
        if self._hung_up:
            self._end_hang_ups(commands)

    def take(self, commands: Sequence[Command], replies: Sequence[Reply], now: float) -> None:
        """Remember what the replies to a batch refuse. If INFO is not answered, the server takes nothing at
        all now: that is the failure of the poll, and says nothing of the other commands."""
        if now != self._taken_at:
            self._answered_now = frozenset()
        self._taken_at = now
        self._note_answers(commands, replies)
        if self._hung_up:
            self._end_hang_ups(commands)
        if self._tried:
            self._drop_answered(commands, replies)
        if len(replies) == len(commands) and ReplyError not in map(type, replies):  # as nearly always
            return
        trials: list[tuple[Command, ReplyError]] | None = None
        for command, reply in zip(commands, replies, strict=True):
            if type(reply) is ReplyError:
                if command in INFOS:
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
        self.version += 1
        self._tried.pop(name, None)
        refusal = Refusal(reply, now)
        before = self.known.pop(name, None)
        former = before or self._former.pop(name, None)
        if former is not None and former.at == now:
            refusal = Refusal(reply, now, former.before, former.times)
        elif former is not None and (before is not None or now - former.at < REPROBE_S):
            refusal = Refusal(reply, now, former.at, former.times + 1)
        _keep(self.known, name, refusal)
        if before is None and shown:
            self.fresh.setdefault(shown, reply)

    def _note_answers(self, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        names = {
            command.verb
            for command, reply in zip(commands, replies, strict=True)
            if type(reply) is not ReplyError
        }
        if not names <= self._answered_now:
            self._answered_now = _shared(self._answered_now | names)
            self._answered = _shared(self._answered | names)

    def _end_hang_ups(self, answered: Sequence[Command]) -> None:
        """What was answered since is not refused: the server or the network had ended the connection."""
        if any(command.name == self._hung_up for command in answered):
            self._hung_up = ""

    def note_failure(self, error: TargetError, batch: Sequence[Command]) -> None:
        """A batch ended with this error."""
        if isinstance(error, ResetError) and error.answered is not None:
            self.note_hang_up(batch[error.answered :], self._taken_at, is_within=error.is_within)

    def note_hang_up(self, unanswered: Sequence[Command], now: float, *, is_within: bool = False) -> None:
        """The server closed the connection in place of a reply to the first of these commands. Some proxies
        refuse a command so; but it may also have ended. So the second time in a row at one command refuses
        it, and the first time where another one is refused so. It is not sent again to this run.

        `is_within`: it closed the connection within that reply. The reply may be larger than a proxy allows,
        or the network is bad. Or this run has answered the command before, so no proxy refuses it: somebody
        ends connections. Both take two times as well, and the command is sent again later."""
        if not unanswered or unanswered[0] == INFO:
            return
        command, name = unanswered[0], _own_name(unanswered[0])
        before, self._hung_up = self._hung_up, command.name
        code = CUT_OFF if is_within or command.verb in self._answered else HANG_UP
        is_usual = code == HANG_UP and any(each.reply.code == HANG_UP for each in self.known.values())
        if before == command.name or is_usual:
            where = " within its reply" if is_within else ""
            self.add(name, ReplyError(f"{code} the server closes the connection{where}"), now, shown(command))

    def take_fresh(self) -> dict[str, ReplyError]:
        fresh, self.fresh = self.fresh, {}
        return fresh

    def drop(self, name: str) -> None:
        """The command was answered. A server that answers it at times only counts no more errors than
        others."""
        refusal = self.known.pop(name, None)
        if refusal is not None:
            self.version += 1
            _keep(self._former, name, refusal)
        self._tried.pop(name, None)

    def find(self, names: Iterable[str], now: float) -> ReplyError | None:
        """The error reply to a command of these names that is not worth sending again yet. In one poll, one
        command of a refused name or verb is."""
        for name in names:
            refusal = self.known.get(name)
            if refusal is None:
                continue
            if refusal.is_recent(now) or self._tried.get(name) == now:
                return refusal.reply
            self._tried[name] = now
        return None

    def again_at(self, names: Iterable[str]) -> float:
        """From which monotonic moment on a command of these names may be sent; infinite if it is sent now, or
        never again."""
        return min((self.known[name].again_at for name in names if name in self.known), default=math.inf)

    def forget(self) -> None:
        """Send everything again."""
        self.version += 1
        for refusals in (self.known, self._former, self._of_runs, self._tried):
            refusals.clear()

    def change_run(self, left: str, begun: str) -> None:
        """Send everything again, because the server is another run than before, but what that one has
        refused. The error replies of this poll are its own."""
        self.version += 1
        own = {name: refusal for name, refusal in self.known.items() if refusal.at == self._taken_at}
        others = {name: refusal for name, refusal in self.known.items() if name not in own}
        _keep(self._of_runs, left, (others, self._former), RUNS_MAX)
        known, self._former = self._of_runs.pop(begun, ({}, {}))
        self.known = known | own
        self._answered = self._answered_now
        self._tried.clear()

    def doubt(self) -> None:
        """Send everything again as soon as two error replies an hour allow it: the server may be another one
        now."""
        self.version += 1
        for refusal in self.known.values():
            refusal.times = 1


def _keep(memory: dict[str, T], name: str, value: T, most: int = REFUSED_MAX) -> None:
    """Remember a value as the newest one. Keys come and go that the user may not look at."""
    memory.pop(name, None)
    if len(memory) >= most:
        del memory[next(iter(memory))]
    memory[name] = value


def _own_name(command: Command) -> str:
    """The name by which it is refused."""
    return command.name if command.about is About.SERVER else command.verb


def _shared(names: Names) -> Names:
    """The same set for all targets that answer the same commands."""
    if len(_sets) >= SETS_MAX:
        _sets.clear()
    return _sets.setdefault(names, names)


def shown(command: Command) -> str:
    """A command as the log names it: no more of it than says what it does."""
    words = [str(arg) for arg in command.args[:2] if isinstance(arg, str)]
    return " ".join(word for word in words if word.replace("-", "").isalnum())
