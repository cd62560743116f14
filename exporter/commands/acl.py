"""`redis_exporter acl`: the smallest permissions that the exporter needs, for the options in use.

It connects to no server. A server refuses a whole rule if it does not know a command in it. So one rule makes
the user with all that every server knows (from Redis 6.2 on), and further rules add what only some servers
know. https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from exporter.app.run import read_targets
from exporter.collectors._acl_words import asked_words, handshake_words, ordered_words, quoted_word
from exporter.collectors._contract import AnyCollector
from exporter.collectors._enabled import is_enabled
from exporter.collectors._registry import REGISTRY
from exporter.options.overrides import override
from exporter.options.table import Options
from exporter.protocol.facts import Facts, make_facts
from exporter.targets.target import Target

DEFAULT_USER = "exporter"
SENTINELS = "Sentinels, in place of all that"
#: commands of collectors that a Sentinel knows
SENTINEL_COMMANDS = frozenset({"acl", "client", "info", "ping", "role", "sentinel"})
#: commands that came with Redis 7.0; collectors send others to older servers
_OF_REDIS_7 = frozenset({"+eval_ro", "+expiretime", "+pexpiretime"})
REDIS_7 = ("", "Redis 7.0 and later, Valkey", "Redis 7.2 and later, Valkey")
REDIS_8 = (*REDIS_7, "Redis 7.4 and later", "Redis 8.0 and later")
VALKEY_8 = (*REDIS_7, "Valkey 8.0 and later")
#: server → fields of its INFO, and the servers whose rules are for it too; "" stands for all servers
_SERVERS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "": ({"redis_version": "6.2.0"}, ()),
    "KeyDB": ({"redis_version": "6.3.4", "mvcc_depth": "0"}, ("",)),
    "Redis 7.0 and later, Valkey": ({"redis_version": "7.0.0"}, REDIS_7[:1]),
    "Redis 7.2 and later, Valkey": ({"redis_version": "7.2.4"}, REDIS_7[:2]),
    "Redis 7.4 and later": ({"redis_version": "7.4.0"}, REDIS_7),
    "Redis 8.0 and later": ({"redis_version": "8.0.0"}, REDIS_8[:4]),
    "Redis 8.2 and later": ({"redis_version": "8.2.0"}, REDIS_8),
    "Valkey 8.0 and later": (
        {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.0.0"},
        REDIS_7,
    ),
    "Valkey 8.1 and later": (
        {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.1.0"},
        VALKEY_8,
    ),
    "Valkey 9.0 and later": (
        {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.0.0"},
        (*VALKEY_8, "Valkey 8.1 and later"),
    ),
}
_STATES = (("standalone", "master"), ("standalone", "slave"), ("cluster", "master"), ("cluster", "slave"))


def _facts(fields: Mapping[str, str], mode: str, role: str) -> Facts:
    info = {**fields, "redis_mode": mode, "role": role, "cluster_enabled": str(int(mode == "cluster"))}
    return make_facts({key: value.encode() for key, value in info.items()}, None)


KINDS = {
    where: [_facts(fields, mode, role) for mode, role in _STATES] for where, (fields, _) in _SERVERS.items()
}
SENTINEL = _facts({"redis_version": "7.0.0"}, "sentinel", "sentinel")


def rules(
    options: Options, databases: bool = False, collectors: Iterable[AnyCollector] = REGISTRY
) -> dict[str, list[str]]:
    """The words of the rules, by the servers that know them: "" for all, then what others need besides, and
    last `SENTINELS`, a complete rule. `databases`: whether a target has a database other than 0."""
    enabled = [collector for collector in collectors if is_enabled(collector, options)]
    connecting = handshake_words(options, databases=databases)
    everywhere = [collector for collector in enabled if not collector.acl_where]
    words = {where: asked_words(everywhere, facts, options) | connecting for where, facts in KINDS.items()}
    for where in ("", "KeyDB"):
        words[where] -= _OF_REDIS_7
    found = {
        where: words[where].difference(*(words[other] for other in others))
        for where, (_, others) in _SERVERS.items()
    }
    for collector in enabled:
        if collector.acl_where:
            found.setdefault(collector.acl_where, set()).update(set(collector.acl(options)) - words[""])
    sentinel = asked_words(enabled, [SENTINEL], options)
    if any(word.startswith("+sentinel") for word in sentinel):
        found[SENTINELS] = {
            word for word in sentinel | connecting if re.split(r"\W", word[1:])[0] in SENTINEL_COMMANDS
        }
    return {where: ordered_words(more) for where, more in found.items() if more or not where}


def lines(options: Options, targets: Sequence[Target]) -> list[str]:
    """Commands for redis-cli, for each user that a target names; a comment says for which servers the next
    line is."""
    found = []
    for user in dict.fromkeys(target.user or DEFAULT_USER for target in targets) or [DEFAULT_USER]:
        own = [target for target in targets if (target.user or DEFAULT_USER) == user]
        new = f"ACL SETUSER {quoted_word(user)} on >PASSWORD resetkeys resetchannels -@all"
        for where, words in _of_all(options, own).items():
            if where:
                found.append(f"# {where}:")
            begin = new if where in ("", SENTINELS) else f"ACL SETUSER {quoted_word(user)}"
            found.append(" ".join([begin, *map(quoted_word, words)]))
    return found


def _of_all(options: Options, targets: Sequence[Target]) -> dict[str, list[str]]:
    """What all these targets need together, each with its own options."""
    databases = any(target.db for target in targets)
    found: dict[str, set[str]] = {}
    for overrides in dict.fromkeys(target.overrides for target in targets) or [()]:
        for where, words in rules(override(options, overrides), databases).items():
            found.setdefault(where, set()).update(words)
    known = found[""]
    return {
        where: ordered_words(words if where in ("", SENTINELS) else words - known)
        for where, words in sorted(found.items(), key=lambda item: item[0] == SENTINELS)
        if where in ("", SENTINELS) or words - known
    }


def run(options: Options, environ: Mapping[str, str]) -> int:
    print("\n".join(lines(options, read_targets(options, environ))))
    return 0
