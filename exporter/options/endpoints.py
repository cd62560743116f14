"""The table of what the exporter answers: routes, reserved paths and the landing page are derived from it."""

from __future__ import annotations

from typing import NamedTuple


class Endpoint(NamedTuple):
    """One row. `name` is the label `endpoint` of the exporter's own series. `link` and `note` stand on the
    landing page, where there is a `note`. `reloads`: it is asked for by POST too."""

    path: str
    name: str
    note: str = ""
    link: str = ""
    reloads: bool = False


#: the page of all targets, whose path is an option
TELEMETRY = "metrics"

ENDPOINTS = (
    Endpoint("/scrape", "scrape", "one target: append its address or alias", link="/scrape?target="),
    Endpoint("/health", "health", "whether any target can be reached"),
    Endpoint("/-/healthy", "healthy", "whether this process is alive"),
    Endpoint("/-/ready", "ready", "whether every target was tried once"),
    Endpoint("/-/reload", "reload", reloads=True),
    Endpoint("/discover-cluster-nodes", "discover-cluster-nodes"),
    Endpoint("/", "landing"),
)

#: what no telemetry path may be; none may begin with RESERVED_PREFIX either
RESERVED = frozenset(endpoint.path for endpoint in ENDPOINTS)
RESERVED_PREFIX = "/-/"


def is_reserved(path: str) -> bool:
    """Whether a path, with a slash at its end or without, is an endpoint of its own."""
    return (path.rstrip("/") or "/") in RESERVED or path.startswith(RESERVED_PREFIX)
