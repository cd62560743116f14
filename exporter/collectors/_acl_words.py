"""The words of ACL rules that collectors need, and how redis-cli reads them.

https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from exporter.collectors._contract import AnyCollector
from exporter.options.table import Options
from exporter.protocol.facts import Facts

_PLAIN = re.compile(r"[^\s\"'\\]+\Z")


def asked_words(collectors: Iterable[AnyCollector], servers: Iterable[Facts], options: Options) -> set[str]:
    """The words of the collectors that poll any of these servers: `+config|get`, `~cart:*`."""
    asking = [
        collector for collector in collectors if any(collector.wants(facts, options) for facts in servers)
    ]
    return {word for collector in asking for word in collector.acl(options)}


def handshake_words(options: Options, *, databases: bool = False) -> set[str]:
    """Those of the first commands on a connection. `databases`: a target has a database other than 0."""
    used = {
        "+client|setname": options.redis.set_client_name,
        "+ping": options.redis.ping_on_connect,
        "+select": databases,
    }
    return {word for word, is_used in used.items() if is_used}


def ordered_words(words: Iterable[str]) -> list[str]:
    """Commands first, then keys and channels."""
    return sorted(words, key=lambda word: (not word.startswith("+"), word))


def quoted_word(word: str) -> str:
    """A word in the spelling that redis-cli reads."""
    if _PLAIN.match(word) and word.isprintable():
        return word
    text = word.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + "".join(
            c if c.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(c)) for c in text
        )
        + '"'
    )


def grants(words: Iterable[str], command: str) -> list[str]:
    """Those of the words that allow a command, such as `CONFIG GET *`: `+config|get`, or `+config` for all
    that begins so."""
    asked = command.lower().split(" ")
    return [
        word
        for word in words
        if word.startswith("+") and asked[: word.count("|") + 1] == word[1:].lower().split("|")
    ]
