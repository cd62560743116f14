"""How values are written: durations, intervals, addresses to listen on, lists, choices.

Every `parse_…` raises ValueError; its text says what to write instead.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from exporter.node_allowance import Allowance, Network, embedded, is_number_like
from exporter.options import lengths
from exporter.options.endpoints import is_reserved
from exporter.options.lua_patterns import fault_of

#: polls that are closer together would mostly measure themselves
INTERVAL_MIN_S = 0.1
#: ten years: a longer time is a typing error
DURATION_MAX_S = 87_600 * 3600.0
#: what the Go exporter reads, and what fits the integers of the compiled engine
COUNT_MAX = 2**63 - 1
#: characters of a number or a duration
NUMBER_LENGTH_MAX = 100

#: how an address to listen on begins that is no host and port: a socket's file, and sockets of systemd
UNIX, FD = "unix:", "fd://"

TRUE_WORDS = ("1", "t", "T", "TRUE", "true", "True")
FALSE_WORDS = ("0", "f", "F", "FALSE", "false", "False")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([+-]?)((?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)\Z")
_DURATION_PART = re.compile(r"([0-9.]+)([a-zµμ]+)")
_NAMESPACE = re.compile(r"(?:[a-zA-Z_:][a-zA-Z0-9_:]*)?\Z")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+/?\Z")
_FLOAT = re.compile(
    rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?)\Z|nan\Z", re.IGNORECASE
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST_GLOB = re.compile(r"[A-Za-z0-9_.*?-]{1,253}\Z")
_LISTEN = re.compile(
    r"(?:\[(?P<ip6>[0-9A-Fa-f:.]+(?:%[\w.]+)?)\]|(?P<host>[A-Za-z0-9._-]*)):(?P<port>[0-9]{1,5})\Z"
)


def parse_bool(text: str) -> bool:
    """A boolean as Go's `strconv.ParseBool` reads it. Raises ValueError."""
    if text in TRUE_WORDS:
        return True
    if text in FALSE_WORDS:
        return False
    raise ValueError("write true or false")


def parse_duration(text: str) -> float:
    """Seconds of a Go duration (`1m30s`, `250ms`, `0`), at most `DURATION_MAX_S`. Raises ValueError."""
    if text in ("0", "+0", "-0"):
        return 0.0
    match = _DURATION.match(text) if len(text) <= NUMBER_LENGTH_MAX else None
    if match is None:
        number = re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", text)
        raise ValueError(
            f"a duration needs its unit: write {text}s"
            if number
            else "write a duration such as 250ms, 15s or 1m30s"
        )
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(match[2]))
    if seconds > DURATION_MAX_S:
        raise ValueError(f"the most is {DURATION_MAX_S / 3600:g}h, which is ten years")
    return -seconds if match[1] == "-" else seconds


def parse_interval(text: str) -> float:
    """Seconds between two polls, a Go duration of at least `INTERVAL_MIN_S`. Raises ValueError."""
    return duration_from(INTERVAL_MIN_S)(text)


def split_listen_address(text: str) -> tuple[str, int]:
    """Host ("" for every interface; IPv6 without brackets) and port of `host:port`. Raises ValueError."""
    match = _LISTEN.match(text)
    host = match["host"] or "" if match else ""
    if match is None or int(match["port"]) > 65535 or (host and not _is_host(host)):
        raise ValueError("write [host]:port, such as :9121 or [::1]:9121; or unix:/run/x.sock, or fd://")
    return match["ip6"] or match["host"] or "", int(match["port"])


def _is_host(text: str) -> bool:
    """Whether a resolver accepts it: it raises at labels that are empty or too long."""
    labels = text.removesuffix(".").split(".")
    return len(text) <= lengths.HOST_MAX and all(0 < len(label) <= lengths.HOST_LABEL_MAX for label in labels)


def duration_from(least_s: float) -> Callable[[str], float]:
    """A parser of durations of at least `least_s`."""

    def parse(text: str) -> float:
        seconds = parse_duration(text)
        if seconds < least_s:
            raise ValueError(f"the least is {least_s:g}s")
        return seconds

    return parse


def int_from(least: int) -> Callable[[str], int]:
    """A parser of whole numbers from `least` to `COUNT_MAX`."""

    def parse(text: str) -> int:
        if len(text) > NUMBER_LENGTH_MAX or not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError("write a whole number")
        if int(text) < least:
            raise ValueError(f"the least is {least}")
        if int(text) > COUNT_MAX:
            raise ValueError(f"the most is {COUNT_MAX}")
        return int(text)

    return parse


def parse_lane_interval(text: str) -> float | None:
    """None stands for the word `fast`: the interval of the fast lane."""
    return None if text == "fast" else parse_interval(text)


def parse_listen_address(text: str) -> str:
    """The text itself, if it is valid: `[host]:port`, `unix:/path` or `fd://[name]`."""
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        if not path.startswith("/") or "\0" in path:
            raise ValueError("write the whole path of the socket, such as unix:/run/redpoll.sock")
        lengths.check_socket_path(path)
    elif text.startswith(FD):
        if not re.fullmatch(r"[A-Za-z0-9_.-]{0,255}", text.removeprefix(FD)):
            raise ValueError("write fd://, or fd:// and the FileDescriptorName of a .socket unit")
    else:
        split_listen_address(text)
    return text


def parse_path(text: str) -> str:
    """A path that no other endpoint has."""
    lengths.check(text, lengths.ITEM_MAX)
    if not _PATH.match(text) or {".", ".."} & set(text.split("/")):
        raise ValueError(
            "write a path that begins with / and holds letters, digits and . _ ~ - only, such as /metrics"
        )
    if is_reserved(text):
        raise ValueError("this path is an endpoint already: write another one, such as /metrics")
    return text


def parse_server_name(text: str) -> str:
    """A host name or an address, as TLS asks for it."""
    lengths.check(text, lengths.HOST_MAX)
    try:
        encoded = text.encode("idna")
    except UnicodeError:
        encoded = b"."
    if text and not re.fullmatch(rb"[A-Za-z0-9_:][A-Za-z0-9_.:-]{0,252}", encoded):
        raise ValueError("write a host name, such as redis.example.org")
    return text


def parse_namespace(text: str) -> str:
    """The prefix of metric names; may be empty."""
    lengths.check(text, lengths.NAME_MAX)
    if not _NAMESPACE.match(text):
        raise ValueError(
            "write letters, digits and _ only, such as redis; do not begin with a digit; or leave it empty"
        )
    return text


def parse_list(text: str, item_max: int = lengths.ITEM_MAX) -> tuple[str, ...]:
    """The parts of a comma list, without blanks and empty ones."""
    return tuple(lengths.check(part, item_max) for part in (part.strip() for part in text.split(",")) if part)


def parse_addresses(text: str) -> tuple[str, ...]:
    """A comma list of addresses. They are parsed later."""
    return parse_list(text, lengths.ADDRESS_MAX)


def parse_text(text: str) -> str:
    """Any text up to a length."""
    return lengths.check(text, lengths.CREDENTIAL_MAX)


class ScriptFile(NamedTuple):
    """A file's name as it was given, and its content at start."""

    name: str
    text: bytes


def parse_file_names(text: str) -> tuple[str, ...]:
    """The names of a comma list, each once."""
    return tuple(dict.fromkeys(parse_list(text, lengths.PATH_MAX)))


def parse_number(text: bytes) -> float | None:
    """A number as Go reads it, but not a hexadecimal one; None for other texts."""
    return float(text) if _FLOAT.match(text) else None


class KeyName(NamedTuple):
    """A key or a pattern of keys, and the number of its database."""

    db: int
    name: bytes


def parse_keys(text: str) -> tuple[KeyName, ...]:
    """`[DB=]KEY,…`, a database as `3` or `db3`. A key may be percent-encoded, and a `+` in it stands for a
    space."""
    keys = (_parse_key(item) for item in text.split(","))
    return tuple(key for key in keys if key is not None)


def _parse_key(item: str) -> KeyName | None:
    """None for an item without a key or a database."""
    lengths.check(item, lengths.PATH_MAX)
    db, equals, name = item.partition("=")
    if not equals:
        db, name = "0", item
    if not db.strip() or not name.strip():
        return None
    if "=" in name:
        raise ValueError(
            f"{item.strip()} holds two = signs: write one between database and key, and %3D in a key"
        )
    number = db.strip().replace("db", "") or "0"
    if not re.fullmatch(r"[0-9]{1,19}", number) or int(number) > COUNT_MAX:
        raise ValueError(f"{item.strip()}: the text before the = is not a database: write it as in db3=key")
    if _BAD_ESCAPE.search(name):
        raise ValueError(
            f"{item.strip()} holds a % without two hexadecimal digits: write %25 for the sign itself"
        )
    return KeyName(
        int(number), unquote_to_bytes(name.strip().replace("+", " ").encode("utf-8", "surrogateescape"))
    )


def parse_lua_patterns(text: str) -> tuple[str, ...]:
    """The items of one CSV record, without blanks around them and empty ones."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ValueError(
            f"this is not a CSV record ({error}): put an item with a comma between quotes, and double the "
            f"quotes in it"
        ) from None
    patterns = tuple(
        lengths.check(item.strip(), lengths.ITEM_MAX) for row in rows for item in row if item.strip()
    )
    for pattern in patterns:
        fault = fault_of(pattern)
        if fault:
            raise ValueError(f"{pattern} is not a Lua pattern: {fault}")
    return patterns


def parse_name_patterns(text: str) -> tuple[str, ...]:
    """Names of metrics, with the wildcards * and ?."""
    parts = parse_list(text)
    for part in parts:
        if not re.fullmatch(r"[a-zA-Z0-9_:*?]+", part):
            raise ValueError(
                f"{part} is not a metric name: write letters, digits, _ and :, and * or ? for any of them"
            )
    return parts


def parse_allowance(text: str, *, link_local: bool = False) -> Allowance | None:
    """A comma list of networks, addresses and host names, which may have the wildcards * and ?; None if it is
    empty. With `link_local` it may name link-local addresses."""
    networks: list[Network] = []
    globs: list[str] = []
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        lengths.check(item, lengths.HOST_MAX)
        network = _network_of(item)
        if network is not None and not link_local and _is_link_local(network):
            raise ValueError(f"{item} holds link-local addresses only: those are never dialled")
        if network is not None:
            networks.append(network)
        elif not _HOST_GLOB.match(item) or is_number_like(item) or not re.search(r"[A-Za-z]|\A[*]\Z", item):
            raise ValueError(
                f"{item} is not a network, address or host name: write them as 10.0.0.0/8, 10.0.0.1 or "
                f"*.redis.example"
            )
        else:
            globs.append(item.lower())
    return Allowance(tuple(networks), tuple(globs)) if networks or globs else None


def _network_of(item: str) -> Network | None:
    try:
        network = ipaddress.ip_network(item, strict=False)
    except ValueError:
        return None
    if network.version == 6 and network.prefixlen >= 96 and network.network_address.ipv4_mapped is not None:
        network = ipaddress.ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    return network


def _is_link_local(network: Network) -> bool:
    ends = (network.network_address, network.broadcast_address)
    return network.is_link_local or all((embedded(end) or end).is_link_local for end in ends)


@dataclass(frozen=True, slots=True)
class ValueType:
    """How the text of a value is read. `parse` raises ValueError; its text says what to write instead.

    Without `empty`, a variable that is set but empty counts as not set. `raw` values may hold bytes that are
    not UTF-8. `join` makes one text of the items of a list, for a value that is one; it raises ValueError.
    `words` are all that it takes; () for other values.
    """

    value_name: str
    parse: Callable[[str], Any]
    empty: bool = False
    raw: bool = False
    join: Callable[[Sequence[str]], str] | None = None
    words: tuple[str, ...] = ()


def join_items(items: Sequence[str]) -> str:
    """A comma list."""
    for item in items:
        if "," in item:
            raise ValueError("an item of the list holds a comma: write each on its own")
    return ",".join(items)


def join_encoded(items: Sequence[str]) -> str:
    """A comma list of texts that may be percent-encoded."""
    return ",".join(item.replace(",", "%2C") for item in items)


def join_record(items: Sequence[str]) -> str:
    """One CSV record."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(items)
    return text.getvalue()


def choice(*words: str, upper: bool = False, otherwise: str = "") -> ValueType:
    """One of some words, in any case with `upper`. Another word is an error, or stands for `otherwise`."""

    def parse(text: str) -> str:
        word = text.upper() if upper else text
        if word not in words and not otherwise:
            raise ValueError(f"write one of {', '.join(words)}")
        return word if word in words else otherwise

    return ValueType("|".join(words), parse, words=() if upper or otherwise else words)


def choices(*words: str) -> ValueType:
    """A comma list of some words."""

    def parse(text: str) -> tuple[str, ...]:
        parts = parse_list(text)
        for part in parts:
            if part not in words:
                raise ValueError(f"{part} is not one of {', '.join(words)}")
        return tuple(dict.fromkeys(parts))

    return ValueType(f"{words[0]},…", parse, empty=True, join=join_items)


BOOL = ValueType("", parse_bool)
TEXT = ValueType("TEXT", parse_text, empty=True)
#: a user or a password: any bytes
CREDENTIAL = ValueType("TEXT", str, empty=True, raw=True)
FILE = ValueType("FILE", str, empty=True, raw=True)
ADDRESSES = ValueType("ADDRESS,…", parse_addresses, empty=True, raw=True, join=join_encoded)
SERVER_NAME = ValueType("TEXT", parse_server_name, empty=True)
INTERVAL = ValueType("DURATION", parse_interval)
LANE_INTERVAL = ValueType("DURATION|fast", parse_lane_interval)
DURATION_OR_ZERO = ValueType("DURATION", duration_from(0))
INTEGER = ValueType("N", int_from(-COUNT_MAX))
COUNT = ValueType("N", int_from(1))
FILES = ValueType("FILE,…", parse_file_names, empty=True, raw=True, join=join_items)
KEYS = ValueType("[DB=]KEY,…", parse_keys, empty=True, raw=True, join=join_encoded)
LUA_PATTERNS = ValueType("PATTERN,…", parse_lua_patterns, empty=True, join=join_record)
NAME_PATTERNS = ValueType("NAME,…", parse_name_patterns, empty=True, join=join_items)
ALLOWANCE = ValueType("NETWORK,…", parse_allowance, empty=True, join=join_items)
SCRAPE_ALLOWANCE = ValueType(
    "NETWORK,…", partial(parse_allowance, link_local=True), empty=True, join=join_items
)
