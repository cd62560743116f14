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
#: of a server that does not state a version of Redis: most servers know the commands of this one
VERSION_ASSUMED = (5, 0, 0)
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
    return Facts(
        version=_version(text("redis_version")) if text("redis_version") else VERSION_ASSUMED,
        flavor=flavor,
        role="sentinel" if mode == "sentinel" else role,
        mode=mode,
        run_id=text("run_id"),
        cluster_enabled=text("cluster_enabled") == "1",
        loading=text("loading") == "1",
        databases=databases,
        flavor_version=_version(text(f"{flavor}_version") or text("redis_version")),
    )


def _version(text: str) -> tuple[int, int, int]:
    """The numbers of a version such as `7.0.15`, `8.0-m01` or `df-v1.2.3`; what is not there counts as 0."""
    found = re.search(
        r"(?<![0-9])([0-9]{1,8})(?:\.([0-9]{1,8}))?(?:\.([0-9]{1,8}))?(?![0-9])", text, re.ASCII
    )
    major, minor, patch = (int(digits or 0) for digits in found.groups()) if found else (0, 0, 0)
    return major, minor, patch
