"""What INFO says of a server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server's newest INFO says, and what its first poll asked besides."""

    version: tuple[int, int, int]  # of the Redis whose commands it has
    flavor: str  # redis (also: not known), or one of `FLAVORS`
    role: str  # master, slave, active-replica, sentinel; "" unknown
    mode: str  # standalone, cluster, sentinel
    run_id: str
    cluster_enabled: bool
    loading: bool
    databases: int | None = None  # how many the server has; None: not known
    #: the flavor's own: Valkey's redis_version stays at 7.2.4
    flavor_version: tuple[int, int, int] = (0, 0, 0)


#: servers that name themselves by their version
FLAVORS = ("valkey", "redict", "dragonfly", "garnet", "kvrocks", "pika")
#: those that are made from the source of Redis, and the newest version that they say they are like
FORKS, FORK_VERSION = ("valkey", "redict"), (7, 2, 4)
#: of a server that is no Redis and states no version of Redis: most servers know the commands of this one
VERSION_ASSUMED = (5, 0, 0)
#: what is below is rather the number of another product (Tendis is 2.7)
VERSION_LEAST = (2, 8, 0)
#: the fields of INFO that they are made of
FACT_FIELDS = (
    "redis_version",
    *(f"{flavor}_version" for flavor in FLAVORS),
    "server_name",
    "redis_mode",
    "server_mode",
    "redict_mode",
    "RedisMode",
    "mvcc_depth",
    "role",
    "run_id",
    "cluster_enabled",
    "loading",
)


def make_facts(fields: Mapping[str, bytes | None], databases: int | None) -> Facts:
    """The facts in the texts of INFO."""

    def text(key: str) -> str:
        return (fields.get(key) or b"").decode("utf-8", "replace")

    named = [name for name in FLAVORS if text(f"{name}_version") or text("server_name") == name]
    flavor = named[0] if named else "keydb" if text("mvcc_depth") else "redis"
    mode = (
        text("redis_mode") or text("server_mode") or text("redict_mode") or text("RedisMode") or "standalone"
    )
    role = "slave" if text("role") == "replica" else text("role")  # as Dragonfly says
    own = _version(text(f"{flavor}_version") or text("redis_version"))
    return Facts(
        version=_commands_version(_version(text("redis_version")), flavor, own),
        flavor=flavor,
        role="sentinel" if mode == "sentinel" else role,
        mode=mode,
        run_id=text("run_id"),
        cluster_enabled=text("cluster_enabled") == "1",
        loading=text("loading") == "1",
        databases=databases,
        flavor_version=own,
    )


def _commands_version(
    stated: tuple[int, int, int], flavor: str, own: tuple[int, int, int]
) -> tuple[int, int, int]:
    """The version of Redis whose commands a server has, by the one that it states."""
    if flavor in FORKS and stated < VERSION_LEAST:
        return min(own, FORK_VERSION)
    if stated < VERSION_LEAST:
        return VERSION_ASSUMED
    return max(stated, VERSION_ASSUMED) if flavor in FLAVORS and flavor not in FORKS else stated


def _version(text: str) -> tuple[int, int, int]:
    """The numbers of a version such as `7.0.15`, `8.0-m01` or `df-v1.2.3`; what is not there counts as 0."""
    found = re.search(
        r"(?<![0-9])([0-9]{1,8})(?:\.([0-9]{1,8}))?(?:\.([0-9]{1,8}))?(?![0-9])", text, re.ASCII
    )
    major, minor, patch = (int(digits or 0) for digits in found.groups()) if found else (0, 0, 0)
    return major, minor, patch
