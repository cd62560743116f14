"""`redis_exporter acl`: the least that a user of these servers must be allowed, for the options in use.

https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.options import Options
from exporter.registry import REGISTRY


def rule(options: Options) -> str:
    """The words of the rule after the user's name and password."""
    words: set[str] = set()
    if options.redis.set_client_name:
        words.add("+client|setname")
    if options.redis.ping_on_connect:
        words.add("+ping")
    for collector in REGISTRY:
        if collector.enabled(options):
            words.update(collector.acl(options))
    commands = sorted(word for word in words if word.startswith("+"))
    others = sorted(word for word in words if not word.startswith("+"))
    return " ".join(["resetkeys", "resetchannels", "-@all", *commands, *others])


def run(options: Options, environ: Mapping[str, str]) -> int:
    print(f"ACL SETUSER {options.redis.user or 'exporter'} on >PASSWORD {rule(options)}")
    return 0
