"""Addresses: the text that a user wrote becomes a `Target`.

No message of this module quotes an address: a mangled one may have its password anywhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from exporter import safe_text
from exporter.errors import ConfigError
from exporter.options import lengths
from exporter.options.values import COUNT_MAX
from exporter.targets.target import Target, endpoint

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 6379
DEFAULT_SCHEME = "redis"
#: what gave user or password, in logs
RULE = "the address itself"
#: spellings of hosts that are remembered: the nodes of some clusters
HOSTS_KEPT = 4096

_TCP_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "tcp")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?\Z")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")

#: a name of a parameter: another text may be a piece of a password
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}\Z")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def parse_address(text: str) -> Target:
    """The target that an address names: its parts, its canonical form, its user and its password.

    An address is `[scheme://][user:password@]host[:port][/db][?db=N]` or `unix://[user:password@]/path[?db=N]`.
    A single word before the `@` is the password, as for redis-cli. A database after the `?` wins, as in
    Redis' own client libraries; other parameters there are only noted. Raises ConfigError.
    """
    text = text.strip()
    if not text:
        raise ConfigError("the address is empty: write one such as redis://host:6379")
    if _CONTROL.search(text):
        raise ConfigError(
            "the address has a space or a control character: in a user or password write a space as %20"
        )
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = DEFAULT_SCHEME, text
    scheme = scheme.lower()
    if scheme == "unix":
        return _parse_socket(rest)
    if scheme not in _TCP_SCHEMES:
        raise ConfigError(
            "the address has an unknown scheme: write "
            f"{', '.join(f'{scheme}://' for scheme in _TCP_SCHEMES)} or unix://"
        )
    userinfo, place, path = _split(rest)
    login = _parse_userinfo(userinfo)
    host, port = _parse_place(place)
    path, _, query = path.partition("?")
    db, ignored = _parse_query(query, _parse_path(path))
    addr = f"{scheme}://{endpoint(host, port)}" + (f"/{db}" if db else "")
    return Target(
        addr,
        scheme,
        host,
        port,
        "",
        db,
        ignored=ignored,
        **login,
    )


def _split(rest: str) -> tuple[str, str, str]:
    """What is before the @, after it, and from the first slash on."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(authority) :]
    if "@" in path:
        raise ConfigError("the user or password has a plain / ? or #: write it as %2F, %3F or %23")
    userinfo, _, place = authority.rpartition("@")
    if "#" in path:
        raise ConfigError("only the database may follow the port: write it as in redis://host:6379/2")
    if safe_text.valid(place + path) != place + path:
        raise ConfigError(
            "the address has bytes that are not UTF-8: only a user, a password or a socket's path may have "
            "them"
        )
    return userinfo, place, path


def ignored_warning(where: str, ignored: Sequence[str]) -> Sequence[str]:
    """The line for the log about parameters of an address that mean nothing here, if there are any."""
    if not ignored:
        return ()
    names = safe_text.shorten(", ".join(ignored), 200)
    return (f"{where}: parameters of the address are ignored ({names}): only db counts, flags set the rest",)


def _parse_socket(rest: str) -> Target:
    userinfo, mark, below = ("", "", "") if rest.startswith("/") else rest.partition("@/")
    path, _, query = (f"/{below}" if mark else rest).partition("?")
    if len(path) > lengths.PATH_MAX:
        raise ConfigError(f"the socket's path: {lengths.fault(path, lengths.PATH_MAX)}")
    if not path.startswith("/") or path == "/":
        raise ConfigError(
            "a socket's address is its absolute path: write unix:///path/to/redis.sock or "
            "unix://user:password@/path/to/redis.sock"
        )
    login = _parse_userinfo(userinfo)
    db, ignored = _parse_query(query, 0)
    addr = f"unix://{safe_text.valid(path)}" + (f"?db={db}" if db else "")
    return Target(addr, "unix", "", 0, path, db, ignored=ignored, **login)


def _parse_userinfo(userinfo: str) -> dict[str, Any]:
    """The fields of a target that its login has."""
    if _BAD_ESCAPE.search(userinfo):
        raise ConfigError("the user or password has a plain %: write it as %25")
    user, colon, password = userinfo.partition(":")
    if not colon:
        user, password = "", user
    return {
        "user": _unescape(user),
        "password": _unescape(password),
        "user_rule": RULE if user else "",
        "password_rule": RULE if password else "",
        "one_word": bool(userinfo) and not colon,
    }


def _unescape(text: str) -> str:
    """Replace the % escapes of a value; they may mean any bytes."""
    return unquote_to_bytes(safe_text.given_bytes(text)).decode("utf-8", "surrogateescape")


def _parse_place(place: str) -> tuple[str, int]:
    if place.startswith("["):
        inside, bracket, tail = place[1:].partition("]")
        if len(inside) > lengths.HOST_MAX:
            raise ConfigError(f"the host: {lengths.fault(inside, lengths.HOST_MAX)}")
        host = _parse_ipv6(inside.replace("%25", "%"))
        if not bracket or not host or (tail and not tail.startswith(":")):
            raise ConfigError("only an IPv6 address may be in brackets: write it as in redis://[::1]:6379")
        return host, _parse_port(tail[1:]) if tail else DEFAULT_PORT
    host, colon, port = place.partition(":")
    if len(host) > lengths.HOST_MAX:
        raise ConfigError(f"the host: {lengths.fault(host, lengths.HOST_MAX)}")
    if ":" in port:
        raise ConfigError(
            "the host has several colons: write an IPv6 address in brackets, as in redis://[::1]:6379"
        )
    if host and not _HOST.match(host):
        raise ConfigError("the host is neither a name nor an IP address: write one as in redis://host:6379")
    return host.lower() or DEFAULT_HOST, _parse_port(port) if colon else DEFAULT_PORT


@lru_cache(HOSTS_KEPT)
def canonical_host(text: str) -> str:
    """The one spelling of a host that is written without brackets, as in `Target.host`; "" if no target can
    have it."""
    if ":" in text:
        return _parse_ipv6(text)
    return text.lower() if len(text) <= lengths.HOST_MAX and _HOST.match(text) else ""


def _parse_ipv6(text: str) -> str:
    """Its one spelling, whatever the version of Python: the shortest, with an IPv4 address in it as such. ""
    if the text is no IPv6 address."""
    number, _, zone = text.partition("%")
    try:
        address = ipaddress.IPv6Address(number)
        ipaddress.IPv6Address(text)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped
    shown = f"::ffff:{mapped}" if mapped is not None else address.compressed
    return f"{shown}%{zone}" if zone else shown


def _parse_port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ConfigError("the port must be 1 to 65535: write it after the host, as in redis://host:6379")
    return int(text)


def _parse_path(path: str) -> int:
    return _parse_db(path[1:]) if path not in ("", "/") else 0


def _parse_query(query: str, db: int) -> tuple[int, tuple[str, ...]]:
    """The database that a query names, else `db`; and its other parameters, as messages may show them."""
    ignored = []
    for name, mark, value in (part.partition("=") for part in query.split("&") if part):
        if name == "db":
            db = _parse_db(value) if value else db
        else:
            ignored.append(name if mark and _PARAMETER.match(name) else "with unusual characters")
    return db, tuple(dict.fromkeys(ignored))


def _parse_db(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > COUNT_MAX:
        raise ConfigError(
            "the database must be a number: write it as in redis://host:6379/2 or "
            "unix:///path/to/redis.sock?db=2"
        )
    return int(text)
