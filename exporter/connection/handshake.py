"""The first commands on a new connection, and what the server's replies to them mean. No I/O.

The server's reply to AUTH is never repeated: a server that does not know AUTH sends the arguments back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from exporter import safe_text
from exporter.errors import (
    AuthError,
    BusyError,
    MaxClientsError,
    ProtocolError,
    RefusedError,
    ReplyError,
    TargetError,
)
from exporter.protocol.command import Command
from exporter.targets.target import Target

CLIENT_NAME = "redis_exporter"
SET_NAME = Command.of("CLIENT", "SETNAME", CLIENT_NAME)


class Notice(Enum):
    """What went wrong in a handshake that left the connection usable. The value is for the reader."""

    PASSWORD_UNUSED = "the server has no password set: the configured one is not used"
    AUTH_UNKNOWN = "the server does not know AUTH: the configured password is not used"
    UNNAMED = f"the server did not take the client name {CLIENT_NAME}"
    #: The connection is on database 0. A poll of another database closes it once the server has its data.
    DB_PENDING = "the server has no data yet and did not select the database"


class Handshake:
    """AUTH, SELECT and CLIENT SETNAME, as far as a target needs them: `commands` go out in one pipeline. It
    may be empty."""

    def __init__(self, where: str, target: Target, *, named: bool) -> None:
        self.addr = target.addr
        self._where = where
        self._target = target
        steps: list[tuple[Command, Callable[[str, Target, ReplyError], Notice]]] = []
        user, password = safe_text.given_bytes(target.user), safe_text.given_bytes(target.password)
        if user:
            steps.append((Command.of("AUTH", user, password), _judge_auth))
        elif password:
            steps.append((Command.of("AUTH", password), _judge_auth))
        if target.db:
            steps.append((Command.of("SELECT", target.db), _judge_select))
        if named:
            steps.append((SET_NAME, _judge_name))
        self._steps = steps

    @property
    def commands(self) -> list[Command]:
        return [command for command, _ in self._steps]

    def judge(self, replies: Sequence[object]) -> tuple[Notice, ...]:
        """What the operator should know from the replies to `commands`. Raises a TargetError if the
        connection cannot be used."""
        notices = []
        for (command, judge), reply in zip(self._steps, replies, strict=True):
            if isinstance(reply, ReplyError):
                unwelcome = refusal(self._where, reply)
                if unwelcome is not None:
                    raise unwelcome
                notices.append(judge(self._where, self._target, reply))
            elif reply != b"OK" and command is not SET_NAME:
                raise ProtocolError(
                    f"{self._where}: the server answered {command.args[0]!r} with something other than OK "
                    f"or an error"
                )
        return tuple(notices)


def _judge_auth(where: str, target: Target, reply: ReplyError) -> Notice:
    # The server's own words are left out: they may hold the arguments.
    low = reply.raw.lower()
    if "no password is set" in low or "without any password configured" in low:
        return Notice.PASSWORD_UNUSED
    if "unknown command" in low:
        return Notice.AUTH_UNKNOWN
    if "wrong number of arguments" in low and target.user:
        raise AuthError(
            f"{where}: the server knows no users (Redis before 6): configure the password without a user"
        )
    if reply.code == "BUSY":
        raise BusyError(f"{where}: a script blocks the server")
    if reply.code == "WRONGPASS" or "invalid password" in low:
        raise AuthError(
            f"{where}: the server refuses the {'user or password' if target.user else 'password'}"
        )
    raise AuthError(f"{where}: the server refuses AUTH with an error of another kind than a wrong password")


def _judge_select(where: str, target: Target, reply: ReplyError) -> Notice:
    if reply.code in ("LOADING", "MASTERDOWN"):
        return Notice.DB_PENDING
    raise type(reply.as_target_error())(f"{where}: database {target.db} cannot be selected: {reply.text}")


def _judge_name(where: str, target: Target, reply: ReplyError) -> Notice:
    """A service may refuse CLIENT in any words: whether it takes INFO is seen there."""
    if reply.code == "NOAUTH":
        raise AuthError(f"{where}: the server wants a password: configure one")
    if reply.code == "BUSY":
        raise BusyError(f"{where}: a script blocks the server")
    return Notice.UNNAMED


def refusal(where: str, reply: ReplyError) -> TargetError | None:
    """The error in the reply of a server that is about to close a connection; None for any other reply."""
    if "max number of clients" in reply.raw.lower():
        return MaxClientsError(f"{where}: the server has as many clients as it takes (maxclients)")
    if reply.code == "DENIED":
        return RefusedError(
            f"{where}: the server is in protected mode and serves its own machine only: give it a password"
        )
    return None
