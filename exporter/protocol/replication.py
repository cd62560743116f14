"""Replication as INFO shows it: who copies whom, and how far. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_HEADING: Final = b"# Replication"
#: bytes of the section that are kept: those of some hundred replicas
SECTION_MAX: Final = 65_536
#: characters that numbers before the section become longer or shorter from one reply to the next
MOVES_MAX: Final = 64
#: replicas of one server that are read
REPLICAS_MAX = 1000

_NUMBER = re.compile(r"-?[0-9]{1,19}\Z", re.ASCII)
_REPLICA = re.compile(r"slave[0-9]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class AttachedReplica:
    """A replica as its master sees it: the address that it announces, and how far it has confirmed."""

    host: str
    port: int
    state: str  # online, wait_bgsave, send_bulk
    offset: int | None


@dataclass(frozen=True, slots=True)
class Replication:
    """The place of one server. `offset` is how far its own data goes: of a master what it has written, of a
    replica what it has taken over. A replica has the `id` of its master; after a failover the new master has
    another one."""

    role: str  # master or slave; "" unknown
    id: str
    offset: int | None
    master_host: str  # "" of a master
    master_port: int
    replicas: tuple[AttachedReplica, ...]


def section_of(info: bytes, near: int = 0) -> tuple[bytes, int]:
    """The lines about replication, b"" without them, and where they begin. That was at `near` in the reply
    before: from one to the next it moves by little, and a search through all of it would take longer. Else
    it is searched from the end, where it is most often."""
    begin = info.find(_HEADING, near - MOVES_MAX, near + MOVES_MAX) if near > MOVES_MAX else -1
    if begin < 0:
        begin = info.rfind(_HEADING)
        if begin < 0:
            return b"", 0
    end = _end_of_section(info, begin)
    section = info[begin:end] if end >= 0 else info[begin:]
    return section if len(section) <= SECTION_MAX else section[:SECTION_MAX], begin


def _end_of_section(info: bytes, begin: int) -> int:
    """Where the line before the next heading ends; -1 if there is none. A single character is found much
    quicker, and is nearly always a heading."""
    at = info.find(b"#", begin + len(_HEADING))
    if at < 0:
        return -1
    return at - 1 if info[at - 1 : at + 2] == b"\n# " else info.find(b"\n# ", begin)


def parse_replication(section: bytes) -> Replication:
    """Read what `section_of` returns. What is malformed is unknown."""
    lines = section.decode("utf-8", "replace").split("\n")
    parts = (line.rstrip("\r").partition(":") for line in lines)
    fields = {key: value for key, colon, value in parts if colon}
    role = "slave" if fields.get("role") == "replica" else fields.get("role", "")
    offset = "slave_repl_offset" if role == "slave" else "master_repl_offset"
    lists = [value for key, value in fields.items() if _REPLICA.match(key)]
    return Replication(
        role,
        fields.get("master_replid", ""),
        _number(fields.get(offset, "")),
        fields.get("master_host", ""),
        _number(fields.get("master_port", "")) or 0,
        tuple(filter(None, map(_attached, lists[:REPLICAS_MAX]))),
    )


def _attached(text: str) -> AttachedReplica | None:
    """`ip=10.0.0.2,port=6379,state=online,offset=280,lag=1`; before Redis 2.8 `10.0.0.2,6379,online`."""
    words = text.split(",")
    if "=" not in words[0]:
        words = [f"{name}={word}" for name, word in zip(("ip", "port", "state"), words, strict=False)]
    values = dict(word.partition("=")[::2] for word in words)
    port = _number(values.get("port", ""))
    if not values.get("ip") or port is None or not 0 < port < 65536:
        return None
    return AttachedReplica(values["ip"], port, values.get("state", ""), _number(values.get("offset", "")))


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.match(text) else None
