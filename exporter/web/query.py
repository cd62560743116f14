"""What a request asks for: its query, its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from multidict import MultiMapping

from exporter.errors import ConfigError
from exporter.exposition import Selection
from exporter.forms import parse_keys

#: how much of Prometheus' own timeout may be spent on waiting
TIMEOUT_SHARE = 0.8
TIMEOUT_DEFAULT_S = 2.0

_SHARD = re.compile(r"([0-9]{1,5})/([1-9][0-9]{0,4})\Z")


def selection(query: MultiMapping[str]) -> Selection:
    """`part`, `group` and `name[]`. A ConfigError says what to write instead."""
    shard = None
    if "part" in query:
        match = _SHARD.match(query["part"])
        if match is None or int(match[1]) >= int(match[2]):
            raise ConfigError("part: write I/N with I from 0 to N - 1, such as part=0/20")
        shard = (int(match[1]), int(match[2]))
    names = frozenset(query.getall("name[]", []))
    return Selection(shard=shard, group=query.get("group"), names=names or None)


def max_age_s(query: MultiMapping[str]) -> float | None:
    """Seconds of `max_age`, None where it is not asked for."""
    if "max_age" not in query:
        return None
    try:
        seconds = float(query["max_age"])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError("max_age: write seconds, such as max_age=2 (0 polls now)")
    return seconds


#: what the Go exporter takes on /scrape in place of the flags
KEY_PARAMETERS = ("check-keys", "check-single-keys", "check-streams", "check-single-streams", "count-keys")


def check_keys(query: MultiMapping[str]) -> None:
    """A ConfigError for a list of keys that is none. Which keys are looked at is a matter of the flags alone: they are polled
    in the background."""
    for name in KEY_PARAMETERS:
        for text in query.getall(name, []):
            try:
                parse_keys(text)
            except ValueError as error:
                raise ConfigError(f"{name}: {error}") from None


def wait_s(headers: Mapping[str, str]) -> float:
    """How long this client can be kept waiting for values."""
    try:
        timeout_s = float(headers["X-Prometheus-Scrape-Timeout-Seconds"])
    except (KeyError, ValueError):
        return TIMEOUT_DEFAULT_S
    return TIMEOUT_SHARE * timeout_s if 0 < timeout_s < 3600 else TIMEOUT_DEFAULT_S


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header takes gzip: named, or by `*`, and not with q=0."""
    found: dict[str, float] = {}
    for item in header.split(","):
        coding, _, parameters = item.partition(";")
        quality = 1.0
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        found[coding.strip().lower()] = quality
    return found.get("gzip", found.get("*", 0.0)) > 0
