"""CONFIG GET: the limits a server is configured with, on request its whole configuration and the size of its
dump.

Keys are asked for by name, so that no password travels, unless the whole configuration is to be exported.
https://redis.io/docs/latest/commands/config-get/
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from hashlib import sha256

from exporter.collectors._contract import Batches, Collector, Out, OutWithMemory, raise_failure
from exporter.collectors._file_sizes import FileSizes
from exporter.collectors._several import Apart, Several
from exporter.errors import ReplyError
from exporter.metrics.family import Family, NameSet, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command, Reply
from exporter.protocol.facts import Facts

#: values of --config-command with which CONFIG is not asked
NOT_ASKED = ("", "-")
OUTPUT_BUFFERS = "client-output-buffer-limit"

go_gauge = partial(gauge, name_set=NameSet.GO)
commandlog_gauge = partial(gauge, name_set=NameSet.GO, since="valkey 8.1")

#: key → family of its number
NUMBERS: Mapping[str, Family] = {
    "io-threads": go_gauge("config_io_threads", "Configured number of I/O threads."),
    "maxclients": go_gauge("config_maxclients", "Configured limit of clients."),
    "maxmemory": go_gauge("config_maxmemory", "Configured limit of memory; 0: unlimited."),
    "repl-backlog-size": go_gauge("config_repl_backlog_size", "Configured size of the replication backlog."),
}
COMMANDLOG: Mapping[str, Family] = {
    "commandlog-execution-slower-than": commandlog_gauge(
        "commandlog_execution_slower_than",
        "Microseconds from which COMMANDLOG logs a command as slow; -1: off.",
    ),
    "commandlog-slow-execution-max-len": commandlog_gauge(
        "commandlog_slow_execution_max_len", "Most slow commands that COMMANDLOG keeps."
    ),
    "commandlog-request-larger-than": commandlog_gauge(
        "commandlog_request_larger_than",
        "Bytes from which COMMANDLOG logs a request as large; -1: off.",
    ),
    "commandlog-large-request-max-len": commandlog_gauge(
        "commandlog_large_request_max_len", "Most large requests that COMMANDLOG keeps."
    ),
    "commandlog-reply-larger-than": commandlog_gauge(
        "commandlog_reply_larger_than",
        "Bytes from which COMMANDLOG logs a reply as large; -1: off.",
    ),
    "commandlog-large-reply-max-len": commandlog_gauge(
        "commandlog_large_reply_max_len", "Most large replies that COMMANDLOG keeps."
    ),
}
LIMIT = go_gauge(
    "config_client_output_buffer_limit_bytes",
    "Size of the output buffer at which a client of the class is disconnected: at once (hard) or after a "
    "time (soft).",
    labels=("class", "limit"),
)
OVERCOME = go_gauge(
    "config_client_output_buffer_limit_overcome_seconds",
    "Time that a client of the class may exceed the soft limit of its output buffer.",
    labels=("class", "limit"),
)
KEY_VALUE = go_gauge(
    "config_key_value", "A key of the configuration and its value. Always 1.", labels=("key", "value")
)
VALUE = go_gauge("config_value", "Value of a key of the configuration that is a number.", labels=("key",))
HASH = gauge(
    "config_hash_info",
    "Hash of the configuration, without secrets and values that differ from server to server. Always 1.",
    labels=("hash",),
)
RDB_SIZE = go_gauge(
    "rdb_current_size_bytes", "Size of the dump on the exporter's own host; 0 without a dump."
)

#: keys whose values are secrets, or half of one. Of passwords only the wording differs: requirepass,
#: primaryauth, tls-key-file-pass
_SECRET = re.compile(r"pass|auth|secret|token|credential|private|masteruser|primaryuser|sentinel-user")
#: keys that only look so: whether clients must show a certificate
_NO_SECRET = frozenset({"tls-auth-clients"})
#: keys whose values belong to one server: addresses, ports, files, names, its place in replication
_OF_ONE_SERVER = re.compile(
    r"bind(-source-addr)?$|(tls-)?port$|unixsocket$|pidfile$|logfile$|dir$|dbfilename$|aclfile$"
    r"|append(filename|dirname)$|cluster-config-file$|tls-.*file$|tls-ca-cert-dir$|syslog-ident$"
    r"|.*announce|(slave|replica)of$|(slave|replica)-priority$|.*cpulist$|proc-title-template$"
)
#: hexadecimal digits of a hash: chance makes two of 10,000 configurations alike once in five million times
HASH_LENGTH = 12
_NUMBER = re.compile(rb"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?\Z")
_AMOUNT = re.compile(rb"(-?[0-9]{1,20})([kmg]?b?)\Z")
_UNITS = {
    b"": 1,
    b"b": 1,
    b"k": 1000,
    b"kb": 1 << 10,
    b"m": 1000**2,
    b"mb": 1 << 20,
    b"g": 1000**3,
    b"gb": 1 << 30,
}


class ConfigCollector(Collector[Apart]):
    """`file_size` is how the dump is measured: one look at a local file, the one thing here that is not asked
    of the server. It is given from outside, so that the collector itself does no I/O."""

    name = "config"
    help = "The server's configuration."
    lane = Lane.SLOW
    families = (*NUMBERS.values(), LIMIT, OVERCOME, KEY_VALUE, VALUE, HASH, RDB_SIZE, *COMMANDLOG.values())

    def __init__(self, file_size: Callable[[bytes], int | None] | None = None) -> None:
        self._file_size = file_size or FileSizes().get

    def enabled(self, options: Options) -> bool:
        return options.redis.config_command not in NOT_ASKED

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.mode != "sentinel" and self.enabled(options)

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+config|get",)

    def repeats(self, options: Options) -> bool:
        return not options.metrics.include_rdb_file_size_metric

    def new_memory(self) -> Apart:
        return Apart()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[Apart]) -> Batches:
        replies = yield from _ask(facts, options, out)
        if replies and all(isinstance(reply, ReplyError) for reply in replies):
            raise_failure(*replies)
        values = {key: value for reply in replies for key, value in _pairs(reply)}
        for key, family in (*NUMBERS.items(), *COMMANDLOG.items()):
            amount = _amount(values.get(key, b""))
            if amount is not None and (amount >= 0 or key in COMMANDLOG):  # -1 switches a log off
                out.add(family, amount)
        _add_limits(values.get(OUTPUT_BUFFERS, b""), out)
        if options.metrics.include_rdb_file_size_metric:
            self._add_dump(values, out)
        if options.metrics.include_config_hash:
            hash = hash_of(values)
            out.learn_configuration(hash)
            out.add(HASH, 1, hash)
        if options.metrics.include_config_metrics:
            yield from _add_everything(values, options.metrics.redact_config_metrics, out)

    def _add_dump(self, values: Mapping[str, bytes], out: Out) -> None:
        folder, name = values.get("dir", b""), values.get("dbfilename", b"")
        # a name with a path in it would lead anywhere on this host
        if folder.startswith(b"/") and b"/" not in name:
            size = self._file_size(os.path.join(folder, name))
            if size is not None:
                out.add(RDB_SIZE, size)


def _ask(
    facts: Facts, options: Options, out: OutWithMemory[Apart]
) -> Generator[list[Command], list[Reply], list[Reply]]:
    """The replies for the keys that are needed, or for the pattern of all."""
    ask = partial(Command.of, options.redis.config_command, "GET")
    keys = _keys(facts, options)
    asks_all = options.metrics.include_config_metrics or options.metrics.include_config_hash
    if facts.databases is None and not facts.cluster_enabled:
        # INFO's collector asks for this key: where it is refused, there is no CONFIG at all
        [known] = yield [ask("databases")]
        if isinstance(known, ReplyError) and not asks_all:
            return [known]
    if asks_all:
        replies = yield [ask("*")]
    elif facts.version >= (7, 0, 0):  # earlier servers take one key
        several = Several(ask(*keys), ask, keys, lambda reply, key: key in dict(_pairs(reply)))
        replies = yield from several.ask(out.memory, facts.run_id, out.now)
    elif out.memory.run_id == facts.run_id:  # this run of the server has answered
        replies = yield list(map(ask, keys))
    else:
        replies = yield [ask(keys[0])]  # alone, to see whether they reply at all
        if not isinstance(replies[0], ReplyError):
            out.memory.run_id = facts.run_id
            return [*replies, *(yield list(map(ask, keys[1:])))]
    if not isinstance(replies[0], ReplyError):
        return replies
    raise_failure(replies[0])
    # INFO's collector has asked for this key: where that was refused too, there is no CONFIG at all
    [known] = yield [ask("databases")]
    return replies if isinstance(known, ReplyError) else (yield list(map(ask, keys)))


def _keys(facts: Facts, options: Options) -> list[str]:
    """The keys that are needed."""
    keys = [*NUMBERS, OUTPUT_BUFFERS]
    if options.metrics.include_rdb_file_size_metric:
        keys += ["dir", "dbfilename"]
    if facts.flavor == "valkey" and facts.flavor_version >= (8, 1, 0):
        keys += COMMANDLOG
    return keys


def _pairs(reply: object) -> Iterator[tuple[str, bytes]]:
    """Keys and values, of those that are text: a value may be null or a list. Keys are written
    as they are shown, so that each comes once."""
    if isinstance(reply, list):
        for key, value in zip(reply[::2], reply[1::2], strict=False):
            if isinstance(key, bytes) and isinstance(value, bytes):
                yield key.decode("utf-8", "replace"), value


def _amount(text: bytes) -> int | None:
    """A whole number, or one with a unit as configuration files have them: `256mb`."""
    match = _AMOUNT.match(text.lower())
    return int(match[1]) * _UNITS[match[2]] if match else None


def _add_limits(text: bytes, out: Out) -> None:
    """`normal 0 0 0 replica 256mb 64mb 60 …`: class, hard limit, soft limit, seconds."""
    words = [word for word in text.split(b" ") if word]
    classes = {
        words[at]: [_amount(word) for word in words[at + 1 : at + 4]] for at in range(0, len(words) - 3, 4)
    }
    for name, (hard, soft, seconds) in classes.items():
        if hard is None or soft is None or seconds is None:
            continue
        out.add(LIMIT, hard, name, "hard")
        out.add(LIMIT, soft, name, "soft")
        out.add(OVERCOME, seconds, name, "soft")


def _add_everything(values: Mapping[str, bytes], redact: bool, out: Out) -> Batches:
    for at, (key, value) in enumerate(values.items(), 1):
        if at % PIECE == 0:
            yield PAUSE
        if redact and is_secret(key):
            continue
        out.add(KEY_VALUE, 1, key, value)
        if _NUMBER.match(value):
            out.add(VALUE, float(value) if b"." in value else int(value), key)


def hash_of(values: Mapping[str, bytes]) -> str:
    """The same for configurations that differ in nothing but secrets and what belongs to one server."""
    lines = sorted(
        b"%s=%s" % (key.encode("utf-8", "replace"), value)
        for key, value in values.items()
        if not is_secret(key) and not _OF_ONE_SERVER.match(key.lower())
    )
    return sha256(b"\n".join(lines), usedforsecurity=False).hexdigest()[:HASH_LENGTH]


def is_secret(key: str) -> bool:
    return _SECRET.search(key.lower()) is not None and key.lower() not in _NO_SECRET
