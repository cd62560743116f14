"""Targets from addresses and from the instances file: what a user wrote becomes `Target` values, or every mistake at once.

No message of this room holds a piece of an address: a mangled one may have its password anywhere.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from exporter import files, lengths, texts
from exporter.errors import ConfigError
from exporter.forms import parse_interval
from exporter.model import Target
from exporter.yaml_reader import YamlTextError, read_yaml

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 6379
DEFAULT_SCHEME = "redis"
#: label names that the program writes itself, or that mean something else to Prometheus
REFUSED_LABELS = frozenset({"addr", "alias", "le", "quantile"})

_TCP_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "tcp")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?\Z")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def parse_address(text: str) -> Target:
    """The target that an address names: its parts, its canonical form, and the user and password it holds.

    `[scheme://][user:password@]host[:port][/db]` or `unix:///path[?db=N]`. A single word before the `@` is the
    password, as it is to redis-cli. Raises ConfigError.
    """
    text = text.strip()
    if not text:
        raise ConfigError("the address is empty: write one such as redis://host:6379")
    if _CONTROL.search(text):
        raise ConfigError("the address holds a blank or a control character: in a user or password write it as %20")
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = DEFAULT_SCHEME, text
    scheme = scheme.lower()
    if scheme == "unix":
        return _parse_socket(rest)
    if scheme not in _TCP_SCHEMES:
        raise ConfigError(f"the address has no scheme of ours: write {', '.join(f'{s}://' for s in _TCP_SCHEMES)} or unix://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(authority) :]
    if "@" in path:
        raise ConfigError("the user or password holds a / ? or # as it stands: write it as %2F, %3F or %23")
    userinfo, _, place = authority.rpartition("@")
    if texts.valid(place + path) != place + path:
        raise ConfigError("the address holds bytes that are not UTF-8: only a user, a password or a socket's path may")
    user, password = _parse_userinfo(userinfo)
    host, port = _parse_place(place)
    db = _parse_path(path)
    shown = f"[{host}]" if ":" in host else host
    addr = f"{scheme}://{shown}:{port}" + (f"/{db}" if db else "")
    return Target(addr, scheme, host, port, "", db, user=user, password=password)


def _parse_socket(rest: str) -> Target:
    path, mark, query = rest.partition("?")
    if len(path) > lengths.PATH_MAX:
        raise ConfigError(f"the socket's path: {lengths.fault(path, lengths.PATH_MAX)}")
    if not path.startswith("/") or path == "/":
        raise ConfigError("a socket's address holds its absolute path and no user or password: write unix:///path/to/redis.sock")
    if mark and not query.startswith("db="):
        raise ConfigError("after ? a socket's address names the database and nothing else: write unix:///path/to/redis.sock?db=2")
    db = _parse_db(query[3:]) if mark else 0
    return Target(f"unix://{texts.valid(path)}" + (f"?db={db}" if db else ""), "unix", "", 0, path, db)


def _parse_userinfo(userinfo: str) -> tuple[str, str]:
    if _BAD_ESCAPE.search(userinfo):
        raise ConfigError("the user or password holds a % as it stands: write it as %25")
    user, colon, password = userinfo.partition(":")
    if not colon:
        user, password = "", user
    return _unescape(user), _unescape(password)


def _unescape(text: str) -> str:
    """A value whose % escapes are read; they may stand for any bytes."""
    return unquote_to_bytes(texts.given_bytes(text)).decode("utf-8", "surrogateescape")


def _parse_place(place: str) -> tuple[str, int]:
    if place.startswith("["):
        inside, bracket, tail = place[1:].partition("]")
        if len(inside) > lengths.HOST_MAX:
            raise ConfigError(f"the host: {lengths.fault(inside, lengths.HOST_MAX)}")
        host = inside.replace("%25", "%").lower()
        if not bracket or not _is_ipv6(host) or (tail and not tail.startswith(":")):
            raise ConfigError("brackets hold an IPv6 address and nothing else: write it as in redis://[::1]:6379")
        return host, _parse_port(tail[1:]) if tail else DEFAULT_PORT
    host, colon, port = place.partition(":")
    if len(host) > lengths.HOST_MAX:
        raise ConfigError(f"the host: {lengths.fault(host, lengths.HOST_MAX)}")
    if ":" in port:
        raise ConfigError("the host holds several colons: write an IPv6 address in brackets, as in redis://[::1]:6379")
    if host and not _HOST.match(host):
        raise ConfigError("the host is neither a name nor an IP address: write one as in redis://host:6379")
    return host.lower() or DEFAULT_HOST, _parse_port(port) if colon else DEFAULT_PORT


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _parse_port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ConfigError("the port is no number from 1 to 65535: write it after the host, as in redis://host:6379")
    return int(text)


def _parse_path(path: str) -> int:
    if path in ("", "/"):
        return 0
    if not path.startswith("/"):
        raise ConfigError("nothing may follow the port but the database: write it as in redis://host:6379/2")
    return _parse_db(path[1:])


def _parse_db(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ConfigError("the database is no number: write it as in redis://host:6379/2 or unix:///path/to/redis.sock?db=2")
    return int(text)


def load_targets(
    addresses: Sequence[str],
    *,
    addr_given: bool,
    user: str = "",
    password: str = "",
    file: str = "",
    environ: Mapping[str, str],
    limits: files.Limits = files.DEFAULT,
) -> list[Target]:
    """All targets that flags and the instances file name, in that order.

    `addresses` that were not given (`addr_given` False) are a default, for want of any other source. `user` and
    `password` belong to `addresses` alone: one for all, or a comma list with one for each.
    Raises one ConfigError with every mistake found.
    """
    problems: list[str] = []
    named: list[_Named] = []
    if addr_given or not file:
        named += _from_flags(addresses, user, password, problems)
    if file:
        named += _InstancesFile(file, environ, problems, limits).read()
    _refuse_duplicates(named, problems)
    problems += [problem for each in named for problem in _long_credentials(each)]
    if problems:
        raise ConfigError(*problems)
    return [each.target for each in named]


@dataclass(frozen=True, slots=True)
class _Named:
    """A target, and where it was named."""

    where: str
    target: Target


def _long_credentials(named: _Named) -> Iterator[str]:
    for what, text in (("user", named.target.user), ("password", named.target.password)):
        fault = lengths.fault(text, lengths.CREDENTIAL_MAX)
        if fault:
            yield f"{named.where}: {what}: {fault}"


def _from_flags(addresses: Sequence[str], user: str, password: str, problems: list[str]) -> list[_Named]:
    users = _one_each("--redis.user", user, len(addresses), problems)
    passwords = _one_each("--redis.password", password, len(addresses), problems)
    named = []
    for number, address in enumerate(addresses):
        where = f"--redis.addr: address {number + 1} of {len(addresses)}"
        if number and "@" in address and "://" not in address:
            # the list was cut at its commas, so this may be the end of a password
            problems.append(f"{where}: write a comma in a user or password as %2C, and redis:// before each address that has a password")
            continue
        try:
            target = parse_address(address)
        except ConfigError as error:
            problems.append(f"{where}: {error}")
            continue
        named.append(_Named(where, replace(target, user=target.user or users[number], password=target.password or passwords[number])))
    return named


def _one_each(flag: str, text: str, count: int, problems: list[str]) -> Sequence[str]:
    """A single address takes the text whole: its password may hold a comma."""
    parts = text.split(",") if count > 1 else [text]
    if len(parts) == 1:
        return parts * count
    if len(parts) != count:
        problems.append(f"{flag} holds {len(parts)} values for {count} addresses: write one for all, or one for each with commas between")
        return [""] * count
    return parts


def _refuse_duplicates(named: Sequence[_Named], problems: list[str]) -> None:
    addrs: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for each in named:
        addr, alias = each.target.addr, each.target.alias
        if addrs.setdefault(addr, each.where) != each.where:
            problems.append(f"{each.where}: {addr} is named already by {addrs[addr]}: leave one of them out")
        if alias and aliases.setdefault(alias, each.where) != each.where:
            problems.append(f"{each.where}: the name {alias!r} is taken already by {aliases[alias]}: write another one")


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What the file gives to all its entries; None: nothing."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    interval_s: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


_SHARED_KEYS = ("user", "password", "interval", "labels")
_ENTRY_KEYS = ("name", "addr", *_SHARED_KEYS)
_FILE_KEYS = ("redis_instances", "defaults")


class _InstancesFile:
    """Reads one instances file; what is wrong with it goes to `problems`."""

    def __init__(self, file: str, environ: Mapping[str, str], problems: list[str], limits: files.Limits) -> None:
        self.file = file
        self.environ = environ
        self.problems = problems
        self.limits = limits

    def read(self) -> list[_Named]:
        content = self._load()
        if content is None:
            return []
        self._check_keys(self.file, content, _FILE_KEYS)
        defaults = self._read_defaults(content.get("defaults"))
        entries = content.get("redis_instances")
        if not isinstance(entries, list) or not entries:
            self.problems.append(
                f"{self.file}: redis_instances must be a list of one entry or more: write `- addr: redis://host:6379` below"
            )
            return []
        read = [self._read_entry(number, entry, defaults) for number, entry in enumerate(entries, 1)]
        return [named for named in read if named is not None]

    def _load(self) -> Mapping[str, Any] | None:
        try:
            content = read_yaml(files.within(lambda: files.read_text(self.file, self.limits.max_bytes), self.limits.timeout_s))
        except files.NoTextError as error:
            self.problems.append(f"{self.file}: {error}")
        except files.FileError as error:
            self.problems.append(f"{self.file}: the file cannot be read ({error}): check --redis-file")
        except YamlTextError as error:
            self.problems.append(f"{self.file}{f', line {error.line}' if error.line else ''}: {error}")
        else:
            if isinstance(content, dict):
                return content
            self.problems.append(f"{self.file}: nothing to read: begin with `redis_instances:` and a list of entries below it")
        return None

    def _read_defaults(self, content: Any) -> _Defaults:
        if content is None:
            return _Defaults()
        where = f"{self.file}: defaults"
        if not isinstance(content, dict):
            self.problems.append(f"{where}: must be a map with the keys {', '.join(_SHARED_KEYS)}")
            return _Defaults()
        self._check_keys(where, content, _SHARED_KEYS)
        return self._read_shared(where, content, _Defaults())

    def _read_entry(self, number: int, content: Any, defaults: _Defaults) -> _Named | None:
        where = f"{self.file}: entry {number}"
        if not isinstance(content, dict):
            self.problems.append(f"{where}: must be a map: write `- addr: redis://host:6379`")
            return None
        name = self._text(where, content, "name") or ""
        if len(name) > lengths.NAME_MAX:
            self.problems.append(f"{where}: name: {lengths.fault(name, lengths.NAME_MAX)}")
            return None
        if name:
            where += f" ({name})"
        self._check_keys(where, content, _ENTRY_KEYS)
        shared = self._read_shared(where, content, defaults)
        target = self._read_addr(where, content)
        if target is None:
            return None
        return _Named(
            where,
            replace(
                target,
                alias=name,
                labels=tuple(shared.labels.items()),
                user=target.user or shared.user or "",
                password=target.password or shared.password or "",
                interval_s=shared.interval_s,
            ),
        )

    def _read_addr(self, where: str, content: Mapping[str, Any]) -> Target | None:
        if content.get("addr") is None:
            self.problems.append(f"{where}: addr is missing: write `addr: redis://host:6379`")
            return None
        addr = self._text(where, content, "addr")
        if addr is None:
            return None
        if "${" in addr:
            self.problems.append(f"{where}: addr: ${{…}} is filled in for user and password only: move the password to its own key")
            return None
        try:
            return parse_address(addr)
        except ConfigError as error:
            self.problems.append(f"{where}: addr: {error}")
            return None

    def _read_shared(self, where: str, content: Mapping[str, Any], base: _Defaults) -> _Defaults:
        """The keys that defaults and entries share; a key that is missing leaves the value of `base`."""
        user = self._fill(where, "user", self._text(where, content, "user"))
        password = self._fill(where, "password", self._text(where, content, "password"))
        interval_s = self._read_interval(where, self._text(where, content, "interval"))
        return _Defaults(
            base.user if user is None else user,
            base.password if password is None else password,
            base.interval_s if interval_s is None else interval_s,
            {**base.labels, **self._read_labels(where, content.get("labels"))},
        )

    def _text(self, where: str, content: Mapping[str, Any], key: str) -> str | None:
        value = content.get(key)
        if value is None or isinstance(value, str):
            return value
        self.problems.append(f"{where}: {key} must be a text, not {_kind(value)}: write `{key}: …` on one line")
        return None

    def _fill(self, where: str, key: str, text: str | None) -> str | None:
        """`text` with the environment's values for `${VAR}`; `$${` stands for a plain `${`."""
        if text is None:
            return None
        if len(text) > lengths.CREDENTIAL_MAX:  # each ${VAR} in it may be as long
            self.problems.append(f"{where}: {key}: {lengths.fault(text, lengths.CREDENTIAL_MAX)}")
            return None

        def value(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            if match[1] is None:
                self.problems.append(f"{where}: {key}: no variable's name and }} follow ${{: write ${{NAME}}, or $${{ for a plain ${{")
            elif match[1] not in self.environ:
                self.problems.append(f"{where}: {key}: the variable {match[1]} is not set: set it, or write $${{ for a plain ${{")
            return self.environ.get(match[1] or "", "")

        return _VARIABLE.sub(value, text)

    def _read_interval(self, where: str, text: str | None) -> float | None:
        if text is None:
            return None
        try:
            return parse_interval(text)
        except ValueError as error:
            self.problems.append(f"{where}: interval: {error}")
            return None

    def _read_labels(self, where: str, content: Any) -> dict[str, str]:
        if content is None:
            return {}
        if not isinstance(content, dict):
            self.problems.append(f"{where}: labels must be a map, not {_kind(content)}: write `labels: {{env: production}}`")
            return {}
        labels = {}
        for name, value in content.items():
            fault = _label_fault(name, value)
            if fault:
                self.problems.append(f"{where}: label {_shown(name)}: {fault}")
            else:
                labels[name] = value
        return labels

    def _check_keys(self, where: str, content: Mapping[Any, Any], known: Sequence[str]) -> None:
        for key in content:
            if key not in known:
                near = difflib.get_close_matches(str(key)[:100], known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
                self.problems.append(f"{where}: unknown key {_shown(key)}: {hint}")


def _kind(value: Any) -> str:
    return "a map" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a text"


def _shown(key: Any) -> str:
    """A key as messages may show it: `{password:word}` is one key, and holds a password."""
    return str(key) if re.fullmatch(r"[\w.-]{1,60}", str(key)) else "of odd signs (is a blank missing after a colon?)"


def _label_fault(name: Any, value: Any) -> str | None:
    if not isinstance(name, str) or not _LABEL.match(name):
        return "not a label's name: write letters, digits and _ only, no digit first"
    if len(name) > lengths.NAME_MAX:
        return lengths.fault(name, lengths.NAME_MAX)
    if name.startswith("__"):
        return "names that begin with __ are Prometheus' own: write another one"
    if name in REFUSED_LABELS:
        return f"{', '.join(sorted(REFUSED_LABELS))} are taken: write another name"
    if not isinstance(value, str):
        return f"its value must be a text: write `{name}: …` on one line"
    return None
