"""Reads the query and the headers of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping

from multidict import MultiMapping

from exporter.errors import RequestError
from exporter.metrics.lane import Lane
from exporter.options.overrides import overrides_of
from exporter.options.values import KeyName, parse_keys
from exporter.pages.scrapers import Scraper
from exporter.pages.selection import OWN, WHOLE, Selection
from exporter.safe_text import plain, valid
from exporter.targets.asked import Asked

#: share of Prometheus' own timeout that may be spent on waiting
TIMEOUT_SHARE = 0.8
TIMEOUT_DEFAULT_S = 2.0

#: limits of one request
PARTS_MAX, NAMES_MAX, NAME_LENGTH_MAX, GROUP_LENGTH_MAX = 1000, 200, 200, 1024
#: characters of a scraper's names that are kept
ADDRESS_LENGTH_MAX, PROGRAM_LENGTH_MAX = 64, 80

#: the lanes that a request may ask for: a scan takes longer than a scrape may
POLLED_LANES = (Lane.FAST, Lane.STANDARD, Lane.SLOW)

_SLICE = re.compile(r"(0|[1-9][0-9]{0,4})/([1-9][0-9]{0,4})\Z")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")


def selection(query: MultiMapping[str]) -> Selection:
    """`part`, `group` and `name[]`. A RequestError says what to write instead."""
    if not query:
        return WHOLE
    slice, own = None, query.get("part") == OWN
    if "part" in query and not own:
        match = _SLICE.match(query["part"])
        if match is None or int(match[1]) >= int(match[2]):
            raise RequestError(f"part: write I/N with I from 0 to N - 1, such as part=0/20, or part={OWN}")
        slice = (int(match[1]), int(match[2]))
        if slice[1] > PARTS_MAX:
            raise RequestError(f"part: at most {PARTS_MAX:,} parts, such as part=0/{PARTS_MAX}")
    return Selection(slice=slice, own=own, group=_group(query), names=_names(query))


def _group(query: MultiMapping[str]) -> str | None:
    if "group" not in query:
        return None
    group = query["group"]
    if len(group) > GROUP_LENGTH_MAX:
        raise RequestError(f"group: at most {GROUP_LENGTH_MAX:,} characters")
    return valid(group)


def _names(query: MultiMapping[str]) -> frozenset[str] | None:
    names = query.getall("name[]", [])
    if len(names) > NAMES_MAX:
        raise RequestError(f"name[]: at most {NAMES_MAX} names")
    for name in names:
        if len(name) > NAME_LENGTH_MAX or not _NAME.match(name):
            raise RequestError(
                f"name[]: write names of metrics of at most {NAME_LENGTH_MAX} characters, such as "
                f"name[]=redis_up"
            )
    return frozenset(names) or None


def scraper(address: str, headers: Mapping[str, str]) -> Scraper:
    """The scraper that sends a request. It chooses the name of its program itself."""
    return Scraper(
        plain(address, ADDRESS_LENGTH_MAX), plain(headers.get("User-Agent", ""), PROGRAM_LENGTH_MAX)
    )


def max_age_s(query: MultiMapping[str]) -> float | None:
    """Seconds of `max_age`, None without it."""
    if "max_age" not in query:
        return None
    try:
        seconds = float(query["max_age"])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise RequestError("max_age: write seconds, such as max_age=2 (0 polls now)")
    return seconds


def lanes(query: MultiMapping[str]) -> tuple[Lane, ...]:
    """The lanes that `max_age` is about: those of `lanes`, else fast."""
    if "lanes" not in query:
        return (Lane.FAST,)
    if "max_age" not in query:
        raise RequestError("lanes: write max_age too, such as max_age=0&lanes=all")
    names = {name.strip() for text in query.getall("lanes") for name in text.split(",")}
    if names == {"all"}:
        return POLLED_LANES
    chosen = tuple(lane for lane in POLLED_LANES if lane.value in names)
    if len(chosen) < len(names):
        raise RequestError(
            "lanes: write all, or some of fast, standard and slow, such as lanes=fast,standard"
        )
    return chosen


#: parameters of the Go exporter's /scrape in place of flags
KEY_PARAMETERS = ("check-keys", "check-single-keys", "check-streams", "check-single-streams", "count-keys")


def asked(query: MultiMapping[str]) -> Asked:
    """What a request for one target asks for. RequestError without a target, or for an invalid list of keys.
    An empty list leaves the flag as it is, as in the Go exporter."""
    text, auth = query.get("target", ""), query.get("auth", "")
    if not text:
        raise RequestError("name a target: /scrape?target=redis://host:6379")
    lists = [(name, _keys(query, name)) for name in KEY_PARAMETERS if name in query]
    if not lists:
        return Asked(text, auth)
    return Asked(text, auth, overrides_of((name, keys) for name, keys in lists if keys))


def _keys(query: MultiMapping[str], name: str) -> tuple[KeyName, ...]:
    try:
        return tuple(key for text in query.getall(name, []) for key in parse_keys(text))
    except ValueError as error:
        raise RequestError(f"{name}: {error}") from None


def wait_s(headers: Mapping[str, str]) -> float:
    """How long this client may wait for values."""
    try:
        timeout_s = float(headers["X-Prometheus-Scrape-Timeout-Seconds"])
    except (KeyError, ValueError):
        return TIMEOUT_DEFAULT_S
    return TIMEOUT_SHARE * timeout_s if 0 < timeout_s < 3600 else TIMEOUT_DEFAULT_S


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header accepts gzip: by name or by `*`, and not with q=0."""
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
