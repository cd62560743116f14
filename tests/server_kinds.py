"""Servers of other kinds, as far as they are written down: each is a module in `tests/data/servers/`.

A module says what is known of its server, and where from. It may name:

- `REPLIES`: the beginning of a command, in capitals → what the server replies. The longest beginning counts.
- `UNKNOWN`: what it replies to every other command: an error with `{command}` in it, or `HANG_UP`.
- `DOWN`: the reason why the exporter counts it as down; without it the target is up.

A reply is what `tests.replay.resp` writes, a `Status`, a `Refusal`, `HANG_UP`, or a function of the words of
the command that gives one of these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

from tests.replay import DATA, resp
from tests.servers import Conversation

FOLDER = DATA / "servers"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
#: `# Replication(MASTER)` is one, `# Time:1970-01-01` is a remark
_HEADING = re.compile(r"# (\w+)(\(.*\))?$")


class Status(str):
    """`+OK`."""


class Refusal(str):
    """An error reply, without its `-`."""


class HangUp:
    """The server says nothing and closes the connection."""


HANG_UP = HangUp()
OK = Status("OK")
Reply = str | bytes | int | list[Any] | HangUp | None
Answer = Callable[[Sequence[str]], Reply]


class ServerKind:
    """A script for a `ScriptedServer`. `asked` counts commands by their first two words, and `refused` those
    of them that an error, or the end of the connection, answered."""

    def __init__(self, name: str) -> None:
        self.name = name
        module = import_module(f"tests.data.servers.{name}")
        self.about: str = (module.__doc__ or "").strip()
        self.down: str | None = getattr(module, "DOWN", None)
        self.asked: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._replies: Mapping[str, Reply | Answer] = module.REPLIES
        self._unknown: Refusal | HangUp = module.UNKNOWN

    def __call__(self, talk: Conversation) -> None:
        while True:
            reply = self.reply([word.decode("utf-8", "surrogateescape") for word in talk.command()])
            if isinstance(reply, HangUp):
                return
            talk.send(_on_the_wire(reply))

    def reply(self, words: Sequence[str]) -> Reply:
        name = " ".join(words[:2]).upper()
        self.asked[name] += 1
        reply = self._find(words)
        if isinstance(reply, Refusal | HangUp):
            self.refused[name] += 1
        return reply

    def _find(self, words: Sequence[str]) -> Reply:
        for length in range(len(words), 0, -1):
            beginning = " ".join(words[:length]).upper()
            if beginning in self._replies:
                reply = self._replies[beginning]
                return reply(words) if callable(reply) else reply
        if isinstance(self._unknown, HangUp):
            return self._unknown
        return Refusal(self._unknown.format(command=words[0], arguments=" ".join(words[1:])))


def _on_the_wire(reply: Reply) -> bytes:
    match reply:
        case Status():
            return b"+%s\r\n" % reply.encode()
        case Refusal():
            return b"-%s\r\n" % reply.encode()
    return resp(reply)


def info(text: str, *, hidden: Iterable[str] = (), several: Refusal | None = None) -> Answer:
    """INFO of a server with this text. `hidden` are the sections that only their names and `all` show;
    `several` is what it says to the names of several sections, if it does not know what to do."""
    sections: dict[str, str] = {}
    name = ""
    for line in text.strip("\n").split("\n"):
        heading = _HEADING.match(line)
        if heading:
            name = heading[1].lower()
        sections[name] = sections.get(name, "") + line + "\r\n"
    shown = [name for name in sections if name not in {each.lower() for each in hidden}]

    def answer(words: Sequence[str]) -> Reply:
        names = [word.lower() for word in words[1:]]
        if len(names) > 1 and several is not None:
            return several
        if "all" in names or "everything" in names:
            return "".join(sections.values())
        wanted = shown if not names or names == ["default"] else names
        return "".join(sections.get(name, "") for name in wanted)

    return answer


def config(values: Mapping[str, str], *, several: Refusal | None = None) -> Answer:
    """CONFIG GET of a server with these keys. `several` is what it says to several patterns, if it does not
    know what to do."""

    def answer(words: Sequence[str]) -> Reply:
        patterns = [word.lower() for word in words[2:]]
        if len(patterns) != 1 and several is not None:
            return several
        return [
            text
            for key, value in values.items()
            if any(fnmatchcase(key, pattern) for pattern in patterns)
            for text in (key, value)
        ]

    return answer


def newest(entries: Sequence[Sequence[Any]]) -> Answer:
    """SLOWLOG GET: the first entries, as many as are asked for."""

    def answer(words: Sequence[str]) -> Reply:
        return [list(entry) for entry in entries[: int(words[2]) if len(words) > 2 else 10]]

    return answer
