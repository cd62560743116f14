"""What the simulator's servers say: replies on record, of which some numbers move, or all that can."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from bench.fleet import recorded

VERSION = "redis-7.0.15"
#: commands whose statistics an application has: those that were called most
COMMANDS = 25
#: how fast numbers of INFO move, in a second
PACES = {
    b"uptime_in_seconds:": 1,
    b"total_commands_processed:": 1000,
    b"total_net_input_bytes:": 50_000,
    b"total_net_output_bytes:": 200_000,
    b"total_reads_processed:": 1000,
    b"total_writes_processed:": 1000,
    b"keyspace_hits:": 700,
    b"keyspace_misses:": 30,
    b"instantaneous_ops_per_sec:": 37,
    b"calls=": 40,
    b"usec=": 300,
}
#: where those begin again that are no counters
ROUNDS = {b"instantaneous_ops_per_sec:": 1500}
_MOVING = re.compile(rb"(?m)(?:^|(?<=[:,]))(" + b"|".join(PACES) + rb")(\d+)(?=[,\r\n])")
#: where everything moves: any number
_NUMBER = re.compile(rb"(?m)(?:^|(?<=[:,]))((?!errorstat_)\w[\w.-]*[:=])(\d+(?:\.\d+)?)(?=[,%\r\n])")
#: in a second, those that have no pace of their own: whole ones, and of others the last digit
PACE = 7
#: whose number says what a server is, not how it does
_CONSTANT = re.compile(
    rb"redis_.*|arch_bits|gcc_version|process_id|tcp_port|port|(configured_)?hz|(async_)?loading|.*_in_progress"
    rb"|.*_enabled|(io_threads|repl_backlog)_active|.*_running|.*_scheduled|connected_slaves|maxclients|maxmemory|total_system_memory"
    rb"|latest_fork_usec|total_forks|lru_clock|uptime_in_days"
)
_OF_A_COMMAND = re.compile(rb"(?:cmdstat|latency_percentiles_usec)_([^:]+):")
_CALLS = re.compile(rb"(?m)^cmdstat_([^:]+):calls=(\d+)")
#: after this time replies are made again: targets that are polled in one burst cost the simulator little
KEPT_S = 0.05
#: different packets whose replies are kept
BATCHES_MAX = 1000
UNKNOWN = b"-ERR unknown command\r\n"

#: text, and behind it a number that moves: its value at the start, its pace, where it begins again (0:
#: never), and how many of its digits stand behind the point
Piece = tuple[bytes, int, int, int, int]


class Replies:
    """The replies of all servers. `all_move`: every number of a statistic does, of INFO and histograms."""

    def __init__(self, all_move: bool = False) -> None:
        self._all_move = all_move
        self._began_at = time.monotonic()
        default = recorded(VERSION, "info_default.txt")
        everything = recorded(VERSION, "info_all.txt")
        histograms = json.loads(recorded(VERSION, "latency_histogram.json"))
        pairs = list(zip(histograms[::2], histograms[1::2], strict=True))
        calls = {command: int(count) for command, count in _CALLS.findall(everything)}
        with_histogram = [command.encode() for command, _ in pairs if command.encode() in calls]
        chosen = frozenset(sorted(with_histogram, key=lambda command: -calls[command])[:COMMANDS])
        everything = b"".join(
            line for line in everything.splitlines(keepends=True) if _command(line) in (None, *chosen)
        )
        moving = _NUMBER if all_move else _MOVING
        self._default = _split(default, moving)
        self._everything = _split(everything, moving)
        self._sections = {name: _split(text, moving) for name, text in _sections(everything).items()}
        self._config = [item.encode() for item in json.loads(recorded(VERSION, "config_get.json"))]
        self._histograms = [
            item for command, of in pairs if command.encode() in chosen for item in (command, of)
        ]
        self._kept: dict[tuple[bytes, ...], tuple[float, bytes]] = {}
        self._batches: dict[bytes, tuple[float, bytes]] = {}

    def kept_batch(self, request: bytes) -> bytes:
        """The replies to whole commands that came in one packet before, or b"" if they did not, or are due to
        be made again: what many targets are asked alike costs little."""
        until, replies = self._batches.get(request, (0.0, b""))
        return replies if time.monotonic() < until else b""

    def keep_batch(self, request: bytes, replies: bytes) -> None:
        if len(self._batches) >= BATCHES_MAX:
            self._batches.clear()
        self._batches[request] = (time.monotonic() + KEPT_S, replies)

    def to(self, words: Sequence[bytes]) -> bytes:
        """The reply to a command."""
        now = time.monotonic()
        key = tuple(words)
        until, reply = self._kept.get(key, (0.0, b""))
        if now >= until:
            reply = self._reply(key[0].upper(), [word.lower() for word in key[1:]], now)
            moves = key[0].upper() in (b"INFO", b"LATENCY")
            self._kept[key] = (now + KEPT_S if moves else float("inf"), reply)
        return reply

    def _reply(self, name: bytes, arguments: Sequence[bytes], now: float) -> bytes:
        match name, arguments:
            case b"INFO", sections:
                return self._info(sections, now - self._began_at)
            case b"CONFIG", [b"get", *patterns]:
                return encode(self._configuration([pattern.decode() for pattern in patterns]))
            case b"LATENCY", [b"histogram", *_]:
                return self._histogram_reply(now - self._began_at)
            case b"SLOWLOG", [b"len"]:
                return encode(0)
            case (b"SLOWLOG", [b"get", *_]) | (b"LATENCY", [b"latest"]):
                return encode([])
            case b"PING", []:
                return b"+PONG\r\n"
            case b"HELLO", [] | [b"2", *_]:
                return encode(
                    [
                        "server",
                        "redis",
                        "version",
                        "7.0.15",
                        "proto",
                        2,
                        "mode",
                        "standalone",
                        "role",
                        "master",
                    ]
                )
            case b"HELLO", _:
                return b"-NOPROTO unsupported protocol version\r\n"
            case (b"AUTH" | b"SELECT", [_, *_]) | (b"CLIENT", [b"setname", _]):
                return b"+OK\r\n"
        return UNKNOWN

    def _info(self, sections: Sequence[bytes], elapsed_s: float) -> bytes:
        match sections:
            case [] | [b"default"]:
                pieces = self._default
            case [b"all" | b"everything"]:
                pieces = self._everything
            case _:
                pieces = [piece for section in sections for piece in self._sections.get(section, ())]
        return encode(
            b"".join(
                [
                    text + _moved(first, pace, around, digits, elapsed_s)
                    for text, first, pace, around, digits in pieces
                ]
            )
        )

    def _histogram_reply(self, elapsed_s: float) -> bytes:
        """Counts are of all calls up to a bound: all grow alike."""
        grown = int(PACE * elapsed_s) if self._all_move else 0
        found: list[Any] = []
        for command, fields in zip(self._histograms[::2], self._histograms[1::2], strict=True):
            [calls, count, name, buckets] = fields
            counts = [value + grown * (place % 2) for place, value in enumerate(buckets)]
            found += [command, [calls, count + grown, name, counts]]
        return encode(found)

    def _configuration(self, patterns: Sequence[str]) -> list[bytes]:
        pairs = zip(self._config[::2], self._config[1::2], strict=True)
        return [
            word
            for key, value in pairs
            if any(fnmatchcase(key.decode(), pattern) for pattern in patterns)
            for word in (key, value)
        ]


def _moved(first: int, pace: int, around: int, digits: int, elapsed_s: float) -> bytes:
    if not pace:
        return b""
    value = first + int(pace * elapsed_s)
    if digits:
        whole, part = divmod(value, 10**digits)
        return b"%d.%0*d" % (whole, digits, part)
    return b"%d" % (value % around if around else value)


def _split(text: bytes, moving: re.Pattern[bytes]) -> list[Piece]:
    """The rest of the text comes last, without a number."""
    pieces: list[Piece] = []
    begin = 0
    for found in moving.finditer(text):
        key, number = found[1], found[2]
        if moving is _NUMBER and _CONSTANT.fullmatch(key[:-1]):
            continue
        digits = len(number.partition(b".")[2])
        first = int(number.replace(b".", b""))
        pieces.append((text[begin : found.start(2)], first, PACES.get(key, PACE), ROUNDS.get(key, 0), digits))
        begin = found.end()
    return [*pieces, (text[begin:], 0, 0, 0, 0)]


def _command(line: bytes) -> bytes | None:
    """The command that a line is about, None for a line about something else."""
    found = _OF_A_COMMAND.match(line)
    return found[1] if found else None


def _sections(text: bytes) -> dict[bytes, bytes]:
    """By name in lower case."""
    found = {}
    for section in re.split(rb"(?m)^(?=# )", text):
        title, _, _ = section.partition(b"\r\n")
        found[title[2:].lower()] = section
    return found


def encode(value: Any) -> bytes:
    """As RESP."""
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(encode(item) for item in value)
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, str):
        value = value.encode()
    return b"$%d\r\n%b\r\n" % (len(value), value)
