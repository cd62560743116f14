"""Servers of other versions than the one at hand, as far as their recorded replies go: on a real socket,
every command counted.

A command that has no recorded reply is answered as that version answers one that it does not know.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from tests.servers import Conversation

DATA = Path(__file__).parent / "data"
VERSIONS = sorted(path.name for path in DATA.iterdir() if (path / "info_default.txt").exists())
SENTINELS = sorted(path.name for path in DATA.iterdir() if (path / "sentinel_info.txt").exists())
#: every option that adds metrics of what is on record
EVERYTHING = (
    "--include-config-metrics",
    "--export-client-list",
    "--client-list-by=name,cmd",
    "--include-memory-stats-metrics",
    "--include-acl-log-metrics",
    "--include-modules-metrics",
    "--include-sentinel-peer-info",
    "--include-system-metrics",
    "--export-unknown-info",
)
#: a version of which INFO was made from its source → the one whose replies to other commands stand for its
MADE_FROM = {"redis-8.10.0": "redis-8.0.2", "valkey-9.1.0": "valkey-8.1.1"}


def resp(value: Any) -> bytes:
    """A reply as it goes over the wire (RESP2)."""
    match value:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % value
        case str():
            return resp(value.encode("utf-8", "surrogateescape"))
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(value), value)
        case list():
            return b"*%d\r\n%s" % (len(value), b"".join(map(resp, value)))
    raise TypeError(f"{value!r} is no reply")


class Replay:
    """A script for a `ScriptedServer`. `errors` counts the commands that were answered by an error,
    `asked` all of them."""

    def __init__(self, version: str, info: str = "info_default.txt") -> None:
        self.version = version
        self.errors: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self._folders = [DATA / version, *([DATA / MADE_FROM[version]] if version in MADE_FROM else [])]
        self._default = info
        self._handlers: dict[str, Callable[..., bytes]] = {
            "CLIENT": self._client,
            "PING": lambda: b"+PONG\r\n",
            "TIME": lambda: resp(["1795380000", "250000"]),
            "SELECT": lambda db: b"+OK\r\n",
            "INFO": self._info,
            "SLOWLOG": self._slowlog,
            "LATENCY": lambda what, *more: self._recorded(f"latency_{what.lower()}"),
            "CONFIG": self._config,
            "COMMANDLOG": self._commandlog,
            "MEMORY": lambda what: self._recorded(f"memory_{what.lower()}"),
            "ACL": self._acl,
            "CLUSTER": lambda what: self._recorded(f"cluster_{what.lower()}"),
        }
        if info.startswith("sentinel"):
            self._handlers = {name: self._handlers[name] for name in ("CLIENT", "PING", "INFO")} | {
                "SENTINEL": self._ask_sentinel
            }

    def __call__(self, talk: Conversation) -> None:
        while True:
            words = [word.decode("utf-8", "surrogateescape") for word in talk.command()]
            talk.send(self.answer(words))

    def answer(self, words: list[str]) -> bytes:
        """What the server says to a command."""
        name = " ".join([words[0].upper(), *words[1:2]])
        self.asked[name] += 1
        reply = self._reply(words)
        if reply.startswith(b"-"):
            self.errors[name] += 1
        return reply

    def _reply(self, words: list[str]) -> bytes:
        handler = self._handlers.get(words[0].upper())
        try:
            return handler(*words[1:]) if handler is not None else self._unknown()
        except (FileNotFoundError, TypeError):
            return self._unknown()

    @staticmethod
    def _unknown() -> bytes:
        return b"-ERR unknown command\r\n"

    @property
    def _several(self) -> bool:
        """Whether INFO takes several sections and CONFIG GET several keys: from 7.0 on."""
        return self.version.startswith("valkey") or (
            self.version.startswith("redis-") and int(self.version[6]) >= 7
        )

    def _file(self, name: str) -> Path:
        return next((path for folder in self._folders if (path := folder / name).exists()), Path(name))

    def _recorded(self, name: str) -> bytes:
        refused = self._file(f"{name}.error.txt")
        if refused.exists():
            return refused.read_bytes().rstrip() + b"\r\n"
        text = self._file(f"{name}.txt")
        if text.exists():
            return resp(text.read_bytes())
        return resp(json.loads(self._file(f"{name}.json").read_text(errors="surrogateescape")))

    def _client(self, what: str, *more: str) -> bytes:
        if what.upper() == "LIST":
            return self._recorded("client_list")
        if what.upper() == "SETNAME":
            return b"+OK\r\n"
        return self._unknown()

    def _info(self, *sections: str) -> bytes:
        if len(sections) > 1 and not self._several:
            return b"-ERR syntax error\r\n"
        if not sections or sections == ("default",):
            return resp(self._file(self._default).read_bytes())
        if sections == ("modules",):
            return self._recorded("info_modules")
        text = self._file("info_all.txt").read_bytes()
        wanted = {section.lower().encode() for section in sections}
        parts = re.split(rb"(?m)^(?=# )", text)
        return resp(b"".join(part for part in parts if part[2:].split(b"\r")[0].lower() in wanted))

    def _slowlog(self, what: str, count: str = "10") -> bytes:
        if what.upper() == "LEN":
            return resp(int(self._file("slowlog_len").read_text()))
        return resp(
            json.loads(self._file("slowlog_get.json").read_text(errors="surrogateescape"))[: int(count)]
        )

    def _commandlog(self, what: str, *more: str) -> bytes:
        kind = more[-1].replace("-", "_")
        entries = json.loads(self._file(f"commandlog_{kind}.json").read_text(errors="surrogateescape"))
        return resp(len(entries) if what.upper() == "LEN" else entries[: int(more[0])])

    def _config(self, what: str, *patterns: str) -> bytes:
        if what.upper() != "GET" or (len(patterns) > 1 and not self._several):
            return b"-ERR wrong number of arguments for CONFIG GET\r\n"
        pairs = json.loads(self._file("config_get.json").read_text(errors="surrogateescape"))
        chosen = [
            [key, value]
            for key, value in zip(pairs[::2], pairs[1::2], strict=True)
            if any(fnmatchcase(key, p) for p in patterns)
        ]
        return resp([text for pair in chosen for text in pair])

    def _acl(self, what: str, *more: str) -> bytes:
        if what.upper() == "USERS":  # as ACL LIST names them
            rules = json.loads(self._file("acl_list.json").read_text(errors="surrogateescape"))
            return resp([rule.split(" ")[1] for rule in rules])
        return self._recorded(f"acl_{what.lower()}")

    def _ask_sentinel(self, what: str, *more: str) -> bytes:
        if what.lower() == "config":
            return self._recorded("sentinel_config_get")
        if what.lower() == "ckquorum":
            return b"+%s\r\n" % self._file("sentinel_ckquorum.txt").read_bytes().strip()
        return self._recorded(f"sentinel_{what.lower()}")


#: name → a server on record: a standalone one of each version, replicas, cluster nodes, Sentinels
SERVERS: dict[str, Callable[[], Replay]] = {
    **{version: partial(Replay, version) for version in VERSIONS},
    **{
        f"{version}-{kind}": partial(Replay, version, info)
        for version in ("redis-7.0.15", "valkey-8.1.1")
        for kind, info in (("replica", "info_replica.txt"), ("cluster", "info_cluster_node.txt"))
    },
    **{f"{version}-sentinel": partial(Replay, version, "sentinel_info.txt") for version in SENTINELS},
}
