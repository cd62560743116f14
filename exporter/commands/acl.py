"""`redis_exporter acl`: the least that a user of these servers must be allowed, for the options in use.

https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.options import Options
from exporter.registry import REGISTRY

#: how the commands of a Sentinel begin. A rule that names one that the server does not know is refused whole
SENTINEL = ("+client|", "+info", "+ping", "+sentinel|")


def rule(options: Options) -> str:
    """The words of the rule after the user's name and password, for a Sentinel with `--is-sentinel`."""
    words: set[str] = set()
    if options.redis.set_client_name:
        words.add("+client|setname")
    if options.redis.ping_on_connect:
        words.add("+ping")
    for collector in REGISTRY:
        if collector.enabled(options) and not collector.acl_where:
            words.update(collector.acl(options))
    is_sentinel = options.redis.is_sentinel
    words = {word for word in words if (word.startswith(SENTINEL) if is_sentinel else not word.startswith("+sentinel|"))}
    commands = sorted(word for word in words if word.startswith("+"))
    others = sorted(word for word in words if not word.startswith("+"))
    return " ".join(["resetkeys", "resetchannels", "-@all", *commands, *others])


def more_rules(options: Options) -> dict[str, str]:
    """What some servers need besides: which ones, and the words. Nothing is added to the rule for a Sentinel."""
    if options.redis.is_sentinel:
        return {}
    chosen = [collector for collector in REGISTRY if collector.enabled(options) and collector.acl_where]
    return {
        where: " ".join(sorted({word for collector in chosen if collector.acl_where == where for word in collector.acl(options)}))
        for where in dict.fromkeys(collector.acl_where for collector in chosen)
    }


def run(options: Options, environ: Mapping[str, str]) -> int:
    user = options.redis.user or "exporter"
    print(f"ACL SETUSER {user} on >PASSWORD {rule(options)}")
    for where, words in more_rules(options).items():
        print(f"# {where}:\nACL SETUSER {user} {words}")
    return 0
