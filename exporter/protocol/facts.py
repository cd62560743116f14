"""What INFO says of a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server's newest INFO says, and what its first poll asked besides."""

    version: tuple[int, int, int]
    flavor: str  # redis, valkey, keydb, redict
    role: str  # master, slave, active-replica, sentinel; "" unknown
    mode: str  # standalone, cluster, sentinel
    run_id: str
    cluster_enabled: bool
    loading: bool
    databases: int | None = None  # how many the server has; None: not known
    #: the flavor's own: Valkey's redis_version stays at 7.2.4
    flavor_version: tuple[int, int, int] = (0, 0, 0)


#: the fields of INFO that they are made of
FACT_FIELDS = (
    "redis_version",
    "valkey_version",
    "redict_version",
    "server_name",
    "redis_mode",
    "server_mode",
    "redict_mode",
    "mvcc_depth",
    "role",
    "run_id",
    "cluster_enabled",
    "loading",
)


def make_facts(fields: Mapping[str, bytes | None], databases: int | None) -> Facts:
    """The facts in the texts of INFO. ProtocolError if they are not from INFO."""

    def text(key: str) -> str:
        return (fields.get(key) or b"").decode("utf-8", "replace")

    if not text("redis_version"):
        raise ProtocolError("INFO has no redis_version field: not a Redis server?")
    flavor = "redis"
    if text("valkey_version") or text("server_name") == "valkey":
        flavor = "valkey"
    elif text("redict_version"):
        flavor = "redict"
    elif text("mvcc_depth"):
        flavor = "keydb"
    mode = text("redis_mode") or text("server_mode") or text("redict_mode") or "standalone"
    return Facts(
        version=_version(text("redis_version")),
        flavor=flavor,
        role="sentinel" if mode == "sentinel" else text("role"),
        mode=mode,
        run_id=text("run_id"),
        cluster_enabled=text("cluster_enabled") == "1",
        loading=text("loading") == "1",
        databases=databases,
        flavor_version=_version(text(f"{flavor}_version") or text("redis_version")),
    )


def _version(text: str) -> tuple[int, int, int]:
    """A version such as `7.0.15`; a part that is not a number counts as 0."""
    numbers = [
        int(digits) if digits.isdecimal() and len(digits) < 9 else 0
        for digits in text.split("-")[0].split(".")[:3]
    ]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch
