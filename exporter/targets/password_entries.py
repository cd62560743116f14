"""Which entry of a password file is for a target: the most specific one that names it. Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from exporter.errors import ConfigError
from exporter.node_allowance import Address, Network, plain_address
from exporter.options import lengths
from exporter.targets.address import parse_address
from exporter.targets.target import Target, endpoint

#: schemes that mean the same: the Go exporter looks for the first one only
_TWINS = {"valkey": "redis", "valkeys": "rediss"}

_NETWORK = re.compile(r"(?:[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)/[0-9]{1,3}\Z")
_PATTERN = re.compile(r"(?P<host>[A-Za-z0-9_.?*-]*[?*][A-Za-z0-9_.?*-]*)(?::(?P<port>[0-9]{1,5}))?\Z")


@dataclass(frozen=True, slots=True)
class PasswordEntry:
    """One entry: its password, and which targets it names.

    `key` is the canonical spelling of what names them. Patterns and networks have `names`; of two, the one
    with the greater `weight` is more specific. `user` is the one user that it is for; "" for all.
    """

    key: str
    user: str
    password: str = field(repr=False)
    names: Callable[[Target, Address | None], bool] | None = None
    weight: tuple[int, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """What says which entry it is, in logs. Its key is the target's address or host, or matches it, and
        so no secret."""
        return f"entry {self.key}{' of its user' if self.user else ''} in --redis.password-file"


def read_entry(text: str, password: str) -> PasswordEntry:
    """The entry that a key of the file names. Raises ConfigError; its text never quotes the key."""
    userinfo, at, place = text.strip().rpartition("@")
    if "://" not in text:
        user = _user_of(parse_address(f"{userinfo}@host")) if at else ""
        if _NETWORK.match(place):
            return _network(place, user, password)
        pattern = _PATTERN.match(place)
        if pattern is not None:
            return _pattern(pattern["host"].lower(), int(pattern["port"] or 0), user, password)
    elif "*" in place:
        raise ConfigError("a pattern has no scheme and no database: write it as in *.cache.example:6379")
    target = parse_address(text)
    user = _user_of(target)
    if "://" in text or re.search(r"[/?]", place):
        return PasswordEntry(target.addr, user, password, ignored=target.ignored)
    has_port = ":" in place.rpartition("]")[2]
    return PasswordEntry(_key(target.host, target.port if has_port else 0), user, password)


def _user_of(target: Target) -> str:
    """A word before the @ is the user here: the password is the value."""
    return target.user or target.password


def _key(host: str, port: int) -> str:
    return endpoint(host, port) if port else host


def _network(text: str, user: str, password: str) -> PasswordEntry:
    try:
        network: Network = ipaddress.ip_network(text)
    except ValueError:
        raise ConfigError(
            "this is no network: write one as in 10.0.0.0/8, without bits beyond its length; a database as in"
            " redis://10.0.0.1:6379/8"
        ) from None

    def names(target: Target, address: Address | None) -> bool:
        return address is not None and address in network

    return PasswordEntry(str(network), user, password, names, (0, network.prefixlen))


def _pattern(glob: str, port: int, user: str, password: str) -> PasswordEntry:
    if len(glob) > lengths.HOST_MAX:
        raise ConfigError(f"the pattern: {lengths.fault(glob, lengths.HOST_MAX)}")
    if port > 65535:
        raise ConfigError("the port must be 1 to 65535")
    letters = len(re.sub(r"[?*]", "", glob))
    matches = re.compile(fnmatch.translate(glob))

    def names(target: Target, address: Address | None) -> bool:
        return port in (0, target.port) and matches.match(target.host) is not None

    names_all = not letters and not port  # it is wider than every network
    weight = (-1 if names_all else 1, letters, int(port > 0), -glob.count("*"))
    return PasswordEntry(_key(glob, port), user, password, names, weight)


class PasswordEntries:
    """All entries of a file. Of two with one key and user the last one counts."""

    def __init__(self, entries: Iterable[PasswordEntry]) -> None:
        self._by_key: dict[tuple[str, str], PasswordEntry] = {}
        for entry in entries:
            self._by_key[entry.key, entry.user] = entry
        #: those that no key finds, the most specific first; of two that are the same in that, the later one
        self._others = [each for each in reversed(self._by_key.values()) if each.names is not None]
        self._others.sort(key=_order)

    def find(self, target: Target, user: str, *, only: bool = False) -> PasswordEntry | None:
        """The most specific entry for a target with this user. With `only`, an entry for all users does not
        count."""
        return next(self._candidates(target, (user,) if only or not user else (user, "")), None)

    def _candidates(self, target: Target, users: tuple[str, ...]) -> Iterator[PasswordEntry]:
        spellings = [target.addr]
        if target.scheme in _TWINS:
            spellings.append(_TWINS[target.scheme] + target.addr.removeprefix(target.scheme))
        yield from self._exact(spellings, users)
        if not target.host:
            return
        for port in (target.port, 0):
            yield from self._exact([_key(target.host, port)], users)
        address = _address_of(target.host) if self._others else None
        for entry in self._others:
            if entry.user in users and entry.names is not None and entry.names(target, address):
                yield entry

    def _exact(self, keys: Iterable[str], users: tuple[str, ...]) -> Iterator[PasswordEntry]:
        for user in users:
            for key in keys:
                entry = self._by_key.get((key, user))
                if entry is not None:
                    yield entry


def _address_of(host: str) -> Address | None:
    """The address that a host is, None for a name."""
    try:
        return plain_address(host)
    except ValueError:
        return None


def _order(entry: PasswordEntry) -> tuple[object, ...]:
    """The most specific first, and of two that are the same in that, one for a single user."""
    return tuple(-part for part in entry.weight), entry.user == ""
