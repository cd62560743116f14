"""Sizes, values and lifetimes of keys: single ones on the fast lane, those that a pattern found on the
standard lane.

The type comes first, so that no command meets a key that it is not for. A key that is gone reads 0 and does
not vanish.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from exporter.collectors._contract import Batches, Out
from exporter.collectors._key_places import (
    COMMANDS_A_PIECE,
    SINGLE_MAX,
    KeyspaceCollector,
    KeyspaceOut,
    acl_rules,
    ask_keys,
    fail_if_all_failed,
    learn_slots,
    patterns,
    place_keys,
    read_on_standard_lane,
    singles,
)
from exporter.collectors._key_trials import Args
from exporter.errors import ReplyError
from exporter.metrics.family import NameSet, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.options.values import KeyName, parse_number
from exporter.protocol.cluster import Place, text_of
from exporter.protocol.command import PAUSE, PIECE, Command, Reply
from exporter.protocol.facts import Facts

KEY = ("db", "key")
go_gauge = partial(gauge, labels=KEY, name_set=NameSet.GO)

SIZE = go_gauge("key_size", "Length of a string, or number of elements of another type; 0 for a missing key.")
VALUE = go_gauge("key_value", "Value of a string that is a number.")
TEXT = gauge(
    "key_value_as_string",
    "Value of a string that is not a number, as a label. Always 1.",
    labels=(*KEY, "val"),
    name_set=NameSet.GO,
)
MEMORY = go_gauge("key_memory_usage_bytes", "Memory of a key, as the server estimates it.")
EXISTS = gauge("key_exists", "1 if the key exists, else 0.", labels=KEY)
TTL = gauge("key_ttl_seconds", "Time until a key expires.", labels=KEY)
TTL_SHORT = gauge(
    "key_ttl",
    "Time until a key expires. Same value as key_ttl_seconds.",
    labels=KEY,
    name_set=NameSet.SECOND,
)
EXPIRES = gauge("key_expires_timestamp_seconds", "Time at which a key expires.", labels=KEY)
#: of both collectors
FAMILIES = (SIZE, VALUE, TEXT, MEMORY, EXISTS, TTL, TTL_SHORT, EXPIRES)

SIZE_OF = {
    "list": "LLEN",
    "set": "SCARD",
    "zset": "ZCARD",
    "hash": "HLEN",
    "stream": "XLEN",
    "array": "ARCOUNT",
}
#: what a user needs to be allowed. Arrays take ARCOUNT besides, which few servers know
COMMANDS = (
    "type",
    "pttl",
    "pexpiretime",
    "memory|usage",
    "strlen",
    "getrange",
    "pfcount",
    "llen",
    "scard",
    "zcard",
    "hlen",
    "xlen",
)
_HLL_HEAD = 16  # bytes of a HyperLogLog before its registers
_HLL_DENSE = 12304  # bytes of one that is not sparse
#: bytes of a string that is read whole where GETRANGE is refused. A sparse HyperLogLog is not longer
GET_MAX = 16_384


def single_keys(options: Options) -> tuple[KeyName, ...]:
    return singles(options.keys.check_single_keys, options.keys.check_keys)


Replies = dict[str | bytes | int, Reply]  # about one key, by command


class KeysCollector(KeyspaceCollector):
    """The keys that are named one by one."""

    name = "keys"
    help = "Sizes and values of single keys."
    lane = Lane.FAST
    families = FAMILIES

    def enabled(self, options: Options) -> bool:
        return 0 < len(single_keys(options)) <= SINGLE_MAX

    def acl(self, options: Options) -> tuple[str, ...]:
        return acl_rules(COMMANDS, single_keys(options), options)

    def collect(self, facts: Facts, options: Options, out: KeyspaceOut) -> Batches:
        names = single_keys(options)
        yield from read_keys(names, frozenset(names), facts, options, out)


class FoundKeysCollector(KeysCollector):
    """The keys that the newest scan found, and single ones where they are very many."""

    name = "found_keys"
    help = "Sizes and values of the keys that patterns found."
    lane = Lane.STANDARD

    def enabled(self, options: Options) -> bool:
        return bool(patterns(options.keys.check_keys)) or len(single_keys(options)) > SINGLE_MAX

    def acl(self, options: Options) -> tuple[str, ...]:
        return acl_rules(COMMANDS, (*patterns(options.keys.check_keys), *single_keys(options)), options)

    def collect(self, facts: Facts, options: Options, out: KeyspaceOut) -> Batches:
        single = single_keys(options)
        names = read_on_standard_lane(single, out.memory.found, options)
        yield from read_keys(names, single, facts, options, out)


def read_keys(
    names: Iterable[KeyName], single: Iterable[KeyName], facts: Facts, options: Options, out: KeyspaceOut
) -> Batches:
    """Write all there is to know of some keys. Of those in `single` the options say what they are while
    they are not there."""
    out.memory.slots = yield from learn_slots(facts, out.memory.slots)
    places = yield from place_keys(names, facts, options, out.memory.slots)
    looks = yield from _look(places, facts, options, out)
    absent_if_missing = frozenset(single) if options.keys.missing_keys == "absent" else frozenset()
    wanted = yield from _wanted(looks, absent_if_missing, facts, options, out)
    answers = yield from ask_keys(wanted, places, facts, options, out)
    replies_of: dict[KeyName, Replies] = {}
    for at, (key, replies) in enumerate(answers.items(), 1):
        if at % PIECE == 0:
            yield PAUSE
        replies_of[key] = {args[0]: reply for args, reply in zip(wanted[key], replies, strict=True)}
    yield from _read_whole(replies_of, places, facts, options, out)
    counted: list[KeyName] = []
    for at, (key, by_command) in enumerate(replies_of.items(), 1):
        if at % PIECE == 0:
            yield PAUSE
        if _write_key(key, by_command, looks, options, out):
            counted.append(key)
    yield from _count_hyperloglogs(counted, places, facts, options, out)


def _read_whole(
    replies_of: Mapping[KeyName, Replies],
    places: dict[KeyName, Place],
    facts: Facts,
    options: Options,
    out: KeyspaceOut,
) -> Batches:
    """Put GET in the place of GETRANGE where that is refused, for strings that are not long."""
    if "GETRANGE" in out.memory.answered.words:
        return
    wanted: dict[KeyName, list[Args]] = {}
    for key, by_command in replies_of.items():
        length = by_command.get("STRLEN")
        if _is_refused(by_command.get("GETRANGE")) and isinstance(length, int) and 0 < length <= GET_MAX:
            wanted[key] = [("GET", key.name)]
    answers = yield from ask_keys(wanted, places, facts, options, out)
    for key, [value] in answers.items():
        if isinstance(value, bytes):
            value = value[: max(_HLL_HEAD, _shown_bytes(options) + 1)]
        replies_of[key]["GETRANGE"] = value


def _count_hyperloglogs(
    keys: Iterable[KeyName], places: dict[KeyName, Place], facts: Facts, options: Options, out: KeyspaceOut
) -> Batches:
    wanted: dict[KeyName, list[Args]] = {key: [("PFCOUNT", key.name)] for key in keys}
    answers = yield from ask_keys(wanted, places, facts, options, out)
    for key, [count] in answers.items():
        if isinstance(count, int):
            out.add(SIZE, count, f"db{key.db}", key.name)
        elif _is_refused(count):
            out.fault("HyperLogLogs", "their sizes are left out: allow the user +pfcount")


def _is_refused(reply: Reply) -> bool:
    return isinstance(reply, ReplyError) and reply.is_refusal


class Looks(NamedTuple):
    """What a first look at some keys gives."""

    types: dict[KeyName, str]
    lives: dict[KeyName, int]  # milliseconds left


def _wanted(
    looks: Looks, absent_if_missing: frozenset[KeyName], facts: Facts, options: Options, out: Out
) -> Generator[list[Command], list[Reply], dict[KeyName, list[Args]]]:
    """What to ask about each key that exists. Writes which keys do."""
    wanted: dict[KeyName, list[Args]] = {}
    for at, (key, kind) in enumerate(looks.types.items(), 1):
        if at % PIECE == 0:
            yield PAUSE
        labels = (f"db{key.db}", key.name)
        out.add(EXISTS, int(kind != "none"), *labels)
        if kind != "none":
            wanted[key] = list(_questions(key, kind, facts, options, looks.lives.get(key, 0)))
        elif key not in absent_if_missing:
            out.add(SIZE, 0, *labels)
    return wanted


def _write_key(key: KeyName, by_command: Replies, looks: Looks, options: Options, out: Out) -> bool:
    """Write what the replies say about a key. True for a HyperLogLog, whose size is still to be asked."""
    _write_life(key, looks.lives.get(key, 0), by_command.get("PEXPIRETIME"), out)
    used = by_command.get("MEMORY")
    if isinstance(used, int):
        out.add(MEMORY, used, f"db{key.db}", key.name)
    if "STRLEN" not in by_command:
        size = by_command.get(SIZE_OF.get(looks.types[key], ""))
        if isinstance(size, int):
            out.add(SIZE, size, f"db{key.db}", key.name)
        return False
    length, value = by_command["STRLEN"], by_command["GETRANGE"]
    # of an unknown length it may have any encoding
    if is_hyperloglog(_HLL_DENSE if _is_refused(length) else length, value):
        return True
    if _is_refused(value) and isinstance(length, int) and _HLL_HEAD <= length <= GET_MAX:
        out.fault(
            "strings",
            "values, and sizes of those that may be HyperLogLogs, are left out: allow the user +getrange or "
            "+get",
        )
    else:
        _write_string(key, length, value, options, out)
    return False


def _look(
    places: dict[KeyName, Place], facts: Facts, options: Options, out: KeyspaceOut
) -> Generator[list[Command], list[Reply], Looks]:
    """Types and milliseconds left of the keys. Until PTTL was answered, it is asked after TYPE, so that an
    error to it speaks of no key that may not be looked at."""
    lives_too = "PTTL" in out.memory.answered.words
    wanted: dict[KeyName, list[Args]] = {}
    for at, key in enumerate(places, 1):
        if at % COMMANDS_A_PIECE == 0:
            yield PAUSE
        wanted[key] = [("TYPE", key.name), ("PTTL", key.name)] if lives_too else [("TYPE", key.name)]
    answers = yield from ask_keys(wanted, places, facts, options, out)
    fail_if_all_failed([replies[0] for replies in answers.values()])
    types = {key: text for key, replies in answers.items() if (text := text_of(replies[0]))}
    if not lives_too:
        wanted = {key: [("PTTL", key.name)] for key, kind in types.items() if kind != "none"}
        answers = yield from ask_keys(wanted, places, facts, options, out)
    lives: dict[KeyName, int] = {}
    for at, (key, replies) in enumerate(answers.items(), 1):
        if at % COMMANDS_A_PIECE == 0:
            yield PAUSE
        if isinstance(replies[-1], int):
            lives[key] = replies[-1]
    return Looks(types, lives)


def _questions(key: KeyName, kind: str, facts: Facts, options: Options, life: int) -> Iterable[Args]:
    """What is asked of a key of a known type; a type that is not known has no size."""
    if facts.version >= (4, 0, 0):
        yield "MEMORY", "USAGE", key.name
    if life > 0 and facts.version >= (7, 0, 0):
        yield "PEXPIRETIME", key.name
    if kind == "string":
        yield "STRLEN", key.name
        yield "GETRANGE", key.name, 0, max(_HLL_HEAD - 1, _shown_bytes(options))
    elif kind in SIZE_OF:
        yield SIZE_OF[kind], key.name


def _shown_bytes(options: Options) -> int:
    """Of a value."""
    return 0 if options.keys.disable_exporting_key_values else options.metrics.max_label_length


def _write_life(key: KeyName, life_ms: int, expires_ms: Reply, out: Out) -> None:
    """A key that does not expire has no such samples: a number would say that it does."""
    if life_ms <= 0:
        return
    labels = (f"db{key.db}", key.name)
    out.add(TTL, life_ms / 1000, *labels)
    out.add(TTL_SHORT, life_ms / 1000, *labels)
    # before 7.0 the server does not say: whole seconds hide the time that the reply took
    expires = isinstance(expires_ms, int) and expires_ms > 0
    out.add(EXPIRES, expires_ms / 1000 if expires else round(out.now + life_ms / 1000), *labels)


def _write_string(key: KeyName, length: Reply, value: Reply, options: Options, out: Out) -> None:
    labels = (f"db{key.db}", key.name)
    if isinstance(length, int):
        out.add(SIZE, length, *labels)
    if options.keys.disable_exporting_key_values or not isinstance(value, bytes) or not value:
        return
    number = parse_number(value)
    if number is not None:
        out.add(VALUE, number, *labels)
    else:
        out.add(TEXT, 1, *labels, value)


def is_hyperloglog(length: Reply, beginning: Reply) -> bool:
    """Whether PFCOUNT takes a string of that length and beginning: the test that the server itself makes."""
    if (
        not isinstance(length, int)
        or not isinstance(beginning, bytes)
        or length < _HLL_HEAD
        or not beginning.startswith(b"HYLL")
    ):
        return False
    encoding = beginning[4:5]
    return encoding == b"\x01" or (encoding == b"\x00" and length == _HLL_DENSE)
